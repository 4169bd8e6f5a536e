// What was decided, before anything of it is committed: inert data that whoever answers commits and then tells.
import type { GrantId } from '@writ/sdk/protocol/identifier'
import type { Spend } from '../domain/authorization/budget.ts'
import type { Refusal } from '../domain/authorization/question.ts'
import type { SmallestGrant } from '../domain/authorization/smallest-grant.ts'
import type { Basis } from '../domain/change.ts'

export type { SmallestGrant } from '../domain/authorization/smallest-grant.ts'

export interface Decided {
  readonly allowed: boolean
  /** Why not; null where it is allowed. */
  readonly refusal: Refusal | null
  /** The grants that the permission rests on, one per agent of the chain; none for who needs none. */
  readonly grants: readonly GrantId[]
  /** The number of the policy set in force, 0 where there is none, and the policies that decided. */
  readonly policy: { readonly version: number; readonly reasons: readonly string[] }
  /** What the set in trial would have said; null where none is in trial. */
  readonly shadow: { readonly version: number; readonly allowed: boolean } | null
  /** The score of everybody whose risk was known, by their id: what a replay needs of it. */
  readonly risks: Readonly<Record<string, number>>
  /** Seconds since the key of the caller's client was made: by our record where it is ours, else as it was told. */
  readonly keyAge: number | null
  /** Names of arguments that the record of this decision may keep. */
  readonly recorded: readonly string[]
  /** To be committed with the answer; where it is exhausted, the answer is no. */
  readonly spends: readonly Spend[]
  /** Everything whose end would make the answer wrong, at the epochs at which it was read; none for a refusal. */
  readonly bases: readonly Basis[]
  /**
   * Epoch seconds from which on the answer may be another without any signal: the earliest end of what it rests on.
   * Null where nothing ends. `cacheable` is false where it may change in between: it spends, or looks at the clock.
   */
  readonly until: number | null
  readonly cacheable: boolean
  readonly smallest: SmallestGrant | null
}
