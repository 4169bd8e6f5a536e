// Files that commands are given: JSON, and public keys. `-` is standard input.
import { readFileSync } from 'node:fs'
import { isFault } from '@writ/sdk/protocol/fault'
import { parseJsonObject } from '@writ/sdk/protocol/json'
import { type PublicJwk, parsePublicJwk } from '@writ/sdk/protocol/jwk'
import { CommandFailure, exitCodes, type Terminal } from '../command.ts'

/** What a file, or standard input, holds. Throws CommandFailure. */
export async function readText(path: string, terminal: Terminal): Promise<string> {
  if (path === '-') return readStdin(terminal)
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    throw new CommandFailure(
      `the file ${path} cannot be read (${code}); give the path of one that can`,
      exitCodes.usage,
    )
  }
}

async function readStdin({ stdin }: Terminal): Promise<string> {
  if (stdin === undefined) throw new CommandFailure('there is no standard input here', exitCodes.usage)
  let text = ''
  for await (const chunk of stdin) text += chunk
  return text
}

/** One JSON object. Throws CommandFailure. */
export async function readObject(
  path: string,
  terminal: Terminal,
): Promise<Readonly<Record<string, unknown>>> {
  const value = parseJsonObject(await readText(path, terminal))
  if (value !== undefined) return value
  throw new CommandFailure(`${path} must hold one JSON object without duplicate members`, exitCodes.usage)
}

/** A public key to register. A private one is refused here: it must not even travel. Throws CommandFailure. */
export async function readPublicJwk(path: string, terminal: Terminal): Promise<PublicJwk> {
  try {
    return parsePublicJwk(await readObject(path, terminal))
  } catch (error) {
    if (!isFault(error)) throw error
    throw new CommandFailure(`${path} holds no key that can be registered: ${error.message}`, exitCodes.usage)
  }
}
