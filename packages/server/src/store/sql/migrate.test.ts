// Migrations: the sum of them is the schema, old rows still load, and nothing is half done.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, describe, test } from 'node:test'
import { defaultTenant } from '../../domain/tenant.ts'
import { type Cluster, startPostgres } from '../contract/postgres.ts'
import type { Store } from '../store.ts'
import { batchesOf } from './dialect.ts'
import type { Engine } from './engine/engine.ts'
import { openPostgres } from './engine/postgres.ts'
import { openSqlite } from './engine/sqlite.ts'
import { type Migration, migrate, migrations } from './migrate.ts'
import { type Database, openStore } from './open.ts'

const folder = join(import.meta.dirname, 'migrations')
const now = 1_800_000_000
const scope = { tenant: defaultTenant }

const openEngine = (database: Database): Engine =>
  database.kind === 'sqlite' ? openSqlite(database.file) : openPostgres(database.url, () => {})

async function withEngine(database: Database, use: (engine: Engine) => Promise<void>): Promise<void> {
  const engine = openEngine(database)
  try {
    await use(engine)
  } finally {
    await engine.close()
  }
}

const migrateTo = (engine: Engine, known: readonly Migration[]): Promise<void> =>
  migrate(engine, batchesOf(engine.kind), { now, migrations: known })

/** Applies each migration, and after it the rows that the program of its time wrote. */
async function fill(engine: Engine): Promise<void> {
  const files = readdirSync(folder)
  for (const [at] of migrations.entries()) {
    await migrateTo(engine, migrations.slice(0, at + 1))
    const rows = files.find(
      file => file.startsWith(String(at + 1).padStart(4, '0')) && file.endsWith('.rows.sql'),
    )
    assert.ok(rows, `migration ${at + 1} comes with rows`)
    for (const line of readFileSync(join(folder, rows), 'utf8').split('\n')) {
      if (!/^(?:insert|update) /.test(line)) continue
      await engine.query(engine.kind === 'sqlite' ? line : line.replaceAll(/x'([0-9a-f]*)'/g, "'\\x$1'"), [])
    }
  }
}

const schemaOf = (db: DatabaseSync): readonly string[] =>
  db
    .prepare(
      "select sql from sqlite_schema where sql is not null and name not like 'sqlite_%' order by type, name",
    )
    .all()
    .map(row => String(row['sql']).replaceAll(/\s+/g, ' '))

test('schema.sql is the sum of the migrations', async () => {
  const home = mkdtempSync(join(tmpdir(), 'writ-schema-'))
  const file = join(home, 'writ.db')
  await withEngine({ kind: 'sqlite', file }, engine => migrateTo(engine, migrations))
  const readable = new DatabaseSync(':memory:')
  readable.exec(readFileSync(join(import.meta.dirname, 'schema.sql'), 'utf8'))
  const migrated = new DatabaseSync(file)
  assert.ok(schemaOf(readable).length > 20)
  assert.deepEqual(schemaOf(migrated), schemaOf(readable))
  migrated.close()
  rmSync(home, { recursive: true })
})

test('every migration in the folder is known, in its order', async () => {
  const files = readdirSync(folder).filter(file => /^\d{4}-[a-z-]+\.ts$/.test(file))
  assert.deepEqual(
    files.sort(),
    migrations.map(({ name }, at) => `${String(at + 1).padStart(4, '0')}-${name}.ts`),
  )
})

