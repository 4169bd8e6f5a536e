// The ports of storage: what each verb guarantees, in words. `contract/` holds every implementation to them.

import type { Ctx } from '../context.ts'
import type { Agent, Instance, Key, KeyUse } from '../domain/agent.ts'
import type { Risk } from '../domain/authorization/risk.ts'
import type { Session } from '../domain/authorization/session.ts'
import type { Change, Committed, OneTimeKind, Remembered, Signal, Versioned } from '../domain/change.ts'
import type { Client, Person } from '../domain/client.ts'
import type { ClientSecret } from '../domain/client-secret.ts'
import type { Grant } from '../domain/grant.ts'
import type { IssuerKey } from '../domain/issuer-key.ts'
import type { Resource } from '../domain/resource.ts'
import type { DrainUser, Rotation } from '../domain/rotation.ts'
import type { Schedule } from '../domain/schedule.ts'
import type { Tenant, TenantId } from '../domain/tenant.ts'
import type { VaultKey } from '../domain/vault/key.ts'
import type { SecretLease, SecretVersion, VaultSecret } from '../domain/vault/secret.ts'
import type {
  Approvals,
  Budgets,
  Eligibilities,
  EnforcementPoints,
  Governing,
  Groups,
  Halts,
  PolicySets,
  Risks,
  Sessions,
  Usage,
} from './authorization.ts'
import type { Page, PageRequest, Scope } from './page.ts'

export type { Page, PageRequest, Scope } from './page.ts'

export interface Tenants {
  get(id: TenantId): Promise<Tenant | undefined>
  list(): Promise<readonly Tenant[]>
  /** Creates it, or leaves the one that stands; answers the one that stands. */
  ensure(tenant: Tenant): Promise<Tenant>
}

export interface Agents {
  get(scope: Scope, id: string): Promise<Versioned<Agent> | undefined>
  list(
    scope: Scope,
    page: PageRequest,
    filter: { owner?: string; status?: string; name?: string },
  ): Promise<Page<Versioned<Agent>>>
  instances(scope: Scope, page: PageRequest, filter: { agent: string }): Promise<Page<Versioned<Instance>>>
  instance(scope: Scope, id: string): Promise<Versioned<Instance> | undefined>
}

/** A key with its last use. */
export type UsedKey = Versioned<Key> & { readonly use: KeyUse | null }

export interface Keys {
  byThumbprint(scope: Scope, thumbprint: string): Promise<Versioned<Key> | undefined>
  /** All of them, the dead with the living: for whoever judges an owner by its keys. */
  ofOwner(scope: Scope, owner: string): Promise<readonly UsedKey[]>
  /** Those of the owner whose kid or thumbprint is one of these, dead or alive. */
  named(scope: Scope, owner: string, names: readonly string[]): Promise<readonly Versioned<Key>[]>
  list(scope: Scope, page: PageRequest, filter: { owner: string }): Promise<Page<UsedKey>>
  /** At most `limit` keys in state `retiring` whose `expiresAt` is at or before `now`, those that ended first first. */
  expired(scope: Scope, now: number, limit: number): Promise<readonly Versioned<Key>[]>
}

export interface Resources {
  get(scope: Scope, id: string): Promise<Versioned<Resource> | undefined>
  byIdentifier(scope: Scope, identifier: string): Promise<Versioned<Resource> | undefined>
  list(scope: Scope, page: PageRequest): Promise<Page<Versioned<Resource>>>
}

export interface Grants {
  get(scope: Scope, id: string): Promise<Versioned<Grant> | undefined>
  /** Live and ended ones; `live` at that instant leaves only those that are neither revoked nor expired. */
  list(
    scope: Scope,
    page: PageRequest,
    filter: { agent?: string; resource?: string; liveAt?: number },
  ): Promise<Page<Versioned<Grant>>>
}

export interface Clients {
  get(scope: Scope, id: string): Promise<Versioned<Client> | undefined>
  list(scope: Scope, page: PageRequest): Promise<Page<Versioned<Client>>>
}

