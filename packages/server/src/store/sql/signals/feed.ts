// The feed of signals: what this node committed at once, what others committed by a hint or a poll, all in order.
import type { TenantId } from '../../../domain/tenant.ts'
import type { SignalAt } from '../../store.ts'

/** A memory that has to forget: told at once, in any order, possibly twice. */
export interface Ear {
  /** Forgets what the signals speak of. */
  forget(tenant: string, signals: readonly SignalAt[]): void
  /** Signals up to `epoch` were missed: forgets everything of the tenant. */
  lose(tenant: string, epoch: number): void
}

export type Listener = (tenant: TenantId, signals: readonly SignalAt[]) => void

/** What a feed knows of the signals of all tenants. */
export interface Feed {
  /** Delivers signals of this node's own commit; what others committed before them is fetched first. */
  offer(tenant: string, signals: readonly SignalAt[]): void
  /** In order, without a gap, after everything before them. */
  subscribe(listener: Listener): () => void
  hear(ear: Ear): void
  /** The epoch up to which everything was delivered. */
  seen(tenant: string): number
  contactMs(): number
  close(): Promise<void>
}

/** The part of a feed that needs no database. */
export interface Delivery {
  readonly ears: Set<Ear>
  readonly listeners: Set<Listener>
  readonly seen: Map<string, number>
  onError(error: unknown): void
}

export const deliveryOf = (onError: (error: unknown) => void): Delivery => ({
  ears: new Set(),
  listeners: new Set(),
  seen: new Map(),
  onError,
})

const call = (
  delivery: Delivery,
  listeners: ReadonlySet<Listener>,
  tenant: string,
  signals: readonly SignalAt[],
): void => {
  for (const listener of [...listeners]) {
    try {
      listener(tenant as TenantId, signals)
    } catch (error) {
      // A listener that fails must not keep the others, nor the answer of the commit, from what happened.
      delivery.onError(error)
    }
  }
}

/** Tells the memories now. */
export function tellEars(delivery: Delivery, tenant: string, signals: readonly SignalAt[]): void {
  for (const ear of delivery.ears) ear.forget(tenant, signals)
}

/** Delivers those that come next; false when some before them are missing. */
export function deliver(delivery: Delivery, tenant: string, signals: readonly SignalAt[]): boolean {
  const seen = delivery.seen.get(tenant) ?? 0
  const fresh = signals.filter(signal => signal.epoch > seen)
  const [first] = fresh
  const last = fresh.at(-1)
  if (first === undefined || last === undefined) return true
  if (first.epoch !== seen + 1) return false
  delivery.seen.set(tenant, last.epoch)
  call(delivery, delivery.listeners, tenant, fresh)
  return true
}

const add = (set: Set<Listener>, listener: Listener): (() => void) => {
  // Wrapped, so that the same function subscribed twice is two subscriptions.
  const own: Listener = (tenant, signals) => listener(tenant, signals)
  set.add(own)
  return () => {
    set.delete(own)
  }
}

export const subscriptionsOf = (delivery: Delivery): Pick<Feed, 'subscribe' | 'hear' | 'seen'> => ({
  subscribe: listener => add(delivery.listeners, listener),
  hear: ear => delivery.ears.add(ear),
  seen: tenant => delivery.seen.get(tenant) ?? 0,
})

/** The feed of a store that only this process writes to: every signal is its own, and contact is never lost. */
export function localFeed(delivery: Delivery, nowMs: () => number): Feed {
  return {
    ...subscriptionsOf(delivery),
    offer(tenant, signals) {
      tellEars(delivery, tenant, signals)
      deliver(delivery, tenant, signals)
    },
    contactMs: nowMs,
    close: async () => {},
  }
}
