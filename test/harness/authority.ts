// An authority under test: a real server on a real store in a folder of its own, asked through `fetch` without a socket.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Composed, createServer, type ServerOptions } from '@writ/server'
import { Party } from './party.ts'

export const issuer = 'https://writ.example'

export interface Authority {
  readonly issuer: string
  readonly server: Composed
  /** The operator of the first start. */
  readonly operator: Party
  /** What the clock of the server shows, epoch milliseconds; it moves with real time and by `advance`. */
  nowMs(): number
  advance(seconds: number): void
  fetch(path: string, init?: RequestInit): Promise<Response>
  /** Another party in front of the same server. */
  party(clientId: string, jwk: Record<string, unknown>): Party
}

export interface AuthorityOptions extends ServerOptions {
  readonly issuer?: string
}

/** Starts one and ends it with the test. */
export async function authority(t: TestContext, options: AuthorityOptions = {}): Promise<Authority> {
  const data = mkdtempSync(join(tmpdir(), 'writ-test-'))
  const given = options.issuer ?? issuer
  let shiftMs = 0
  const nowMs = (): number => Date.now() + shiftMs
  const bugs: unknown[] = []
  const observer = { request: () => {}, bug: (error: unknown) => void bugs.push(error) }
  const server = await createServer({
    data,
    rateLimits: 'off',
    ...options,
    issuer: given,
    around: {
      clockMs: nowMs,
      observer,
      log: (level, _facts, error) => void (level === 'error' && bugs.push(error)),
      ...options.around,
    },
  })
  t.after(async () => {
    await server.close()
    rmSync(data, { recursive: true, force: true })
    // Anything that is not a Fault is our bug, and no test passes over one.
    if (bugs.length > 0) throw bugs[0]
  })
  const { client_id, jwk } = JSON.parse(readFileSync(join(data, 'operator.json'), 'utf8'))
  const fetch = (path: string, init?: RequestInit): Promise<Response> =>
    server.fetch(new Request(path.startsWith('http') ? path : `${given}${path}`, init))
  const party = (clientId: string, key: Record<string, unknown>): Party =>
    new Party({ issuer: given, clientId, jwk: key, fetch, nowMs })
  return {
    issuer: given,
    server,
    operator: party(client_id, jwk),
    nowMs,
    advance: seconds => {
      shiftMs += seconds * 1000
    },
    fetch,
    party,
  }
}