export interface People {
  get(scope: Scope, id: string): Promise<Versioned<Person> | undefined>
  byLogin(scope: Scope, loginKey: string): Promise<Versioned<Person> | undefined>
  list(scope: Scope, page: PageRequest): Promise<Page<Versioned<Person>>>
  /** Those who belong to the group, in the order of their creation. */
  members(scope: Scope, page: PageRequest, group: string): Promise<Page<Versioned<Person>>>
}

export interface OneTimes {
  /**
   * What taking it would yield, without taking it. `spent` when it was taken, `absent` when it never was or has
   * expired: expiry is judged at `now`, and an artefact is good strictly before its `expiresAt`.
   */
  peek(
    scope: Scope,
    kind: OneTimeKind,
    key: string,
    now: number,
  ): Promise<{ readonly value: string } | 'spent' | 'absent'>
}

/** Everything about one caller that a decision needs, read at one epoch. */
export interface CallerFacts {
  readonly epoch: number
  /** Whether these come from memory; a refusal must never rest on memory alone, so the caller reads again. */
  readonly remembered: boolean
  readonly agent: Agent | undefined
  readonly client: Client | undefined
  /**
   * Without those that are dead: retired, revoked, or past their end at the time of reading. An agent may have thousands
   * of them. Who has to know of a dead one finds it by its name.
   */
  readonly keys: readonly Key[]
  /** Those of a client that are in use or drain; none of an agent, which never has one. */
  readonly clientSecrets: readonly ClientSecret[]
  /** Live at the time of reading or later: expiry still has to be judged. */
  readonly grants: readonly Grant[]
}

/**
 * The hot path's reads. Facts may come from memory as long as the feed of changes is followed; whatever is decided on
 * them is checked again at commit (`Basis`), so memory can make a decision slower, never wrong.
 */
export interface Facts {
  /** Of an agent or client; undefined when there is none of that id. `fresh` reads past the memory. */
  caller(
    scope: Scope & Pick<Ctx, 'now'>,
    id: string,
    options?: { fresh?: boolean },
  ): Promise<CallerFacts | undefined>
  resource(
    scope: Scope,
    identifier: string,
    options?: { fresh?: boolean },
  ): Promise<(Resource & { readonly epoch: number }) | undefined>
  /** A person with its groups; undefined when there is none of that id. */
  person(
    scope: Scope,
    id: string,
    options?: { fresh?: boolean },
  ): Promise<{ readonly epoch: number; readonly person: Person } | undefined>
  /** What holds for every decision of the tenant. */
  governing(scope: Scope, options?: { fresh?: boolean }): Promise<Governing>
  /** A session; undefined when there is none of that id. */
  session(
    scope: Scope,
    id: string,
    options?: { fresh?: boolean },
  ): Promise<{ readonly epoch: number; readonly session: Session } | undefined>
  /** The risk that was told of a subject; `risk` is undefined where none was. */
  risk(
    scope: Scope,
    id: string,
    options?: { fresh?: boolean },
  ): Promise<{ readonly epoch: number; readonly risk: Risk | undefined }>
}

export interface SignalAt extends Signal {
  /** The epoch at which it holds: contiguous per tenant, in the order of commits. */
  readonly epoch: number
  /** Epoch milliseconds. */
  readonly atMs: number
}

/** The feed of signals. Rows stay at least as long as any token issued before them could live. */
export interface Signals {
  /** The epoch of the last commit that carried a signal; 0 before the first. */
  head(scope: Scope): Promise<number>
  /** In order, at most `limit`, those after `epoch`; `kind` filters. */
  after(scope: Scope, epoch: number, limit: number, kind?: Signal['kind']): Promise<readonly SignalAt[]>
  /** `narrowed` signals not older than `sinceMs`: what a verifier that just connected has to know. */
  narrowedSince(scope: Scope, sinceMs: number): Promise<readonly SignalAt[]>
  /** Whether one of the subjects was narrowed after `epoch`. Always reads the store. */
  isNarrowed(scope: Scope, subjects: readonly string[], epoch: number): Promise<boolean>
  /**
   * Calls back after each commit whose signals are visible, on this node at once and on others by notification with
   * a poll of at most 250 ms behind it. `contactMs()` is the last instant at which the store was known reachable.
   */
  subscribe(listener: (tenant: TenantId, signals: readonly SignalAt[]) => void): () => void
  contactMs(): number
}

