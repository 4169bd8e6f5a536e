// Opens the store on SQLite or PostgreSQL: the engine, the schema, and the ports over both.
import type { EventId } from '@writ/sdk/protocol/identifier'
import type { RecordKind } from '../../domain/change.ts'
import type { Store } from '../store.ts'
import { committerOver } from './commit.ts'
import { budgetsOver } from './counts/budgets.ts'
import { usageOver } from './counts/usage.ts'
import { batchesOf, type Db, openKysely } from './dialect.ts'
import type { Batches, Engine } from './engine/engine.ts'
import { openPostgres } from './engine/postgres.ts'
import { openSqlite } from './engine/sqlite.ts'
import { factsOver } from './facts/facts.ts'
import { leasesOver } from './leases.ts'
import { logOver } from './log/entries.ts'
import { eventIdAt, randomBytesOfId } from './log/event-id.ts'
import { indexerOver } from './log/find.ts'
import { migrate } from './migrate.ts'
import { oneTimesOver, rememberingOver } from './one-time.ts'
import { agentCodec, agentsOver, instanceCodec } from './records/agents.ts'
import { approvalCodec, approvalsOver } from './records/approvals.ts'
import { clientSecretCodec, clientSecretsOver } from './records/client-secrets.ts'
import { clientCodec, clientsOver } from './records/clients.ts'
import { eligibilitiesOver, eligibilityCodec } from './records/eligibilities.ts'
import { grantCodec, grantsOver } from './records/grants.ts'
import { groupCodec, groupsOver } from './records/groups.ts'
import { haltCodec, haltsOver } from './records/halts.ts'
import { issuerKeyCodec, issuerKeysOver } from './records/issuer-keys.ts'
import { keyCodec, keysOver } from './records/keys.ts'
import { peopleOver, personCodec } from './records/people.ts'
import { policySetCodec, policySetsOver } from './records/policy-sets.ts'
import type { Codec } from './records/record.ts'
import { resourceCodec, resourcesOver } from './records/resources.ts'
import { rotationCodec, rotationsOver, scheduleCodec, schedulesOver } from './records/rotations.ts'
import {
  secretCodec,
  secretLeaseCodec,
  secretsOver,
  secretVersionCodec,
  vaultKeyCodec,
  vaultKeysOver,
} from './records/secrets.ts'
import { riskCodec, risksOver, sessionCodec, sessionsOver } from './records/sessions.ts'
import { replayMemory } from './replay.ts'
import { deliveryOf, localFeed } from './signals/feed.ts'
import { enforcementPointsOver } from './signals/points.ts'
import { sharedFeed } from './signals/shared-feed.ts'
import { signalReadsOver } from './signals/stored.ts'
import { sweepingOver, sweepWriterOf } from './sweep.ts'
import { tenantsOver, tenantWriterOf } from './tenants.ts'
import { usesOver } from './uses.ts'
import { groupWriterOf } from './writer.ts'

/** Where the data lives. `file` may be `:memory:`. */
export type Database =
  | { readonly kind: 'sqlite'; readonly file: string }
  | { readonly kind: 'postgres'; readonly url: string }

export interface StoreOptions {
  randomBytes(length: number): Uint8Array
  /** Hears of errors in the background: a lost connection that is being made anew, a listener that failed. */
  onError?(error: unknown): void
}

/** Every kind of record; a new one is a file in `records/` and a line here. */
const codecs: readonly Codec[] = [
  agentCodec,
  instanceCodec,
  keyCodec,
  resourceCodec,
  grantCodec,
  clientCodec,
  personCodec,
  issuerKeyCodec,
  rotationCodec,
  scheduleCodec,
  secretCodec,
  secretVersionCodec,
  secretLeaseCodec,
  vaultKeyCodec,
  clientSecretCodec,
  policySetCodec,
  groupCodec,
  sessionCodec,
  riskCodec,
  eligibilityCodec,
  approvalCodec,
  haltCodec,
] as unknown as readonly Codec[]

/**
 * Opens the database, brings its schema up to date, and answers the store over it. Throws when the file is in use, the
 * database cannot be reached, or a newer program has migrated it.
 */
export async function openStore(database: Database, options: StoreOptions): Promise<Store> {
  const onError = options.onError ?? (() => {})
  const engine = database.kind === 'sqlite' ? openSqlite(database.file) : openPostgres(database.url, onError)
  try {
    return await storeOver({ database, engine, randomBytes: options.randomBytes, onError })
  } catch (error) {
    await engine.close()
    throw error
  }
}

