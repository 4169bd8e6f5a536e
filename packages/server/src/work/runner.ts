// Runs the background loops: each never beside itself, leased ones on one node at a time, failures with growing pauses.
import { randomInt, randomUUID } from 'node:crypto'
import { isFault } from '@writ/sdk/protocol/fault'
import type { Ctx, Note } from '../context.ts'
import type { Fence } from '../domain/change.ts'
import type { Tenant } from '../domain/tenant.ts'
import type { Leases } from '../store/store.ts'

/** A row of the table of loops. */
export interface Loop<D> {
  readonly name: string
  /** The pause between two runs. */
  readonly everySeconds: number
  /** Whether one node at a time runs it. */
  readonly leased: boolean
  /** Once per run for each tenant, or once for the whole store, in the name of the first tenant. */
  readonly per: 'tenant' | 'store'
  /**
   * Does what is due, bounded; answers how many things it did. What it notes is logged when that is not 0. The fence of
   * a leased loop belongs into every change it commits: a node that slept past its lease then changes nothing.
   */
  run(ctx: Ctx, deps: D, fence: Fence | undefined): Promise<number>
}

/** `idle`: nothing was due. `held`: another node runs it. `away`: the store could not be reached. `failed`: a bug. */
export type RunOutcome = 'done' | 'idle' | 'held' | 'away' | 'failed'

export interface RunReport {
  readonly loop: string
  readonly outcome: RunOutcome
  readonly seconds: number
}

export interface RunnerOptions<D> {
  readonly loops: readonly Loop<D>[]
  readonly deps: D
  readonly leases: Leases
  /** Names this process among the holders of leases. */
  readonly holder: string
  readonly tenants: () => Promise<readonly Tenant[]>
  /** The one clock, epoch milliseconds; read once per run. */
  readonly nowMs: () => number
  readonly log: (level: 'info' | 'error', facts: Note, error?: unknown) => void
  readonly onRun?: (report: RunReport) => void
  /** Seconds by a clock that is never set. */
  readonly steadySeconds?: () => number
  /** Resolves after so many seconds, or at once when the signal aborts. */
  readonly pause?: (seconds: number, signal: AbortSignal) => Promise<void>
}

export interface Runner {
  /** Begins no further run and waits for those under way, at most so long. Answers whether all of them ended. */
  stop(withinSeconds: number): Promise<boolean>
}

/** How long a lease is held; after a crash of its holder another node takes over within this time. */
export const leaseSeconds = 15
/** A store that is away may be back any moment, and within seconds of that everything runs again. */
const longestPauseAwaySeconds = 4
/** Any other failure is a bug of ours, which haste does not mend. */
const longestPauseSeconds = 60

/** Starts every loop, each after a random part of its interval, so that nodes started together do not march in step. */
export function startRunner<D>(options: RunnerOptions<D>): Runner {
  const stopping = new AbortController()
  const settled = { steadySeconds: steady, pause: pauseFor, ...options }
  const running = Promise.all(options.loops.map(loop => repeat(loop, settled, stopping.signal)))
  return {
    async stop(withinSeconds) {
      stopping.abort()
      const waited = new AbortController()
      const ended = await Promise.race([
        running.then(() => true),
        pauseFor(withinSeconds, waited.signal).then(() => false),
      ])
      waited.abort()
      return ended
    },
  }
}

type Settled<D> = RunnerOptions<D> & Required<Pick<RunnerOptions<D>, 'steadySeconds' | 'pause'>>

async function repeat<D>(loop: Loop<D>, options: Settled<D>, signal: AbortSignal): Promise<void> {
  const lease = loop.leased ? leaseOf(loop.name, options) : undefined
  let failures = 0
  await options.pause(jittered(loop.everySeconds), signal)
  while (!signal.aborted) {
    const outcome = await attempt(loop, options, lease)
    failures = outcome === 'away' || outcome === 'failed' ? failures + 1 : 0
    await options.pause(pauseAfter(loop.everySeconds, outcome, failures), signal)
  }
  // Handing the lease back spares the others the wait for its end; where that fails, it ends by itself.
  await lease?.release().catch(error => report(loop.name, options, error))
}

