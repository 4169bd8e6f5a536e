// writ audit: take a provable export of the log, verify one without a network, and keep the key that this takes.
import { once } from 'node:events'
import {
  createReadStream,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Writable } from 'node:stream'
import type { Authenticated } from '@writ/sdk/admin'
import { parseEnd } from '@writ/sdk/protocol/audit-export'
import { type ExportReport, type ExportTrust, verifyExport } from '@writ/sdk/protocol/audit-verification'
import { isFault } from '@writ/sdk/protocol/fault'
import { readLines } from '@writ/sdk/protocol/json-lines'
import { parseVerifierKey } from '@writ/sdk/protocol/note'
import type { Command } from 'commander'
import { CommandFailure, command, exitCodes, type GlobalOptions, type Terminal } from '../command.ts'
import { ago } from '../terminal/instants.ts'

/** How these commands reach an authority. */
export interface Reach {
  /** In the name of the operator that the options lead to. Throws CommandFailure where there is none. */
  connect(options: GlobalOptions): Promise<Authenticated>
  /** For what is open to all. */
  readonly fetch: typeof fetch
}

type Answer = Awaited<ReturnType<typeof fetch>>
type Options = GlobalOptions & Readonly<Record<string, string | true | undefined>>

export function auditCommand(terminal: Terminal, reach: Reach): Command {
  return command('audit', 'export and verify the audit log')
    .addCommand(exportCommand(terminal, reach))
    .addCommand(verifyCommand(terminal))
    .addCommand(keyCommand(terminal, reach))
}

function exportCommand(terminal: Terminal, reach: Reach): Command {
  return command('export', 'write entries with their proofs, as lines of JSON')
    .option('--since <instant>', 'from an instant on, or from a time ago such as 2h', ago)
    .option('--until <instant>', 'before an instant, or a time ago', ago)
    .option('--out <file>', 'write to this file instead of standard output')
    .action(async (_given: unknown, used: Command) => {
      const options = used.optsWithGlobals<Options>()
      const { out } = options
      const chunks = await askForExport(await reach.connect(options), options)
      const toFile = typeof out === 'string'
      const entries = toFile ? await writeFileWhole(out, chunks) : await passOn(chunks, terminal)
      // Standard output without --out is the export itself, and nothing else may stand there.
      if (toFile && options.json) terminal.stdout.write(`${JSON.stringify({ file: out, entries })}\n`)
      else terminal.stderr.write(`writ: ${entries} entries${toFile ? ` written to ${out}` : ''}\n`)
    })
}

async function askForExport(authority: Authenticated, options: Options): Promise<AsyncIterable<Uint8Array>> {
  const resource = `${authority.issuer}/api/v1`
  const limits = ['since', 'until'].flatMap(name =>
    typeof options[name] === 'string' ? [[name, options[name]]] : [],
  )
  const query = limits.length === 0 ? '' : `?${new URLSearchParams(limits)}`
  const answer = await authority.fetch(`${resource}/audit/export${query}`, { resource })
  if (!answer.ok || answer.body === null) throw await refusalOf(answer)
  return answer.body
}

async function refusalOf(answer: Answer): Promise<CommandFailure> {
  const problem: unknown = await answer.json().catch(() => undefined)
  const detail = (problem as { readonly detail?: unknown } | undefined)?.detail
  return new CommandFailure(
    typeof detail === 'string' ? detail : `the authority answered ${answer.status}; try again`,
  )
}

/** The last line holds one signed note of a log whose name is a URL. */
const longestEnd = 8192

/** Hands every chunk on, and answers how many entries the export has. Throws CommandFailure where its end is missing. */
async function pass(
  chunks: AsyncIterable<Uint8Array>,
  on: (chunk: Uint8Array) => Promise<void>,
): Promise<number> {
  let tail = Buffer.alloc(0)
  try {
    for await (const chunk of chunks) {
      await on(chunk)
      tail = Buffer.concat([tail, chunk]).subarray(-longestEnd)
    }
  } catch (error) {
    // undici says so where the connection ends before the body does.
    if (!(error instanceof TypeError)) throw error
  }
  const end = parseEnd(tail.toString('utf8').trimEnd().split('\n').at(-1) ?? '')
  if (end === undefined) throw new CommandFailure('the export broke off before its end; take it again')
  return end.entries
}

async function passOn(chunks: AsyncIterable<Uint8Array>, { stdout }: Terminal): Promise<number> {
  const decoder = new TextDecoder()
  return pass(chunks, async chunk => {
    const isRoom = stdout.write(decoder.decode(chunk, { stream: true }))
    // A reader that is slower than the authority must not fill our memory.
    if (isRoom === false && stdout instanceof Writable) await once(stdout, 'drain')
  })
}