interface Parts {
  readonly database: Database
  /** Over that database. */
  readonly engine: Engine
  randomBytes(length: number): Uint8Array
  onError(error: unknown): void
}

/** Without contact for longer, memory may hold what others have ended; then every read asks the database. */
const followedMs = 1000

/** Ids of entries, with random bytes drawn for many at once. */
function eventIds(randomBytes: StoreOptions['randomBytes']): (index: number) => EventId {
  let pool = new Uint8Array(0)
  let at = 0
  return index => {
    if (at + randomBytesOfId > pool.length) {
      pool = new Uint8Array(randomBytes(256 * randomBytesOfId))
      at = 0
    }
    at += randomBytesOfId
    return eventIdAt(index, pool.subarray(at - randomBytesOfId, at))
  }
}

/** Everything that can fail while opening; nothing is running yet. */
async function prepare(engine: Engine) {
  const batches = batchesOf(engine.kind)
  const db = openKysely(engine)
  await migrate(engine, batches, { now: Math.floor(Date.now() / 1000) })
  return {
    batches,
    db,
    write: groupWriterOf(batches, codecs, engine.kind === 'postgres'),
    heads: await db.selectFrom('heads').select(['tenant', 'epoch']).execute(),
    replays: engine.kind === 'sqlite' ? await replayMemory(engine) : undefined,
  }
}

/** The ports of what decides at run time. */
function runtimeOver(db: Db, engine: Engine, batches: Batches) {
  return {
    policySets: policySetsOver(db),
    groups: groupsOver(db),
    sessions: sessionsOver(db),
    risks: risksOver(db),
    eligibilities: eligibilitiesOver(db),
    approvals: approvalsOver(db),
    halts: haltsOver(db),
    usage: usageOver(db, engine, batches),
    budgets: budgetsOver(db),
    enforcementPoints: enforcementPointsOver(db, engine, batches),
  }
}

/** The store over an engine that is open; it closes the engine when it is closed. */
export async function storeOver({ database, engine, randomBytes, onError }: Parts): Promise<Store> {
  const { batches, db, write, heads, replays } = await prepare(engine)
  const delivery = deliveryOf(onError)
  for (const { tenant, epoch } of heads) delivery.seen.set(tenant, epoch)
  const signals = signalReadsOver(db)
  const feed =
    database.kind === 'sqlite'
      ? localFeed(delivery, Date.now)
      : sharedFeed({ url: database.url, delivery, after: signals.after })
  const isFollowed = (): boolean => Date.now() - feed.contactMs() <= followedMs
  const { facts, ears } = factsOver({ db, engine, seen: feed.seen, isFollowed })
  for (const ear of ears) feed.hear(ear)
  const indexer = indexerOver(engine, write.index, onError)
  const committer = committerOver({
    engine,
    write,
    codecs: new Map<RecordKind, Codec>(codecs.map(codec => [codec.kind, codec])),
    eventId: eventIds(randomBytes),
    replays,
    signalled: feed.offer,
    grown: indexer.grown,
  })
  const close = async (): Promise<void> => {
    await committer.close()
    await indexer.close()
    await feed.close()
    await engine.close()
  }
  let closing: Promise<void> | undefined
  return {
    tenants: tenantsOver(db, engine, tenantWriterOf(batches)),
    agents: agentsOver(db),
    keys: keysOver(db),
    resources: resourcesOver(db),
    grants: grantsOver(db),
    clients: clientsOver(db),
    people: peopleOver(db),
    oneTimes: oneTimesOver(db),
    facts,
    signals: { ...signals, subscribe: feed.subscribe, contactMs: feed.contactMs },
    log: logOver(db, engine, write.log),
    issuerKeys: issuerKeysOver(db),
    rotations: rotationsOver(db),
    schedules: schedulesOver(db),
    secrets: secretsOver(db),
    vaultKeys: vaultKeysOver(db),
    clientSecrets: clientSecretsOver(db),
    uses: usesOver(db),
    ...runtimeOver(db, engine, batches),
    leases: leasesOver(db, engine),
    remembering: rememberingOver(db),
    sweeping: sweepingOver({ db, engine, write: sweepWriterOf(batches), replays }),
    gauges: committer.gauges,
    commit: committer.commit,
    ping: () => engine.ping(),
    close: () => (closing ??= close()),
  }
}
