// The port of rotators: how a secret is replaced at the system that it opens. `contract.ts` holds each to it.
import type { Secret } from '@writ/sdk/protocol/secret'
import type { z } from 'zod'
import type { DrainUser } from '../../domain/rotation.ts'

/** One version of a secret as a rotator sees it. */
export interface Held {
  readonly value: Secret<string>
  /** What the upstream calls it, such as the name of a role; null before anything is known of it. */
  readonly handle: string | null
  readonly number: number
}

/** What a step is given. Everything that it needs comes with it, so that any node can take any step again. */
export interface RotatorContext<O> {
  readonly options: O
  /** The id of the rotation: each step is idempotent on it. */
  readonly rotation: string
  readonly secretName: string
  /** The version in use; null for the first one that is made. */
  readonly current: Held | null
  /** The version that is being made or withdrawn. */
  readonly next: Held
  /** Another secret of the vault that this rotator may use, by name: the credentials of its administrator. */
  readonly secret: (name: string) => Promise<Secret<string>>
  /** Epoch seconds. */
  readonly now: number
  /** Aborts when the server stops, or the lease of the loop is over. */
  readonly signal: AbortSignal
}

/**
 * Every step may have happened before, wholly or in part, with its answer lost: it looks, and does what is missing. It
 * throws `temporarily_unavailable` where the upstream cannot be reached (it is tried again) and `conflict` where the
 * upstream refuses (the rotation is blocked, or failed while staged), with a sentence that says what to do. No secret
 * stands in either.
 */
export interface Rotator<O = unknown> {
  readonly kind: string
  /** Strict; secrets are named, never given. */
  readonly options: z.ZodType<O>
  /** `versions`: a value per version, drained and withdrawn. `leases`: a value per lease (`LeaseRotator`). */
  readonly makes: 'versions'
  /** How the predecessor's end is known: by leases and reads alone, or by sessions that the upstream shows. */
  readonly proof: 'last_use' | 'live_sessions'
  /** A value and handle for the next version, before the upstream hears of it: what is stored first cannot be lost. */
  propose(context: Omit<RotatorContext<O>, 'next'>): Promise<Pick<Held, 'value' | 'handle'>>
  /** Makes the upstream know the next version beside the current one; answers it where the upstream chose the value. */
  stage(context: RotatorContext<O>): Promise<Partial<Pick<Held, 'value' | 'handle'>>>
  /** Uses the next version as its consumers will. */
  verify(context: RotatorContext<O>): Promise<void>
  /** Makes it the one in use, where the upstream has such a notion. Both still work afterwards. */
  promote(context: RotatorContext<O>): Promise<void>
  /**
   * What consumers are given of a value, where that is not the whole: the rest is for the next rotation alone. Throws
   * `conflict` where the value is none of its kind, so that nothing is given on doubt.
   */
  given?(value: Secret<string>): Secret<string>
  /** Who is connected with the version `next` now, as far as the upstream shows it. */
  sessions?(context: RotatorContext<O>): Promise<readonly DrainUser[]>
  /** Withdraws the version `next` for good: a drained predecessor, a successor that failed, or one that was cut. */
  retire(context: RotatorContext<O>): Promise<void>
}

/** A value that lives as long as one lease. Steps are idempotent on the handle, which is stored before they begin. */
export interface LeaseRotator<O = unknown> {
  readonly kind: string
  readonly options: z.ZodType<O>
  readonly makes: 'leases'
  /** A handle that no other lease has, from 26 random letters; recognisable as ours. */
  handleOf(options: O, random: string): string
  /** Makes the value; the upstream ends it by itself at `expiresAt` where it can. */
  issue(context: LeaseContext<O>): Promise<Secret<string>>
  /** Ends it, with the sessions that use it. Nothing to end is done. */
  revoke(context: LeaseContext<O>): Promise<void>
  /** Every handle at the upstream that looks like one of ours: those without a lease are swept. */
  handles(context: Omit<LeaseContext<O>, 'handle' | 'expiresAt'>): Promise<readonly string[]>
}

export interface LeaseContext<O> {
  readonly options: O
  readonly secretName: string
  readonly handle: string
  /** Epoch seconds. */
  readonly expiresAt: number
  readonly secret: (name: string) => Promise<Secret<string>>
  readonly now: number
  readonly signal: AbortSignal
}

/** One whose options are its own affair: they are `never` to whoever has not parsed them with its schema. */
type Opaque<R extends { readonly options: unknown }> = Omit<R, 'options'> & {
  readonly options: z.ZodType<unknown>
}

export type AnyRotator = Opaque<Rotator<never>> | Opaque<LeaseRotator<never>>