/** One run, of which no failure escapes: a loop that stops unseen is worse than one that fails loudly. */
async function attempt<D>(
  loop: Loop<D>,
  options: Settled<D>,
  lease: HeldLease | undefined,
): Promise<RunOutcome> {
  const began = options.steadySeconds()
  let outcome: RunOutcome
  try {
    const turn: { readonly fence?: Fence } | 'held' = lease === undefined ? {} : await lease.renew()
    outcome = turn === 'held' ? 'held' : await runOnce(loop, options, turn.fence)
  } catch (error) {
    outcome = report(loop.name, options, error)
  }
  options.onRun?.({ loop: loop.name, outcome, seconds: options.steadySeconds() - began })
  return outcome
}

async function runOnce<D>(loop: Loop<D>, options: Settled<D>, fence: Fence | undefined): Promise<RunOutcome> {
  const tenants = await options.tenants()
  let did = 0
  let failed: 'away' | 'failed' | undefined
  for (const tenant of loop.per === 'store' ? tenants.slice(0, 1) : tenants) {
    const { ctx, noted } = contextOf(tenant, options.nowMs())
    try {
      const done = await loop.run(ctx, options.deps, fence)
      did += done
      if (done > 0) options.log('info', { loop: loop.name, tenant: tenant.id, did: done, ...noted })
    } catch (error) {
      // One tenant's trouble must not keep the loop from the others.
      const how = report(loop.name, options, error, { tenant: tenant.id, request: ctx.requestId })
      failed = failed === 'failed' ? failed : how
    }
  }
  if (failed !== undefined) return failed
  return did > 0 ? 'done' : 'idle'
}

function contextOf(tenant: Tenant, nowMs: number): { ctx: Ctx; noted: Record<string, Note[string]> } {
  const noted: Record<string, Note[string]> = {}
  const ctx: Ctx = {
    tenant: tenant.id,
    issuer: tenant.issuer,
    now: Math.floor(nowMs / 1000),
    nowMs,
    requestId: randomUUID(),
    traceId: undefined,
    peer: undefined,
    note: facts => void Object.assign(noted, facts),
  }
  return { ctx, noted }
}

function report<D>(loop: string, options: Settled<D>, error: unknown, facts: Note = {}): 'away' | 'failed' {
  const code = isFault(error) ? error.code : 'server_error'
  options.log('error', { loop, code, ...facts }, error)
  return code === 'temporarily_unavailable' ? 'away' : 'failed'
}

interface HeldLease {
  /** Whether this process may run now, and under which fence. Asks the store only once a third of the time has gone. */
  renew(): Promise<{ readonly fence: Fence } | 'held'>
  release(): Promise<void>
}

function leaseOf<D>(loop: string, options: Settled<D>): HeldLease {
  const name = `loop:${loop}`
  let askAgainAt = Number.NEGATIVE_INFINITY
  let last: { readonly fence: Fence } | 'held' = 'held'
  return {
    async renew() {
      // Read before asking: the store began to count no earlier than this, so we never believe longer than it does.
      const asked = options.steadySeconds()
      if (asked < askAgainAt) return last
      last = 'held'
      const lease = await options.leases.hold(name, options.holder, leaseSeconds)
      if (lease !== 'held') last = { fence: { lease: name, fence: lease.fence } }
      askAgainAt = asked + leaseSeconds / 3
      return last
    },
    async release() {
      if (last !== 'held') await options.leases.release(name, options.holder)
    },
  }
}

// Twice the pause after each failure in a row, and never two nodes in step: a store that is down meets no storm.
function pauseAfter(everySeconds: number, outcome: RunOutcome, failures: number): number {
  if (failures === 0) return everySeconds
  const longest = outcome === 'away' ? longestPauseAwaySeconds : longestPauseSeconds
  const doubled = everySeconds * 2 ** Math.min(failures, 16)
  return jittered(Math.min(doubled, Math.max(longest, everySeconds)), 0.5)
}

function jittered(seconds: number, atLeast = 0): number {
  const part = randomInt(1000) / 1000
  return seconds * (atLeast + (1 - atLeast) * part)
}

function steady(): number {
  return performance.now() / 1000
}

function pauseFor(seconds: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) return resolve()
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, seconds * 1000)
    signal.addEventListener('abort', end)
  })
}
