// An authority whose store can be broken, in a folder that outlives it: it can be started again on what it left behind.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import { type Composed, createServer, type ServerOptions } from '@writ/server'
import { Party } from '../harness/party.ts'
import { mustBeRegistered } from './answers.ts'
import { type BrokenStore, brokenStore } from './broken-store.ts'

export const issuer = 'https://writ.example'

export interface World {
  readonly server: Composed
  readonly broken: BrokenStore
  readonly operator: Party
  /** Every access token that anybody was ever given. */
  readonly released: readonly string[]
  /** Every request that was answered with a success after it had been decided, by who asked and what. */
  readonly acknowledged: readonly { readonly requestId: string; readonly what: string }[]
  readonly nowMs: () => number
  advance(seconds: number): void
  /** Throws where a refusal is not one of the registered answers. */
  fetch(path: string, init?: RequestInit): Promise<Response>
  party(clientId: string, jwk: Record<string, unknown>): Party
}

export interface Place {
  readonly broken: BrokenStore
  /** Starts a server on what the place holds; the one before has to be closed. Rejects as `createServer` does. */
  open(): Promise<World>
}

/** Loops that publish and sum up rarely, so that what a test counts is what it did. */
const quiet = { rateLimits: 'off', checkpointSeconds: 60, noiseSeconds: 300 } as const

/**
 * A folder with whatever a server leaves in it; it goes with the test. What is not a Fault fails the test, unless
 * `expected` takes it. With `isStill` the clock shows the instant of the beginning until somebody moves it.
 */
export function placeOf(
  t: TestContext,
  options: ServerOptions = {},
  expected?: (bug: unknown) => void,
  { isStill = false }: { readonly isStill?: boolean } = {},
): Place {
  const data = mkdtempSync(join(tmpdir(), 'writ-fault-'))
  const broken = brokenStore()
  const bugs: unknown[] = []
  const onBug = expected ?? ((error: unknown) => void bugs.push(error))
  const open: Composed[] = []
  const released: string[] = []
  const acknowledged: { requestId: string; what: string }[] = []
  const beganMs = Date.now()
  let shiftMs = 0
  const nowMs = (): number => (isStill ? beganMs : Date.now()) + shiftMs
  const around = {
    clockMs: nowMs,
    observer: { request: () => {}, bug: onBug },
    // The loops say that the store is away, as they should; anything else is a bug.
    log: (level: string, _facts: unknown, error?: unknown) =>
      void (level === 'error' && !isAway(error) && onBug(error)),
    wrapStore: broken.wrap,
    ...options.around,
  }
  t.after(async () => {
    for (const server of open) await server.close()
    rmSync(data, { recursive: true, force: true })
    if (bugs.length > 0) throw bugs[0]
  })
  return {
    broken,
    async open() {
      const server = await createServer({ ...quiet, data, issuer, ...options, around })
      open.push(server)
      const fetch = async (path: string, init?: RequestInit): Promise<Response> => {
        const request = new Request(path.startsWith('http') ? path : `${issuer}${path}`, init)
        const answer = await broken.apart(() => server.fetch(request))
        const body = await mustBeRegistered(answer)
        const requestId = answer.headers.get('x-request-id')
        if (answer.ok && requestId !== null && isDecided(request))
          acknowledged.push({ requestId, what: `${request.method} ${request.url}` })
        if (answer.ok && typeof body?.['access_token'] === 'string') released.push(body['access_token'])
        return answer
      }
      const party = (clientId: string, jwk: Record<string, unknown>): Party =>
        new Party({ issuer, clientId, jwk, fetch, nowMs })
      const { client_id, jwk } = JSON.parse(readFileSync(join(data, 'operator.json'), 'utf8'))
      const advance = (seconds: number): void => {
        shiftMs += seconds * 1000
      }
      return {
        server,
        broken,
        released,
        acknowledged,
        operator: party(client_id, jwk),
        nowMs,
        advance,
        fetch,
        party,
      }
    },
  }
}

/** Everybody may fetch the rest. */
const isDecided = ({ method, url }: Request): boolean =>
  method !== 'GET' ||
  url.startsWith(`${issuer}/vault/`) ||
  (url.startsWith(`${issuer}/api/v1/`) && !url.endsWith('/openapi.json'))

const isAway = (error: unknown): boolean => isFault(error) && error.code === 'temporarily_unavailable'
