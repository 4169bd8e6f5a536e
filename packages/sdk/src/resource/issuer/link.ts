// The line to the issuer: its keys and its ends, found by discovery, followed together, believed only while recent.
import { cutSubject, subjectDigest } from '../../protocol/revocation.ts'
import type { Clock } from '../clock.ts'
import { discover, type IssuerPlaces } from './discovery.ts'
import { type IssuerKeys, issuerKeys } from './keys.ts'
import { followRevocations, type Revocations } from './revocations.ts'

export interface IssuerLinkOptions {
  readonly issuer: string
  readonly fetch: typeof fetch
  readonly clock: Clock
  /** The most that the resource tolerates; the issuer may ask for less. */
  readonly stalenessSeconds: number
  /** How long ends are remembered: longer than any accepted token lives. */
  readonly rememberSeconds: number
  /** What this process calls itself when it confirms ends to the issuer: the resource that it protects. */
  readonly label: string
  readonly onTrouble: ((problem: unknown) => void) | undefined
}

export interface IssuerLink {
  readonly keys: IssuerKeys
  readonly revocations: Revocations
  /** Whether both keys and ends are known recently enough to decide on. False: deny. */
  isCurrent(): boolean
  /** After how long without contact that becomes false. */
  stalenessSeconds(): number
  /** Resolves when current; rejects after `withinSeconds` with what went wrong last. */
  ready(withinSeconds: number): Promise<void>
  close(): void
}

/** Starts at once; see `followRevocations` for timers and sockets. */
export function linkToIssuer(options: IssuerLinkOptions): IssuerLink {
  const { clock } = options
  const closing = new AbortController()
  let places: IssuerPlaces | undefined
  let lastTrouble: unknown
  const onTrouble = (problem: unknown): void => {
    lastTrouble = problem
    options.onTrouble?.(problem)
  }
  const stalenessSeconds = (): number =>
    Math.min(options.stalenessSeconds, places?.stalenessSeconds ?? options.stalenessSeconds)

  const keys = issuerKeys({
    locate: () => places && { jwksUri: places.jwksUri, cacheMs: places.keysCacheSeconds * 1000 },
    fetch: options.fetch,
    clock,
    signal: closing.signal,
    isCut: kid => revocations.endedAt(subjectDigest(cutSubject(kid))) !== undefined,
    onTrouble,
  })
  const revocations = followRevocations({
    async locate(signal) {
      places = await discover(options.issuer, { fetch: options.fetch, signal })
      void keys.refresh()
      return {
        url: places.revocationStream,
        confirmUrl: places.confirmationEndpoint,
        heartbeatMs: places.heartbeatSeconds * 1000,
        stalenessMs: stalenessSeconds() * 1000,
      }
    },
    fetch: options.fetch,
    clock,
    rememberMs: options.rememberSeconds * 1000,
    label: options.label,
    onTrouble,
  })
  // A key that stopped signing has a successor, whose tokens are on their way.
  let supersededAt = 0
  revocations.onMove(() => {
    const endedAt = [...keys.kids()].map(kid => revocations.endedAt(subjectDigest(`issuer-key:${kid}`)) ?? 0)
    const latest = Math.max(0, ...endedAt)
    if (latest > supersededAt) void keys.refresh()
    supersededAt = Math.max(supersededAt, latest)
    keys.dropCut()
  })
  // A key that the issuer takes back is let go without waiting for a token that it signed.
  const rereading = setInterval(() => {
    if (keys.isDue()) void keys.refresh()
  }, 1000).unref()
  const isCurrent = (): boolean => revocations.isCurrent() && keys.isCurrent()

  return {
    keys,
    revocations,
    isCurrent,
    stalenessSeconds,
    async ready(withinSeconds) {
      const until = clock.steadyMs() + withinSeconds * 1000
      while (!isCurrent()) {
        if (closing.signal.aborted) throw new Error('the verifier is closed')
        if (clock.steadyMs() > until)
          throw new Error(`no contact to ${options.issuer}`, { cause: lastTrouble })
        await new Promise(resolve => setTimeout(resolve, 10))
      }
    },
    close() {
      closing.abort()
      clearInterval(rereading)
      revocations.close()
    },
  }
}
