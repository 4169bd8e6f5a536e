// A bounded memory of facts that forgets by signals: coherent with the feed, whatever arrives during a read.
import type { SignalAt } from '../../store.ts'
import type { Db } from '../dialect.ts'
import type { Engine } from '../engine/engine.ts'
import type { Ear } from '../signals/feed.ts'

/** What reads of facts are made of, remembered or not. */
export interface FactsTools {
  readonly db: Db
  readonly engine: Engine
  /** The epoch up to which the feed has told the memory everything. */
  seen(tenant: string): number
  /** Whether memory may be used: on several nodes, only while the feed is followed. */
  isFollowed(): boolean
}

/** Facts kept at once; the least recently used go first. */
const memoryLimit = 10_000
/** Signals kept to judge facts that were read while these arrived. */
const recentLimit = 1024

interface Place {
  readonly tenant: string
  readonly key: string
  /** What the facts rest on: a signal about one of these ends them. */
  readonly subjects: readonly string[]
}

export interface Memory<T> extends Ear {
  /** What is remembered, with the epoch up to which it is known to hold. */
  get(tenant: string, key: string): T | undefined
  /** Keeps facts unless a signal after their epoch already speaks of them. */
  keep(place: Place, facts: T): void
}

interface Tools<T> {
  /** The epoch up to which all signals of the tenant were told to `forget`. */
  seen(tenant: string): number
  /** The facts as remembered ones of this epoch. */
  refresh(facts: T, epoch: number): T
}

interface Recent {
  readonly signals: SignalAt[]
  /** The highest epoch of those no longer kept. */
  lost: number
}

interface Kept<T> {
  facts: T
  remembered: boolean
  readonly place: Place
}

export function memoryOf<T extends { readonly epoch: number }>(tools: Tools<T>): Memory<T> {
  const kept = new Map<string, Kept<T>>()
  const bySubject = new Map<string, Set<string>>()
  const recent = new Map<string, Recent>()

  const drop = (name: string): void => {
    const entry = kept.get(name)
    if (entry === undefined) return
    kept.delete(name)
    for (const subject of entry.place.subjects) {
      const names = bySubject.get(`${entry.place.tenant}\0${subject}`)
      names?.delete(name)
      if (names?.size === 0) bySubject.delete(`${entry.place.tenant}\0${subject}`)
    }
  }
  // Facts read at an epoch may be kept only if what came after it is known, and does not speak of them.
  const isOvertaken = ({ tenant, subjects }: Place, epoch: number): boolean => {
    const known = recent.get(tenant)
    if (known === undefined) return false
    return (
      epoch < known.lost ||
      known.signals.some(signal => signal.epoch > epoch && subjects.includes(signal.subject))
    )
  }
  return {
    get(tenant, key) {
      const name = `${tenant}\0${key}`
      const entry = kept.get(name)
      if (entry === undefined) return undefined
      kept.delete(name)
      kept.set(name, entry)
      const epoch = Math.max(entry.facts.epoch, tools.seen(tenant))
      if (!entry.remembered || epoch !== entry.facts.epoch) {
        entry.facts = tools.refresh(entry.facts, epoch)
        entry.remembered = true
      }
      return entry.facts
    },
    keep(place, facts) {
      const name = `${place.tenant}\0${place.key}`
      const known = kept.get(name)
      if (known !== undefined && known.facts.epoch > facts.epoch) return
      drop(name)
      if (isOvertaken(place, facts.epoch)) return
      kept.set(name, { facts, remembered: false, place })
      for (const subject of place.subjects) {
        const key = `${place.tenant}\0${subject}`
        bySubject.set(key, (bySubject.get(key) ?? new Set()).add(name))
      }
      if (kept.size > memoryLimit) drop(kept.keys().next().value as string)
    },
    forget(tenant, signals) {
      const known = recent.get(tenant) ?? { signals: [], lost: 0 }
      known.signals.push(...signals)
      if (known.signals.length > 2 * recentLimit) {
        const lost = known.signals.splice(0, known.signals.length - recentLimit)
        known.lost = Math.max(known.lost, ...lost.map(signal => signal.epoch))
      }
      recent.set(tenant, known)
      for (const { subject, epoch } of signals) {
        for (const name of [...(bySubject.get(`${tenant}\0${subject}`) ?? [])]) {
          if ((kept.get(name)?.facts.epoch ?? 0) < epoch) drop(name)
        }
      }
    },
    lose(tenant, epoch) {
      for (const [name, { place }] of [...kept]) if (place.tenant === tenant) drop(name)
      recent.set(tenant, { signals: [], lost: epoch })
    },
  }
}