export interface StoredEntry {
  readonly index: number
  /** The leaf, exactly as hashed. */
  readonly text: string
}

export interface EntryFilter {
  readonly agent?: string
  readonly person?: string
  readonly type?: string
  readonly requestId?: string
  readonly sinceMs?: number
  readonly untilMs?: number
}

export interface Log {
  /** Entries committed so far: the next index. */
  size(scope: Scope): Promise<number>
  entry(scope: Scope, id: string): Promise<StoredEntry | undefined>
  /** By index, `from` inclusive, `to` exclusive. */
  range(scope: Scope, from: number, to: number): Promise<readonly StoredEntry[]>
  /** The leaf hashes of such a range (RFC 6962 §2.1), 32 bytes each, one after the other; nothing is hashed anew. */
  hashes(scope: Scope, from: number, to: number): Promise<Uint8Array>
  /** In index order, those after the index `after`. */
  find(scope: Scope, filter: EntryFilter, after: number, limit: number): Promise<readonly StoredEntry[]>
  /** Hash tiles (C2SP tlog-tiles), full ones only; 256 hashes of 32 bytes. */
  tile(scope: Scope, level: number, index: number): Promise<Uint8Array | undefined>
  /** The newest checkpoint note, and the tree size it commits to. */
  checkpoint(scope: Scope): Promise<{ readonly size: number; readonly note: string } | undefined>
  /**
   * Stores full tiles and a checkpoint together, only if `size` is larger than that of the stored one: a smaller or
   * second tree of the same size is never published, whatever crashed or raced before. False when it was not larger.
   */
  publish(
    scope: Scope,
    size: number,
    note: string,
    tiles: readonly { level: number; index: number; hashes: Uint8Array }[],
  ): Promise<boolean>
}

export interface IssuerKeys {
  list(scope: Scope): Promise<readonly Versioned<IssuerKey>[]>
}

export interface Rotations {
  get(scope: Scope, id: string): Promise<Versioned<Rotation> | undefined>
  /** Those of these ids that there are, in any order; at most a thousand ids. */
  among(scope: Scope, ids: readonly string[]): Promise<readonly Versioned<Rotation>[]>
  list(
    scope: Scope,
    page: PageRequest,
    filter: { kind?: string; target?: string; state?: string; batch?: string },
  ): Promise<Page<Versioned<Rotation>>>
  /** Those of this target that have not ended, oldest first; each replaces another version. */
  open(scope: Scope, kind: string, target: string): Promise<readonly Versioned<Rotation>[]>
  /** At most `limit` whose `dueAt` is at or before `now`, those that are due longest first. */
  due(scope: Scope, now: number, limit: number): Promise<readonly Versioned<Rotation>[]>
}

export interface Schedules {
  get(scope: Scope, id: string): Promise<Versioned<Schedule> | undefined>
  list(
    scope: Scope,
    page: PageRequest,
    filter: { kind?: string; target?: string },
  ): Promise<Page<Versioned<Schedule>>>
  /** Active ones whose `nextAt` is at or before `now`, those that are due longest first. */
  due(scope: Scope, now: number, limit: number): Promise<readonly Versioned<Schedule>[]>
}

export interface Secrets {
  get(scope: Scope, id: string): Promise<Versioned<VaultSecret> | undefined>
  byName(scope: Scope, name: string): Promise<Versioned<VaultSecret> | undefined>
  list(scope: Scope, page: PageRequest, filter: { owner?: string }): Promise<Page<Versioned<VaultSecret>>>
  version(scope: Scope, id: string): Promise<Versioned<SecretVersion> | undefined>
  /** Those of one secret, oldest first; the sealed text with them. */
  versions(
    scope: Scope,
    secret: string,
    filter?: { readonly states?: readonly SecretVersion['state'][] },
  ): Promise<readonly Versioned<SecretVersion>[]>
  /** At most `limit` versions whose data key is wrapped by this vault key, in no order that matters. */
  under(scope: Scope, vaultKey: string, limit: number): Promise<readonly Versioned<SecretVersion>[]>
  /** How many there are of them. */
  countUnder(scope: Scope, vaultKey: string): Promise<number>
  lease(scope: Scope, id: string): Promise<Versioned<SecretLease> | undefined>
  leases(
    scope: Scope,
    page: PageRequest,
    filter: { secret?: string; agent?: string },
  ): Promise<Page<Versioned<SecretLease>>>
  /**
   * Leases that have not ended, of this agent or secret, in the order of their ids, at most `limit`; those after the
   * id `after`, which needs to be none of them: what ends between two pages hides nothing.
   */
  liveLeases(
    scope: Scope,
    of: { agent?: string; secret?: string },
    limit: number,
    after?: string,
  ): Promise<readonly Versioned<SecretLease>[]>
  /** At most `limit` leases whose `dueAt` is at or before `now`. */
  dueLeases(scope: Scope, now: number, limit: number): Promise<readonly Versioned<SecretLease>[]>
}

