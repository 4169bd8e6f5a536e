// A change: everything that has to become true together, as inert data. Use cases build it; the store commits it.

import type { Agent, Instance, Key } from './agent.ts'
import type { EntryDraft } from './audit-entry.ts'
import type { Approval } from './authorization/approval.ts'
import type { Settlement, Spend } from './authorization/budget.ts'
import type { Eligibility } from './authorization/eligibility.ts'
import type { Group } from './authorization/group.ts'
import type { Halt } from './authorization/halt.ts'
import type { PolicySet } from './authorization/policy/set.ts'
import type { Risk } from './authorization/risk.ts'
import type { Session } from './authorization/session.ts'
import type { Client, Person } from './client.ts'
import type { ClientSecret } from './client-secret.ts'
import type { Grant } from './grant.ts'
import type { IssuerKey } from './issuer-key.ts'
import type { Resource } from './resource.ts'
import type { Rotation } from './rotation.ts'
import type { Schedule } from './schedule.ts'
import type { VaultKey } from './vault/key.ts'
import type { SecretLease, SecretVersion, VaultSecret } from './vault/secret.ts'

/**
 * A replay mark: the commit holds only if nobody has left the same mark before `until` passed.
 * `key` is a SHA-256 over length-prefixed parts, base64url.
 */
export interface Claim {
  readonly key: string
  /** Epoch seconds up to and including which the mark is remembered. */
  readonly until: number
}

/** A one-time artefact to consume. `kind` keeps artefacts of different kinds apart (CVE-2026-4282). */
export interface Take {
  readonly kind: OneTimeKind
  /** Hash of the artefact; the artefact itself is never stored. */
  readonly key: string
}

export type OneTimeKind = 'enrollment' | 'decision_report' | 'reservation' | 'access_bundle'

/** A one-time artefact to create. */
export interface OneTime extends Take {
  /** What taking it yields. */
  readonly value: string
  readonly expiresAt: number
}

/** The versioned records, by table. */
export interface Records {
  agent: Agent
  instance: Instance
  key: Key
  resource: Resource
  grant: Grant
  client: Client
  person: Person
  issuerKey: IssuerKey
  rotation: Rotation
  schedule: Schedule
  secret: VaultSecret
  secretVersion: SecretVersion
  secretLease: SecretLease
  vaultKey: VaultKey
  clientSecret: ClientSecret
  policySet: PolicySet
  group: Group
  session: Session
  risk: Risk
  eligibility: Eligibility
  approval: Approval
  halt: Halt
}

export type RecordKind = keyof Records

/** A record with the version it was read at. */
export type Versioned<T> = T & { readonly version: number }

/**
 * Writes one record. `ifVersion` 0: it must not exist yet; n: it must still have the version n it was read at.
 * There is no unconditional write, so no change can undo another that it has not seen.
 */
export type Put = {
  [K in RecordKind]: { readonly put: K; readonly value: Records[K]; readonly ifVersion: number }
}[RecordKind]

/** Removes one record that still has the version it was read at; most kinds are never removed. */
export interface Removal {
  readonly remove: 'resource' | 'person' | 'client' | 'schedule' | 'group'
  readonly id: string
  readonly ifVersion: number
}

/**
 * Something others act upon. `narrowed`: rights or liveness of the subject ended at this instant: every token that
 * names the subject and was issued from an earlier epoch is dead, for ever. `changed`: read it again.
 * The subject is an id (agent, instance, grant, client, resource), `key:<thumbprint>`, `token:<jti>`,
 * `issuer-key:<kid>` or `issuer-key-cut:<kid>`. A change that writes a record without a signal about the one it belongs to (the agent of an
 * instance or grant, the owner of a key, else the record itself) gets a `changed` one from the store.
 */
export interface Signal {
  readonly subject: string
  readonly kind: 'narrowed' | 'changed'
}

/**
 * Facts that a decision rests on, as read at one epoch. The commit fails as `stale` when one of the subjects was
 * narrowed after that `epoch`, so what is committed was still true at the instant of the commit, on whatever node it
 * was decided. Facts read at different epochs are different bases: one is never judged by the epoch of another.
 */
export interface Basis {
  readonly epoch: number
  readonly subjects: readonly string[]
}

/** That a key authenticated its holder. Recorded at most once a second and key. */
export interface Touch {
  readonly thumbprint: string
  readonly from: string | null
}

/**
 * That somebody was given or showed a version of something that rotates: what its drain is judged by. Kept per version
 * and caller, with the first and the newest use.
 */
export interface Use {
  /** The id of the version: of a secret's, or of a client's secret. */
  readonly version: string
  readonly caller: string
  readonly from: string | null
  /** Until when the caller may rely on it: the end of its lease; null where the use is over at once. */
  readonly until: number | null
}

/** An answer kept for a repeated request with the same Idempotency-Key. */
export interface Remembered {
  readonly key: string
  /** Hash of what was asked; the same key for another request is refused. */
  readonly request: string
  readonly status: number
  readonly body: string
  readonly until: number
}

/**
 * The fence of the lease under which a background loop works. The commit fails as `stale` when another holder has had
 * the lease since, so that a loop that was paused past its lease writes nothing.
 */
export interface Fence {
  readonly lease: string
  readonly fence: number
}

/** All or nothing, durable before it is acknowledged, with its audit entries in the same commit. */
export interface Change {
  readonly bases?: readonly Basis[]
  readonly fence?: Fence
  readonly claims?: readonly Claim[]
  readonly takes?: readonly Take[]
  readonly creates?: readonly OneTime[]
  readonly puts?: readonly Put[]
  readonly removals?: readonly Removal[]
  readonly signals?: readonly Signal[]
  readonly touches?: readonly Touch[]
  readonly uses?: readonly Use[]
  readonly spends?: readonly Spend[]
  readonly settlements?: readonly Settlement[]
  readonly remembers?: readonly Remembered[]
  /** At least one: nothing changes unseen. */
  readonly entries: readonly [EntryDraft, ...EntryDraft[]]
}

/** A budget that has not enough for a change: the first spend of it that did not fit. */
export interface Short {
  /** Which of the spends of the change, from 0: those before it of the same budget did fit. */
  readonly at: number
  /** What the budget still has after those before it. */
  readonly leftover: number
  /** The first instant at which the amount may fit; null where it never will. */
  readonly againAt: number | null
}

/**
 * What became of a change. Only `done` changed anything: a change that failed leaves none of its claims marked, so it
 * may be decided again and committed anew. What a refused caller showed is used up by the change that records the
 * refusal. Of several reasons the first of this order is told: stale, replayed, exhausted, unsettled, spent or absent,
 * conflict. `record` of a conflict is the kind of record, or `oneTime`, or `answer` for an Idempotency-Key in use.
 * `exhausted`: this would spend more than a budget has; `short` has each budget of which that is so, in the order of the
 * spends. `unsettled`: no such reservation waits to be settled.
 */
export type Committed =
  | {
      readonly kind: 'done'
      readonly first: { readonly id: string; readonly index: number }
      readonly epoch: number
    }
  | { readonly kind: 'replayed'; readonly claim: Claim }
  | { readonly kind: 'spent' | 'absent'; readonly take: Take }
  | { readonly kind: 'exhausted'; readonly short: readonly Short[] }
  | { readonly kind: 'unsettled'; readonly settlement: Settlement }
  | { readonly kind: 'conflict'; readonly record: string; readonly id: string }
  | { readonly kind: 'stale' }