function migrationTests(name: string, fresh: () => Database): void {
  describe(name, () => {
    test('rows of every migration still load', async () => {
      const database = fresh()
      await withEngine(database, fill)
      const store = await openStore(database, { randomBytes })
      try {
        await readAll(store)
      } finally {
        await store.close()
      }
    })

    test('migrating again changes nothing', async () => {
      const database = fresh()
      await withEngine(database, async engine => {
        await migrateTo(engine, migrations)
        await migrateTo(engine, migrations)
        const { rows } = await engine.query('select number from migrations order by number', [])
        assert.deepEqual(
          rows.map(row => row['number']),
          [0, ...migrations.map((_, at) => at + 1)],
        )
      })
    })

    test('a database that a newer program has migrated is refused', async () => {
      const database = fresh()
      const newer: Migration = { name: 'later', up: () => ['create table later (a integer)'] }
      await withEngine(database, engine => migrateTo(engine, [...migrations, newer]))
      await assert.rejects(openStore(database, { randomBytes }), /use the newer program/)
    })

    test('a database whose migration is another one under the same number is refused', async () => {
      const database = fresh()
      const other: Migration = { name: 'other', up: () => ['create table other (a integer)'] }
      await withEngine(database, engine => migrateTo(engine, [other]))
      await assert.rejects(openStore(database, { randomBytes }), /another migration 1/)
    })

    test('a migration that fails leaves everything as it was, and can be tried again', async () => {
      const database = fresh()
      const steps = (last: string): Migration => ({
        name: 'two-steps',
        up: () => ['create table first (a integer)', last],
      })
      await withEngine(database, async engine => {
        await migrateTo(engine, migrations)
        await assert.rejects(migrateTo(engine, [...migrations, steps('create table agents (a integer)')]))
        await migrateTo(engine, [...migrations, steps('create table second (a integer)')])
        await engine.query('select count(*) from first, second', [])
      })
    })
  })
}

const home = mkdtempSync(join(tmpdir(), 'writ-migrate-'))
after(() => rmSync(home, { recursive: true }))
let count = 0
migrationTests('SQLite', () => ({ kind: 'sqlite', file: join(home, `${++count}.db`) }))

describe('PostgreSQL', () => {
  let cluster: Cluster | undefined
  before(async () => {
    cluster = await startPostgres({ databases: 6 })
  })
  after(() => cluster?.close())
  const fresh = (): Database => ({ kind: 'postgres', url: cluster?.database() ?? '' })
  migrationTests('PostgreSQL', fresh)

  test('ten nodes that start at once on an empty database migrate it once', async () => {
    const database = fresh()
    const stores = await Promise.all(Array.from({ length: 10 }, () => openStore(database, { randomBytes })))
    await Promise.all(stores.map(store => store.close()))
    await withEngine(database, async engine => {
      const { rows } = await engine.query('select number from migrations', [])
      assert.equal(rows.length, migrations.length + 1)
    })
  })
})

/** Reads every row of the fixtures through the ports. */
async function readAll(store: Store): Promise<void> {
  const [agentId, personId] = ['agt_00000000000000000000000001', 'usr_00000000000000000000000001']
  const agent = await store.agents.get(scope, agentId)
  assert.deepEqual([agent?.name, agent?.labels, agent?.version], ['courier', { team: 'post' }, 2])
  const { items } = await store.agents.instances(scope, { limit: 5 }, { agent: agentId })
  assert.equal(items[0]?.enrollment, 'aGFzaA')
  const [key] = await store.keys.ofOwner(scope, agentId)
  assert.deepEqual([key?.kid, key?.use], ['kid', { lastUsedAt: now + 10, lastUsedFrom: '192.0.2.1' }])
  assert.equal((await store.keys.expired(scope, now + 60, 10)).length, 1)
  assert.equal((await store.resources.byIdentifier(scope, 'https://depot.example'))?.scopes.length, 1)
  assert.equal((await store.grants.list(scope, { limit: 10 }, { agent: agentId })).items.length, 1)
  const after = { limit: 10, after: 'cli_00000000000000000000000002' }
  assert.equal((await store.clients.list(scope, { limit: 10 })).items[0]?.name, 'gate')
  assert.deepEqual(await store.clients.list(scope, after), { items: [], next: null })
  assert.equal((await store.people.byLogin(scope, 'ada@example'))?.id, personId)
  assert.equal((await store.issuerKeys.list(scope))[0]?.sealed, 'sealed')
  assert.deepEqual(await store.oneTimes.peek(scope, 'enrollment', 'good', now), { value: 'v' })
  assert.equal(await store.oneTimes.peek(scope, 'enrollment', 'spent', now), 'spent')
  assert.equal((await store.remembering.recall(scope, 'answer', now))?.status, 201)
  assert.deepEqual(
    (await store.signals.after(scope, 0, 10)).map(({ epoch }) => epoch),
    [2, 3],
  )
  assert.equal(await store.leases.hold('rotation', 'node-2', 30), 'held')
  const [entry] = await store.log.find(scope, { requestId: 'req_1' }, -1, 10)
  assert.deepEqual(await store.log.entry(scope, 'evt_00000000000123456789abcdef'), entry)
  assert.equal((await store.log.hashes(scope, 0, 1)).at(-1), 0xff)
  assert.deepEqual(await store.log.tile(scope, 0, 0), Uint8Array.of(1, 2))
  assert.deepEqual(await store.log.checkpoint(scope), { size: 1, note: 'note' })
  await readVault(store)
  await readAuthorization(store)
  const facts = await store.facts.caller({ ...scope, now }, agentId)
  assert.deepEqual([facts?.epoch, facts?.keys.length, facts?.grants.length], [3, 1, 1])
  const ctx = { ...scope, now, nowMs: now * 1000 }
  const entries = [{ type: 'test.done', outcome: 'allowed', requestId: 'req_2' }] as const
  assert.equal((await store.commit(ctx, { entries, claims: [{ key: 'mark', until: now }] })).kind, 'replayed')
  const next = await store.commit(ctx, { entries, bases: [{ epoch: 2, subjects: [agentId] }] })
  assert.deepEqual(next.kind === 'done' && [next.first.index, next.epoch], [1, 3])
}

