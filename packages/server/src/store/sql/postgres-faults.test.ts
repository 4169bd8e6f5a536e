// PostgreSQL that goes away, comes back, loses answers, falls silent or is locked: 503 meanwhile, nothing half done.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import pg from 'pg'
import { type Cluster, startPostgres } from '../contract/postgres.ts'
import { agentOf, entry, keyOf, type Scene, sceneIn, start, unique } from '../contract/scene.ts'
import type { Store } from '../store.ts'
import { openStore } from './open.ts'
import { proxyTo, type Wire } from './testing/proxy.ts'

let cluster: Cluster
let url = ''
before(async () => {
  cluster = await startPostgres({ databases: 1 })
  url = cluster.database()
})
after(() => cluster.close())

const open = (at: string): Promise<Store> => openStore({ kind: 'postgres', url: at }, { randomBytes })

const isUnavailable = (error: unknown): boolean => isFault(error) && error.code === 'temporarily_unavailable'

async function until(
  condition: () => Promise<boolean> | boolean,
  seconds: number,
  what: string,
): Promise<number> {
  const startedAt = Date.now()
  while (!(await condition())) {
    if (Date.now() - startedAt > seconds * 1000) throw new Error(`${what} took longer than ${seconds} s`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  return Date.now() - startedAt
}

/** A store behind a proxy, and the same tenant seen without it. */
async function behindProxy(use: (near: Scene, far: Scene, proxy: Wire) => Promise<void>): Promise<void> {
  const proxy = await proxyTo(url)
  const [store, direct] = [await open(proxy.url), await open(url)]
  try {
    const scene = await sceneIn(store)
    await use(scene, scene.through(direct), proxy)
  } finally {
    await proxy.close()
    await Promise.all([store.close(), direct.close()])
  }
}

test('a commit whose answer is lost on the wire is found to be done, once', () =>
  behindProxy(async (near, far, proxy) => {
    for (let round = 0; round < 10; round++) {
      const claim = { key: unique(), until: start + 60 }
      proxy.loseNext('answer')
      const { first } = await near.done({ claims: [claim] })
      assert.equal(first.index, round)
      assert.equal((await far.commit({ claims: [claim] })).kind, 'replayed')
    }
    assert.equal(proxy.lost(), 10)
    assert.equal(await far.store.log.size(far), 10)
  }))

test('a commit that never reached the server is refused, and may be made again', () =>
  behindProxy(async (near, far, proxy) => {
    for (let round = 0; round < 10; round++) {
      const claim = { key: unique(), until: start + 60 }
      proxy.loseNext('commit')
      await assert.rejects(near.commit({ claims: [claim] }), isUnavailable)
      assert.equal((await near.done({ claims: [claim] })).first.index, round)
    }
    assert.equal(proxy.lost(), 10)
    assert.equal(await far.store.log.size(far), 10)
  }))

for (const how of ['crash', 'fast'] as const) {
  test(`a server that stops (${how}) and starts again is used again without a restart, and holds what it acknowledged`, async () => {
    const store = await open(url)
    const scene = await sceneIn(store)
    const acknowledged: string[] = []
    const failures: unknown[] = []
    let running = true
    const callers = Array.from({ length: 16 }, async () => {
      while (running) {
        const requestId = unique()
        try {
          await scene.done({
            claims: [{ key: requestId, until: start + 60 }],
            entries: [entry({ requestId })],
          })
          acknowledged.push(requestId)
        } catch (error) {
          failures.push(error)
          await new Promise(resolve => setTimeout(resolve, 20))
        }
      }
    })
    await until(() => acknowledged.length > 200, 10, 'the load')
    await cluster.stop(how)
    await until(async () => !(await store.ping()), 5, 'noticing')
    await assert.rejects(scene.commit(), isUnavailable)
    await assert.rejects(store.agents.get(scene, unique()), isUnavailable)
    await cluster.start()
    const before = acknowledged.length
    await until(() => acknowledged.length > before + 100, 10, 'recovery')
    running = false
    await Promise.all(callers)

    assert.ok(
      failures.length > 0 && failures.every(isUnavailable),
      String(failures.find(one => !isUnavailable(one))),
    )
    const size = await store.log.size(scene)
    const stored = await store.log.range(scene, 0, size + 1)
    assert.deepEqual(
      stored.map(({ index }) => index),
      Array.from({ length: size }, (_, at) => at),
    )
    const requests = new Set(stored.map(({ text }) => JSON.parse(text).request_id))
    assert.equal(requests.size, size)
    for (const requestId of acknowledged) assert.ok(requests.has(requestId))
    await store.close()
  })
}

test('a listener whose connection falls silent still hears within two seconds', () =>
  behindProxy(async (near, far, proxy) => {
    const heard: string[] = []
    near.store.signals.subscribe((_, signals) => heard.push(...signals.map(({ subject }) => subject)))
    proxy.freeze('listeners')
    const subject = unique()
    await far.done({ signals: [{ subject, kind: 'narrowed' }] })
    proxy.freeze('listeners')
    const rescued = until(() => heard.includes(subject), 2, 'hearing')
    setTimeout(() => proxy.thaw(), 500)
    await rescued
  }))

test('memory is not trusted once contact is lost: reads then ask the database, and fail with it', () =>
  behindProxy(async (near, far, proxy) => {
    const agent = agentOf()
    await near.done({ puts: [{ put: 'agent', value: agent, ifVersion: 0 }] })
    const read = () => near.store.facts.caller(near, agent.id)
    await until(async () => (await read())?.remembered === true, 5, 'memory')
    proxy.freeze('all')
    await far.done({ puts: [{ put: 'agent', value: { ...agent, status: 'suspended' }, ifVersion: 1 }] })
    const frozenAt = Date.now()
    for (;;) {
      const facts = await read().catch((error: unknown) => error)
      if (isUnavailable(facts)) break
      // What memory still says, it says within the second for which it may.
      assert.ok(Date.now() - frozenAt < 1500, 'memory is trusted no longer')
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    assert.equal(await near.store.ping(), false)
    proxy.thaw()
    await until(
      async () => (await read().catch(() => undefined))?.agent?.status === 'suspended',
      10,
      'the truth',
    )
  }))

test('a node that was cut off while signals were swept forgets everything it remembered', () =>
  behindProxy(async (near, far, proxy) => {
    const agent = agentOf()
    await near.done({ puts: [{ put: 'agent', value: agent, ifVersion: 0 }] })
    const read = () => near.store.facts.caller(near, agent.id)
    await until(async () => (await read())?.remembered === true, 5, 'memory')
    const silentMs = () => Date.now() - near.store.signals.contactMs()
    proxy.freeze('listeners')
    await until(() => silentMs() > 1000, 5, 'losing contact')
    await far.done({ puts: [{ put: 'agent', value: { ...agent, name: 'renamed' }, ifVersion: 1 }] })
    await far.store.sweeping.sweep(start, { signalsBeforeMs: (start + 1000) * 1000 })
    assert.deepEqual(await far.store.signals.after(far, 0, 10), [])
    proxy.thaw()
    await until(() => silentMs() < 500, 5, 'contact')
    assert.equal((await read())?.agent?.name, 'renamed')
    // It remembers again, and what it remembers is the new state.
    await until(async () => (await read())?.remembered === true, 5, 'memory of the new state')
    assert.equal((await read())?.agent?.name, 'renamed')
  }))

test('a deadlock is retried, and nobody hears of it', async () => {
  const store = await open(url)
  const scene = await sceneIn(store)
  const key = keyOf()
  await scene.done({
    puts: [{ put: 'key', value: key, ifVersion: 0 }],
    touches: [{ thumbprint: key.thumbprint, from: 'first' }],
  })
  const rival = new pg.Client(url)
  await rival.connect()
  await rival.query('begin')
  await rival.query('select * from key_uses where thumbprint = $1 for update', [key.thumbprint])
  // It has the head and waits for the use of the key; the rival has that and then waits for the head.
  const committed = scene.commit({ touches: [{ thumbprint: key.thumbprint, from: 'second' }] }, 5)
  const waits = 'select 1 from pg_locks where not granted'
  const observer = new pg.Client(url)
  await observer.connect()
  await until(async () => (await observer.query(waits)).rows.length > 0, 5, 'the wait')
  const blocked = rival.query('select * from heads where tenant = $1 for update', [scene.tenant])
  const rivalEnds = blocked.then(
    () => rival.query('commit'),
    () => rival.query('rollback'),
  )
  assert.equal((await committed).kind, 'done')
  await rivalEnds
  const { rows } = await observer.query(
    'select deadlocks from pg_stat_database where datname = current_database()',
  )
  assert.ok(Number(rows[0].deadlocks) > 0, 'there was a deadlock')
  assert.equal((await store.keys.ofOwner(scene, key.owner))[0]?.use?.lastUsedFrom, 'second')
  await Promise.all([rival.end(), observer.end(), store.close()])
})

test('a row that somebody keeps locked costs a bounded wait and a 503, and nothing afterwards', async () => {
  const store = await open(url)
  const scene = await sceneIn(store)
  const rival = new pg.Client(url)
  await rival.connect()
  await rival.query('begin')
  await rival.query('select * from heads where tenant = $1 for update', [scene.tenant])
  const askedAt = Date.now()
  await assert.rejects(scene.commit(), isUnavailable)
  assert.ok(Date.now() - askedAt < 6000)
  await rival.query('rollback')
  assert.equal((await scene.done()).first.index, 0)
  await Promise.all([rival.end(), store.close()])
})

test('a database that is not there is said so when opening, and nothing keeps running', async () => {
  const missing = new URL(url)
  missing.pathname = '/nowhere'
  await assert.rejects(open(missing.href), /nowhere/)
  missing.port = '1'
  await assert.rejects(open(missing.href), isUnavailable)
})
