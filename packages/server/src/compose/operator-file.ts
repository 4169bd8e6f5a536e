// The operator's credentials on disk: written before anything rests on them, so that a crash never locks anyone out.
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { type AgentId, isId, newId } from '@writ/sdk/protocol/identifier'
import { generateKeyPair, importPrivate, type PrivateJwk } from '@writ/sdk/protocol/jwk'
import { Secret } from '@writ/sdk/protocol/secret'
import type { Founder } from '../admin/bootstrap.ts'
import { ConfigProblem } from '../config.ts'
import { operatorFile } from './places.ts'

/**
 * The founder of an empty store: that of the file, where an earlier start wrote it and got no further, or else a new
 * one, written with mode 0600 first.
 */
export function founderOf(
  data: string,
  issuer: string,
  randomBytes: (length: number) => Uint8Array,
): Founder {
  const path = operatorFile(data)
  if (existsSync(path)) return readFounder(path, issuer)
  const pair = generateKeyPair('ES256')
  const id = newId('agt', randomBytes)
  writePrivately(path, JSON.stringify({ issuer, client_id: id, jwk: pair.secret.reveal() }, null, 2))
  return { id, jwk: pair.verify.jwk }
}

function readFounder(path: string, issuer: string): Founder {
  const moveAway = `move ${path} away, or give the data it belongs to`
  let found: { issuer?: unknown; client_id?: unknown; jwk?: unknown }
  try {
    found = JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    throw new ConfigProblem('data', `${path} cannot be read as JSON; ${moveAway}`)
  }
  if (found.issuer !== issuer)
    throw new ConfigProblem('data', `${path} belongs to the issuer ${found.issuer}; ${moveAway}`)
  if (!isId('agt', found.client_id)) throw new ConfigProblem('data', `${path} names no agent; ${moveAway}`)
  const key = importPrivate(new Secret(found.jwk as PrivateJwk))
  return { id: found.client_id as AgentId, jwk: key.jwk }
}

/** Whole or not at all: a file of that name appears only once its bytes are on the disk. */
function writePrivately(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const draft = `${path}.${process.pid}.new`
  const file = openSync(draft, 'wx', 0o600)
  try {
    writeSync(file, `${text}\n`)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(draft, path)
}