async function readVault(store: Store): Promise<void> {
  const id = (prefix: string): string => `${prefix}_00000000000000000000000001`
  const { rotations, schedules, secrets } = store
  assert.equal((await rotations.open(scope, 'secret', id('sec')))[0]?.from, id('ver'))
  assert.equal((await rotations.due(scope, now + 60, 5))[0]?.state, 'active')
  assert.equal((await schedules.due(scope, now, 5))[0]?.cron, '0 3 * * 1')
  assert.deepEqual((await secrets.byName(scope, 'depot'))?.consumers, [id('agt')])
  assert.equal((await secrets.versions(scope, id('sec')))[0]?.sealed, 'sealed')
  assert.equal(await secrets.countUnder(scope, id('vky')), 1)
  assert.equal((await secrets.liveLeases(scope, { agent: id('agt') }, 5))[0]?.handle, 'writ_1')
  assert.equal((await store.vaultKeys.list(scope))[0]?.root, 'root-1')
  assert.equal((await store.clientSecrets.ofClient(scope, id('cli')))[0]?.hash, 'hash')
  assert.equal((await store.uses.of(scope, id('ver'), 5))[0]?.until, now + 60)
}

/** The rows of migration 3, through the ports. */
async function readAuthorization(store: Store): Promise<void> {
  const id = <P extends string>(prefix: P) => `${prefix}_00000000000000000000000001` as const
  const { active, halts } = await store.facts.governing(scope)
  assert.deepEqual([active?.number, halts[0]?.target], [1, 'https://depot.example#burn'])
  assert.equal((await store.groups.byName(scope, 'couriers'))?.id, id('grp'))
  assert.equal((await store.people.members(scope, { limit: 5 }, id('grp'))).items[0]?.id, id('usr'))
  assert.equal((await store.facts.session(scope, id('ses')))?.session.task, 'sorts')
  assert.equal((await store.facts.risk(scope, id('agt'))).risk?.score, 40)
  assert.equal((await store.eligibilities.list(scope, { limit: 5 }, { agent: id('agt') })).items.length, 1)
  assert.equal((await store.approvals.list(scope, { limit: 5 }, { unreviewed: true })).items.length, 1)
  assert.equal((await store.approvals.due(scope, now + 300, 5)).length, 1)
  const budget = { unit: 'calls', currency: null, limit: 3, windowSeconds: 60, burst: 0 } as const
  assert.equal((await store.budgets.left(scope, id('grt'), budget, now)).left, 1)
  assert.deepEqual(
    (await store.usage.of(scope, id('grt'), 5)).map(({ count }) => count),
    [3],
  )
  assert.equal((await store.enforcementPoints.list(scope, 0))[0]?.label, 'gate')
}
