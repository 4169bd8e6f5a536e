// One operation of the management API as a row: where it is, what it takes and answers, how it decides. It never writes.
import type { Code } from '@writ/sdk/protocol/fault'
import type { z } from 'zod'
import type { Ctx } from '../context.ts'
import type { EntryDraft } from '../domain/audit-entry.ts'
import type { Caller } from '../domain/caller.ts'
import type { Change } from '../domain/change.ts'
import type { Keys } from '../keys/keys.ts'
import type { Succession, Wish } from '../keys/rotation.ts'
import type { Planning } from '../rotation/engine.ts'
import type { Store } from '../store/store.ts'

/** The numbers of the configuration that operations depend on; all in seconds. */
export interface AdminSettings {
  readonly enrollmentSeconds: number
  readonly agentKeySeconds: number
}

export interface AdminDeps {
  readonly store: Store
  readonly keys: Pick<Keys, 'nonceMac' | 'states'>
  readonly settings: AdminSettings
  /** Cryptographically strong randomness. */
  readonly randomBytes: (length: number) => Uint8Array
  /** Rotations: how each kind begins, drains and what it reaches. */
  readonly engine: Planning
  /** Decides the rotation of the token key: a successor to commit, or the one that waits already. */
  readonly planRotation: (
    ctx: Ctx,
    wish: Wish,
  ) => Promise<Pick<Succession, 'staged' | 'rotation' | 'puts' | 'signals' | 'bases'>>
}

/** What deciding code is given: every read of the store, and nothing that writes. */
export interface Reads extends Omit<AdminDeps, 'store'> {
  readonly store: Pick<
    Store,
    | 'agents'
    | 'keys'
    | 'resources'
    | 'grants'
    | 'clients'
    | 'people'
    | 'log'
    | 'issuerKeys'
    | 'rotations'
    | 'schedules'
    | 'secrets'
    | 'clientSecrets'
    | 'uses'
    | 'budgets'
    | 'usage'
    | 'halts'
    | 'risks'
    | 'sessions'
    | 'enforcementPoints'
    | 'signals'
    | 'eligibilities'
    | 'approvals'
    | 'oneTimes'
    | 'facts'
    | 'policySets'
    | 'groups'
  >
}

/** What a request asked, validated: as wire names, because this layer is the edge of the management API. */
export interface Input<P, Q, B> {
  readonly params: P
  readonly query: Q
  readonly body: B
  /** The version that `If-Match` names; null where the caller does not care. */
  readonly ifVersion: number | null
}

/** The parts of an entry that only the operation knows. The caller, the request and the outcome are added at commit. */
export type About = Pick<EntryDraft, 'agent' | 'instance' | 'person' | 'resource' | 'reason' | 'facts'>

/** What was decided: inert until `perform.ts` commits it. */
export interface Plan<A> {
  /** `bases`: facts that were read at epochs of their own, such as the key that sealed something. */
  readonly change?: Pick<Change, 'puts' | 'removals' | 'creates' | 'signals' | 'bases'>
  /** Subjects whose end would make this plan wrong: narrowed after it was decided, it is decided again. */
  readonly restsOn?: readonly string[]
  readonly about: About
  /** The type of the entry, where it depends on what was decided. */
  readonly event?: string
  readonly answer: A
  /** Of what was created, below `management_api`, or absolute. */
  readonly location?: string
  /** Of the record in the answer; becomes its ETag. */
  readonly version?: number
}

/** What a face turns into a response. */
export interface Answer {
  readonly status: number
  /** JSON; undefined where there is none. */
  readonly body: unknown
  readonly location?: string
  readonly version?: number
}

type Answered<A> = A extends z.ZodType ? z.input<A> : undefined
type Given<B> = B extends z.ZodType ? z.output<B> : undefined

export interface Operation<
  P extends z.ZodObject = z.ZodObject,
  Q extends z.ZodObject = z.ZodObject,
  B extends z.ZodType | null = z.ZodType | null,
  A extends z.ZodType | null = z.ZodType | null,
> {
  /** `<objects>.<verb>`; names the row of `access.ts` that says who may. */
  readonly id: string
  /** The type of its audit entry; reads share one. */
  readonly event: string
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** Below `management_api`, with `{name}` for parameters. */
  readonly path: string
  readonly summary: string
  readonly params: P
  readonly query: Q
  readonly body: B
  /** The longest request, where it may be longer than the configured one. */
  readonly bodyBytes?: number
  readonly status: 200 | 201 | 204
  readonly answer: A
  /** The answer carries a secret, which must not be kept readable for repeated requests. */
  readonly secret?: true
  /** It ends rights, or tells of danger: whoever keeps changing what it is about must not keep it from being done. */
  readonly insists?: true
  /** The code for an Idempotency-Key that comes with another request, where a specification names one. */
  readonly reusedKey?: Code
  decide(
    ctx: Ctx,
    deps: Reads,
    input: Input<z.output<P>, z.output<Q>, Given<B>>,
    caller: Caller,
  ): Promise<Plan<Answered<A>>>
}

/** The entry type of everything that only reads. */
export const readEvent = 'management.read'

/** The same row with its types worn off, as tables hold it. Its schemas still guard what `decide` is given. */
export interface AnyOperation extends Omit<Operation, 'decide'> {
  decide(
    ctx: Ctx,
    deps: Reads,
    input: Input<Record<string, unknown>, Record<string, unknown>, unknown>,
    caller: Caller,
  ): Promise<Plan<unknown>>
}

/** Declares an operation: the schemas type what `decide` is given and has to answer. */
export function operation<
  P extends z.ZodObject,
  Q extends z.ZodObject,
  B extends z.ZodType | null,
  A extends z.ZodType | null,
>(row: Operation<P, Q, B, A>): AnyOperation {
  return row as unknown as AnyOperation
}
