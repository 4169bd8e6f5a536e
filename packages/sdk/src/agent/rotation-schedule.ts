// When the key is rotated: well before it ends, not all instances at once, one rotation at a time, in the background.
import type { Acting } from './credentials.ts'
import { type Replaced, type RotationDeps, recover, rotate } from './rotation.ts'

export type RotationReport =
  | { readonly outcome: 'rotated'; readonly thumbprint: string }
  | { readonly outcome: 'failed'; readonly error: unknown }

export interface RotationPolicy {
  readonly maxKeyAgeSeconds: number | undefined
  readonly onRotation: ((report: RotationReport) => void) | undefined
  /** Told before anything is signed with the new key. */
  readonly onReplaced: (replaced: Replaced) => void
}

export interface Rotation {
  /** Rotates now, or joins the rotation that is being made. Throws what `rotate` throws. */
  now(): Promise<void>
  /** See `recover`. */
  recover(): Promise<boolean>
  /** Rotates in the background if it is time: timers sleep with a laptop and freeze with a function. */
  check(): void
  /** The issuer asks for another key: this instance takes its own moment within so many seconds. */
  ask(withinSeconds: number): void
  stop(): void
}

const longestWaitMs = 3_600_000
const firstPauseMs = 1_000
const longestPauseMs = 300_000

/**
 * The instant, in epoch seconds, from which a key is to be replaced: about two thirds into its window, or a little
 * before it reaches `maxKeyAgeSeconds`. Where exactly depends on the key, so that instances which enrolled together
 * do not rotate together. Infinity for a key that has no end.
 */
export function dueAt(
  { key, notBefore, expiresAt }: Pick<Acting, 'key' | 'notBefore' | 'expiresAt'>,
  maxKeyAgeSeconds?: number,
): number {
  const spread = spreadOf(key.jkt)
  const ofWindow =
    expiresAt === null ? Number.POSITIVE_INFINITY : (expiresAt - notBefore) * (0.62 + 0.08 * spread)
  const ofAge =
    maxKeyAgeSeconds === undefined ? Number.POSITIVE_INFINITY : maxKeyAgeSeconds * (0.9 + 0.1 * spread)
  return notBefore + Math.min(ofWindow, ofAge)
}

/** From 0 to below 1, evenly over all keys. */
function spreadOf(jkt: string): number {
  return Buffer.from(jkt, 'base64url').readUInt32BE(0) / 2 ** 32
}

/** Starts at once. Its timer keeps no process alive. */
export function createRotation(deps: RotationDeps, policy: RotationPolicy): Rotation {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined
  let pauseMs = 0
  let notBeforeMs = Number.NEGATIVE_INFINITY
  let isStopped = false
  /** By our clock, the moment for the key that was in use when the issuer asked. */
  let asked: { readonly jkt: string; readonly atMs: number } | undefined

  const leftMs = (): number => {
    const acting = deps.credentials.current()
    const now = deps.wire.origins.begin(acting.issuer).now
    const dueMs = (dueAt(acting, policy.maxKeyAgeSeconds) - now) * 1000
    const askedMs = asked?.jkt === acting.key.jkt ? asked.atMs - deps.wire.clock() : Number.POSITIVE_INFINITY
    return Math.max(Math.min(dueMs, askedMs), notBeforeMs - deps.wire.clock())
  }
  const plan = (): void => {
    clearTimeout(timer)
    if (isStopped) return
    timer = setTimeout(check, Math.min(Math.max(leftMs(), 50), longestWaitMs))
    timer.unref()
  }
  const step = async (): Promise<void> => {
    const replaced = await rotate(deps)
    if (replaced !== undefined) policy.onReplaced(replaced)
    pauseMs = 0
    notBeforeMs = Number.NEGATIVE_INFINITY
  }
  const now = (): Promise<void> => {
    running ??= step().finally(() => {
      running = undefined
      plan()
    })
    return running
  }
  const inBackground = async (): Promise<void> => {
    try {
      await now()
      policy.onRotation?.({ outcome: 'rotated', thumbprint: deps.credentials.current().key.jkt })
    } catch (error) {
      // The old key still signs: there is time to try again, ever more slowly.
      pauseMs = Math.min(Math.max(pauseMs * 2, firstPauseMs), longestPauseMs)
      notBeforeMs = deps.wire.clock() + pauseMs
      plan()
      policy.onRotation?.({ outcome: 'failed', error })
    }
  }
  const check = (): void => {
    if (isStopped || running !== undefined) return
    if (leftMs() <= 0) void inBackground()
    else plan()
  }

  plan()
  return {
    now,
    async recover() {
      const before = deps.credentials.current().key.jkt
      // A rotation that is being made may be what made the issuer refuse the key.
      if (running !== undefined) await running.catch(() => undefined)
      const found = before !== deps.credentials.current().key.jkt || (await recover(deps))
      plan()
      return found
    },
    check,
    ask(withinSeconds) {
      const { jkt } = deps.credentials.current().key
      // Asked again while the moment is still to come: it stays.
      if (asked?.jkt === jkt) return
      asked = { jkt, atMs: deps.wire.clock() + spreadOf(jkt) * withinSeconds * 1000 }
      plan()
    },
    stop() {
      isStopped = true
      clearTimeout(timer)
    },
  }
}