export interface VaultKeys {
  /** All of the tenant, oldest first. */
  list(scope: Scope): Promise<readonly Versioned<VaultKey>[]>
}

export interface ClientSecrets {
  /** Those of one client, oldest first. */
  ofClient(scope: Scope, client: string): Promise<readonly Versioned<ClientSecret>[]>
}

export interface Uses {
  /** Who used this version, the newest use first, at most `limit`. */
  of(scope: Scope, version: string, limit: number): Promise<readonly DrainUser[]>
}

export interface Leases {
  /**
   * Holds the named lease for `seconds` from the store's clock, or says that another holder has it. Its holder renews
   * it under the same fence; with each new holder the fence grows, and a change that carries an older one is `stale`.
   */
  hold(name: string, holder: string, seconds: number): Promise<{ readonly fence: number } | 'held'>
  release(name: string, holder: string): Promise<void>
}

export interface Remembering {
  /** The answer kept for this key, if it is still remembered at `now`. */
  recall(scope: Scope, key: string, now: number): Promise<Remembered | undefined>
}

export interface Sweeping {
  /**
   * Deletes replay marks, one-time artefacts, answers and signals past their time, budgets of which nothing counts any
   * more, and enforcement points that have been silent for an hour: for some seconds at most and with rests in between,
   * so that nobody waits for it; answers how many rows went.
   */
  sweep(now: number, limits: { readonly signalsBeforeMs: number }): Promise<number>
}

/** Counts for the metrics page. */
export interface StoreGauges {
  /** Changes per group of the last groups, and the duration of the last commit in milliseconds. */
  commit(): { readonly groups: number; readonly changes: number; readonly lastMs: number }
}

export interface Store {
  readonly tenants: Tenants
  readonly agents: Agents
  readonly keys: Keys
  readonly resources: Resources
  readonly grants: Grants
  readonly clients: Clients
  readonly people: People
  readonly oneTimes: OneTimes
  readonly facts: Facts
  readonly signals: Signals
  readonly log: Log
  readonly issuerKeys: IssuerKeys
  readonly rotations: Rotations
  readonly schedules: Schedules
  readonly secrets: Secrets
  readonly vaultKeys: VaultKeys
  readonly clientSecrets: ClientSecrets
  readonly uses: Uses
  readonly policySets: PolicySets
  readonly groups: Groups
  readonly sessions: Sessions
  readonly risks: Risks
  readonly eligibilities: Eligibilities
  readonly approvals: Approvals
  readonly halts: Halts
  readonly usage: Usage
  readonly budgets: Budgets
  readonly enforcementPoints: EnforcementPoints
  readonly leases: Leases
  readonly remembering: Remembering
  readonly sweeping: Sweeping
  readonly gauges: StoreGauges
  /**
   * Makes the whole change true, or none of it, and answers only once that is durable. Changes of requests in flight
   * share a transaction; one that fails leaves the others untouched. Throws `Fault('temporarily_unavailable')` when
   * the store cannot be reached or is full: then nothing was changed, or, if the connection broke during the commit
   * itself, what was changed is complete and audited.
   */
  commit(ctx: Pick<Ctx, 'tenant' | 'now' | 'nowMs'>, change: Change): Promise<Committed>
  /** Whether the store answers now; for readiness. */
  ping(): Promise<boolean>
  /** Finishes the commits in flight and lets go of the files and connections. */
  close(): Promise<void>
}
