// `writ serve` as it runs for everybody: a process of its own behind a real socket, with all that it says kept.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { Party } from '../harness/party.ts'

const binary = join(import.meta.dirname, '../../node_modules/.bin/writ')
const readyMs = 60_000

export interface Serving {
  readonly issuer: string
  readonly port: number
  readonly data: string
  readonly operator: Party
  /** Everything on stdout and stderr so far. */
  said(): string
  party(clientId: string, jwk: Record<string, unknown>): Party
  fetch(path: string, init?: RequestInit): Promise<Response>
  stop(): Promise<void>
}

/** Starts one in a fresh folder, and ends it with the test. */
export async function serve(
  t: Pick<TestContext, 'after'>,
  environment: Readonly<Record<string, string>> = {},
): Promise<Serving> {
  const data = mkdtempSync(join(tmpdir(), 'writ-attacks-'))
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(WRIT_|NODE_)/.test(name)))
  const child = spawn(binary, ['serve', '--port', '0', '--data', data], {
    env: { ...own, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  const ended = once(child, 'close')
  for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => (said += chunk))
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    await ended
  }
  t.after(async () => {
    await stop()
    rmSync(data, { recursive: true, force: true })
  })
  const until = Date.now() + readyMs
  let issuer: string | undefined
  while (issuer === undefined) {
    issuer = /^writ: ready (\S+)$/m.exec(said)?.[1]
    if (child.exitCode !== null || Date.now() > until) throw new Error(`writ serve did not start: ${said}`)
    if (issuer === undefined) await new Promise(resolve => setTimeout(resolve, 20))
  }
  const base = issuer
  const fetchFrom = (path: string, init?: RequestInit): Promise<Response> =>
    fetch(path.startsWith('http') ? path : `${base}${path}`, { redirect: 'manual', ...init })
  const party = (clientId: string, jwk: Record<string, unknown>): Party =>
    new Party({ issuer: base, clientId, jwk, fetch: fetchFrom, nowMs: Date.now })
  const { client_id, jwk } = JSON.parse(readFileSync(join(data, 'operator.json'), 'utf8'))
  return {
    issuer,
    port: Number(new URL(issuer).port),
    data,
    operator: party(client_id, jwk),
    said: () => said,
    party,
    fetch: fetchFrom,
    stop,
  }
}

/** What comes back for these bytes, until the other side ends or has been quiet for a while. */
export async function raw(port: number, bytes: string | Buffer, quietMs = 1500): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let heard = ''
  socket.on('data', chunk => (heard += chunk.toString('latin1')))
  socket.on('error', () => {})
  socket.setTimeout(quietMs, () => socket.destroy())
  socket.write(bytes)
  await new Promise(resolve => socket.once('close', resolve))
  return heard
}
