// A store whose calls fail when told to, in both ways: it did not happen, or it happened and nobody heard of it.
import { AsyncLocalStorage } from 'node:async_hooks'
import { Fault } from '@writ/sdk/protocol/fault'
import type { Composed } from '@writ/server'

type Store = Composed['store']

/** `lost`: nothing happened and a failure is reported. `unheard`: it happened, and a failure is reported. */
export type Way = 'lost' | 'unheard'

export const ways: readonly Way[] = ['lost', 'unheard']

/** The calls that change what is stored; every other one only reads. */
export const isWrite = (call: string): boolean =>
  ['commit', 'tenants.ensure', 'log.publish', 'leases.hold', 'leases.release', 'sweeping.sweep'].includes(
    call,
  )

/** Not calls of the database: what is known in memory, and the end. */
const untouched = new Set(['signals.subscribe', 'signals.contactMs', 'gauges.commit', 'ping', 'close'])

export interface Breakage {
  /** Which calls count: `commit`, or a port and its method as in `facts.caller`. */
  counts(call: string, parameters: readonly unknown[]): boolean
  /** How many of those that count succeed first. */
  readonly after: number
  /** How many fail then; all of them unless told. */
  readonly times?: number
  readonly way: Way
  /** What a failing call throws; what a store that is away throws unless told. */
  error?(): unknown
}

export interface Ran<T> {
  readonly value: T
  /** The calls that were made, in order. */
  readonly calls: readonly string[]
  /** Those of them that failed. */
  readonly broken: readonly string[]
}

export interface BrokenStore {
  wrap(store: Store): Store
  /**
   * Runs the work with its calls failing as told, or none. Only the calls that the work itself makes are counted and
   * fail, whatever else the server does meanwhile.
   */
  during<T>(breakage: Breakage | undefined, work: () => Promise<T>): Promise<Ran<T>>
  /** Runs work that is not one of the loops', so that its calls fail only where `during` says so. */
  apart<T>(work: () => Promise<T>): Promise<T>
  /** From now on calls that nobody's work makes, those of the loops, fail as told; answers how many have failed. */
  inBackground(breakage: Breakage | undefined): () => number
}

interface Run {
  readonly breakage: Breakage | undefined
  readonly calls: string[]
  readonly broken: string[]
  counted: number
  open: boolean
}

const runOf = (breakage: Breakage | undefined): Run => ({
  breakage,
  calls: [],
  broken: [],
  counted: 0,
  open: true,
})

const away = (): Fault =>
  new Fault('temporarily_unavailable', 'The store cannot take this now.', { kind: 'store_unavailable' })

export function brokenStore(): BrokenStore {
  const current = new AsyncLocalStorage<Run>()
  let background = runOf(undefined)

  const fails = (call: string, parameters: readonly unknown[]): boolean => {
    const own = current.getStore()
    const run = own ?? background
    if (!run.open) return false
    run.calls.push(call)
    const { breakage } = run
    if (breakage === undefined || !breakage.counts(call, parameters)) return false
    run.counted += 1
    const past = run.counted - breakage.after
    if (past <= 0 || past > (breakage.times ?? Number.POSITIVE_INFINITY)) return false
    run.broken.push(call)
    return true
  }
  const breaking = (call: string, original: (...parameters: unknown[]) => unknown) =>
    untouched.has(call)
      ? original
      : async (...parameters: unknown[]): Promise<unknown> => {
          if (!fails(call, parameters)) return original(...parameters)
          const { breakage } = current.getStore() ?? background
          if (breakage?.way === 'unheard') await original(...parameters)
          throw breakage?.error?.() ?? away()
        }
  return {
    wrap: store => broken(store, '', breaking) as Store,
    async during(breakage, work) {
      const run = runOf(breakage)
      try {
        const value = await current.run(run, work)
        return { value, calls: run.calls, broken: run.broken }
      } finally {
        // What the work set off and nobody waited for is not of the work any more.
        run.open = false
      }
    },
    apart: work => (current.getStore() === undefined ? current.run(runOf(undefined), work) : work()),
    inBackground(breakage) {
      const run = runOf(breakage)
      background = run
      return () => run.broken.length
    },
  }
}

type Breaking = (call: string, original: (...parameters: unknown[]) => unknown) => unknown

/** The port with each of its methods, and those of the ports in it, replaced. */
function broken(port: object, prefix: string, breaking: Breaking): unknown {
  return Object.fromEntries(
    Object.entries(port).map(([name, member]) => {
      const call = `${prefix}${name}`
      return [
        name,
        typeof member === 'function'
          ? breaking(call, member)
          : broken(member as object, `${call}.`, breaking),
      ]
    }),
  )
}