/** The file appears under its name only when all of it is there, readable by its owner alone: it tells who did what. */
async function writeFileWhole(path: string, chunks: AsyncIterable<Uint8Array>): Promise<number> {
  const part = `${path}.part`
  const file = await open(part, 'w', 0o600)
  try {
    const entries = await pass(chunks, async chunk => void (await file.write(chunk)))
    await file.sync()
    renameSync(part, path)
    return entries
  } finally {
    await file.close()
    rmSync(part, { force: true })
  }
}

function verifyCommand(terminal: Terminal): Command {
  return command('verify', 'verify an export without a network; - reads standard input')
    .argument('<file>', 'an export of the audit log')
    .option('--key <vkey>', 'the verifier key of the log (default: audit.vkey in the data folder)')
    .option('--checkpoint <file>', 'a checkpoint kept from before, which the log has to continue')
    .action(async (file: string, _given: unknown, used: Command) => {
      const options = used.optsWithGlobals<Options>()
      const trust = trustOf(options, terminal)
      const report = await verifyExport(readLines(chunksOf(file)), trust)
      if (options.json) terminal.stdout.write(`${JSON.stringify(report)}\n`)
      if (!report.ok) throw new CommandFailure(verdictOf(report))
      if (!options.json) terminal.stdout.write(`${verdictOf(report)}\n`)
      if (!report.keyTrusted) {
        terminal.stderr.write(
          'writ: without a key from elsewhere this only says that the file agrees with itself; give --key\n',
        )
      }
    })
}

function trustOf(options: Options, terminal: Terminal): ExportTrust {
  const { key, checkpoint } = options
  const kept = keyFile(options, terminal)
  const verifierKey =
    typeof key === 'string' ? key : existsSync(kept) ? readFileSync(kept, 'utf8').trimEnd() : undefined
  if (verifierKey !== undefined) checkKey(verifierKey, typeof key === 'string' ? '--key' : kept)
  return {
    ...(verifierKey === undefined ? {} : { verifierKey }),
    ...(typeof checkpoint === 'string' ? { earlier: readText(checkpoint) } : {}),
  }
}

function checkKey(text: string, from: string): void {
  try {
    parseVerifierKey(text)
  } catch (error) {
    if (isFault(error))
      throw new CommandFailure(`${from} holds no verifier key: ${error.message}`, exitCodes.usage)
    throw error
  }
}

function readText(path: string): string {
  if (!existsSync(path)) throw new CommandFailure(`there is no file ${path}`, exitCodes.usage)
  return readFileSync(path, 'utf8')
}

function chunksOf(path: string): AsyncIterable<Uint8Array> {
  if (path === '-') return process.stdin
  if (!existsSync(path)) throw new CommandFailure(`there is no file ${path}`, exitCodes.usage)
  return createReadStream(path)
}

/** One line: what is proven, or the first entry that is not as the log has it. */
function verdictOf({ ok, entries, origin, size, range, problems }: ExportReport): string {
  if (ok) {
    const which = entries === 0 ? 'no entries' : `entries ${range?.fromIndex} to ${(range?.toIndex ?? 0) - 1}`
    return `ok: ${which} of ${origin} are as its checkpoint of ${size} entries has them`
  }
  const [first, ...others] = problems
  const id = first?.id === undefined ? '' : ` (${first.id})`
  const where = first?.index === null || first === undefined ? '' : `entry ${first.index}${id}: `
  const more = others.length === 0 ? '' : `; and ${others.length} more problems, which --json lists`
  return `not as the log has it: ${where}${first?.what ?? 'nothing could be read'}${more}`
}

/** The log's verifier key, as whoever trusts it keeps it. */
function keyFile(options: Options, { environment }: Terminal): string {
  return join(options.data ?? environment['WRIT_DATA'] ?? '.writ', 'audit.vkey')
}

function keyCommand(terminal: Terminal, reach: Reach): Command {
  return command('key', 'print the verifier key of the log')
    .option('--save', 'keep it in the data folder as the key that verify trusts')
    .action(async (_given: unknown, used: Command) => {
      const options = used.optsWithGlobals<Options>()
      const { issuer } = await reach.connect(options)
      const answer = await reach.fetch(`${issuer}/audit/key`)
      if (!answer.ok) throw await refusalOf(answer)
      const key = (await answer.text()).trimEnd()
      checkKey(key, issuer)
      if (options['save']) saveKey(keyFile(options, terminal), key)
      terminal.stdout.write(options.json ? `${JSON.stringify({ issuer, key })}\n` : `${key}\n`)
    })
}

/** A key that is kept is never replaced by one that came later: that is how a forger would bring his own. */
function saveKey(path: string, key: string): void {
  if (existsSync(path)) {
    if (readFileSync(path, 'utf8').trimEnd() === key) return
    throw new CommandFailure(
      `${path} holds another key; remove it yourself if you know why the log has a new one`,
    )
  }
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  writeFileSync(path, `${key}\n`, { flag: 'wx', mode: 0o644 })
}
