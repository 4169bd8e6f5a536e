// Sums up what was refused before anybody was known: bounded in memory and in the log, one entry for each window.
import type { Ctx } from '../context.ts'
import type { EntryDraft } from '../domain/audit-entry.ts'
import type { Store } from '../store/store.ts'
import { networkOf } from './network.ts'

export interface NoiseCounter {
  /** Counts one refusal; costs no I/O and a bounded amount of memory, whoever calls how often from wherever. */
  count(
    ctx: { readonly tenant: string; readonly peer: string | undefined },
    what: { readonly endpoint: string; readonly code: string },
  ): void
  /**
   * Commits the tenant's counts since the last flush as one entry and answers how many entries that were, 0 or 1.
   * Where the commit fails they are kept for the next one, and the failure is thrown. A crash loses at most the counts
   * of one window; where a commit failed and had happened all the same, a window is counted twice.
   */
  flush(ctx: Ctx): Promise<number>
}

/** Pairs of endpoint and code are ours, so there are few; this holds even where a name should ever come from outside. */
const mostKinds = 200
/** Addresses that are counted one by one. */
const mostPeers = 256
/** Addresses that are named in the entry. */
const namedPeers = 10

interface Window {
  /** Epoch milliseconds of the flush before; null where there was none. */
  readonly sinceMs: number | null
  readonly kinds: Map<string, number>
  readonly peers: Map<string, number>
  requests: number
  /** Whether an address had to make room for another: then counts of addresses are upper bounds. */
  crowded: boolean
}

const emptyWindow = (sinceMs: number | null): Window => ({
  sinceMs,
  kinds: new Map(),
  peers: new Map(),
  requests: 0,
  crowded: false,
})

export function createNoise({ store }: { readonly store: Pick<Store, 'commit'> }): NoiseCounter {
  const windows = new Map<string, Window>()
  return {
    count({ tenant, peer }, { endpoint, code }) {
      let window = windows.get(tenant)
      if (window === undefined) {
        window = emptyWindow(null)
        windows.set(tenant, window)
      }
      window.requests += 1
      addKind(window, `${endpoint}/${code}`, 1)
      addPeer(window, networkOf(peer), 1)
    },
    async flush(ctx) {
      const window = windows.get(ctx.tenant)
      if (window === undefined || window.requests === 0) return 0
      windows.set(ctx.tenant, emptyWindow(ctx.nowMs))
      try {
        await store.commit(ctx, { entries: [summaryOf(ctx, window)] })
      } catch (error) {
        windows.set(ctx.tenant, merged(window, windows.get(ctx.tenant)))
        throw error
      }
      return 1
    },
  }
}

function addKind({ kinds }: Window, kind: string, count: number): void {
  const known = kinds.get(kind)
  if (known !== undefined || kinds.size < mostKinds) kinds.set(kind, (known ?? 0) + count)
  else kinds.set('other', (kinds.get('other') ?? 0) + count)
}

/**
 * Space-Saving (Metwally, Agrawal, El Abbadi 2005): who is new takes the place, and the count, of the quietest. Whoever
 * made more than one in `mostPeers` of the requests is certain to be there, however many addresses an attacker has.
 */
function addPeer(window: Window, peer: string, count: number): void {
  const { peers } = window
  const known = peers.get(peer)
  if (known !== undefined || peers.size < mostPeers) {
    peers.set(peer, (known ?? 0) + count)
    return
  }
  let quietest = ''
  let least = Number.POSITIVE_INFINITY
  for (const [other, of] of peers) {
    if (of >= least) continue
    quietest = other
    least = of
  }
  peers.delete(quietest)
  peers.set(peer, least + count)
  window.crowded = true
}

function merged(older: Window, newer: Window | undefined): Window {
  for (const [kind, count] of newer?.kinds ?? []) addKind(older, kind, count)
  for (const [peer, count] of newer?.peers ?? []) addPeer(older, peer, count)
  older.requests += newer?.requests ?? 0
  older.crowded ||= newer?.crowded ?? false
  return older
}

function summaryOf(ctx: Ctx, window: Window): EntryDraft {
  const loudest = [...window.peers].sort(([, a], [, b]) => b - a).slice(0, namedPeers)
  return {
    type: 'noise.summarized',
    outcome: 'refused',
    reason: 'Requests that were refused before anybody was known.',
    decision: { rule: 'unauthenticated' },
    requestId: ctx.requestId,
    facts: {
      since: window.sinceMs === null ? null : new Date(window.sinceMs).toISOString(),
      until: new Date(ctx.nowMs).toISOString(),
      requests: window.requests,
      peers: window.peers.size,
      peers_exact: !window.crowded,
      loudest_peers: loudest.map(([peer, count]) => `${peer} ${count}`),
      ...Object.fromEntries([...window.kinds].sort(([a], [b]) => (a < b ? -1 : 1))),
    },
  }
}
