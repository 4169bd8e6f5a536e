// Tenants do not see each other: every method of the store, by a table that a new method cannot be missing from.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import type { Change } from '../../domain/change.ts'
import type { SignalAt, Store } from '../store.ts'
import { authorizationWrites } from './authorization-isolation.ts'
import { cases, plant, seedsOf } from './isolation.ts'
import { type Given, type Scene, sceneIn, start, unique } from './scene.ts'

/** Methods that write or watch: each has a test of its own below. */
const tested = ['commit', 'log.publish', 'signals.subscribe', ...authorizationWrites]

/** Methods that concern no tenant, or all of them. */
const global: Readonly<Record<string, string>> = {
  'tenants.get': 'names the tenant itself',
  'tenants.list': 'lists all of them, for whoever runs the server',
  'tenants.ensure': 'makes one',
  'signals.contactMs': 'tells about the connection',
  'leases.hold': 'leases belong to the program',
  'leases.release': 'leases belong to the program',
  'sweeping.sweep': 'sweeps all of them',
  'gauges.commit': 'counts all of them',
  ping: 'tells about the connection',
  close: 'ends it',
}

function methodsOf(store: Store): readonly string[] {
  return Object.entries(store).flatMap(([port, value]) =>
    typeof value === 'function' ? [port] : Object.keys(value as object).map(method => `${port}.${method}`),
  )
}

/** Registers the tests of isolation. */
export function tenantContract(given: () => Given): void {
  test('every method of the store has its place in the table of isolation', () => {
    const known = [...Object.keys(cases), ...tested, ...Object.keys(global)]
    assert.deepEqual([...methodsOf(given().store)].sort(), known.sort())
  })

  test('what one tenant holds, another does not see, by any method', async () => {
    const { store } = given()
    const [own, other] = [await sceneIn(store), await sceneIn(store)]
    const seeds = seedsOf()
    const asked = { ...seeds, event: await plant(own, seeds) }
    for (const [method, { ask, nothing }] of Object.entries(cases)) {
      assert.deepEqual(await ask(store, other, asked), nothing, method)
      assert.notDeepEqual(await ask(store, own, asked), nothing, `${method} finds what is there`)
      // Also after the owner has brought it into a memory.
      assert.deepEqual(await ask(store, other, asked), nothing, `${method}, once remembered`)
    }
  })

  test('a change of one tenant neither meets nor touches what another holds', async () => {
    const { store } = given()
    const [own, other] = [await sceneIn(store), await sceneIn(store)]
    const seeds = seedsOf()
    await plant(own, seeds)
    const { agent, key, person, resource, client } = seeds
    const refused: readonly [Partial<Change>, string][] = [
      [{ takes: [seeds.take] }, 'absent'],
      [{ puts: [{ put: 'agent', value: agent, ifVersion: 1 }] }, 'conflict'],
      [{ removals: [{ remove: 'resource', id: resource.id, ifVersion: 1 }] }, 'conflict'],
      [{ removals: [{ remove: 'person', id: person.id, ifVersion: 1 }] }, 'conflict'],
      [{ removals: [{ remove: 'client', id: client.id, ifVersion: 1 }] }, 'conflict'],
      [{ removals: [{ remove: 'schedule', id: seeds.schedule.id, ifVersion: 1 }] }, 'conflict'],
      [{ puts: [{ put: 'rotation', value: seeds.rotation, ifVersion: 1 }] }, 'conflict'],
    ]
    for (const [change, kind] of refused) assert.equal((await other.commit(change)).kind, kind)
    await other.done({
      claims: [seeds.claim],
      remembers: [{ ...seeds.answer, body: 'other' }],
      bases: [{ epoch: 0, subjects: [agent.id] }],
      touches: [{ thumbprint: key.thumbprint, from: 'elsewhere' }],
      uses: [{ version: seeds.secretVersion.id, caller: agent.id, from: 'elsewhere', until: start + 60 }],
    })
    await other.done({
      puts: [
        { put: 'agent', value: { ...agent, name: 'other' }, ifVersion: 0 },
        { put: 'key', value: key, ifVersion: 0 },
        { put: 'resource', value: resource, ifVersion: 0 },
        { put: 'person', value: person, ifVersion: 0 },
        { put: 'rotation', value: seeds.rotation, ifVersion: 0 },
        { put: 'schedule', value: seeds.schedule, ifVersion: 0 },
        { put: 'secret', value: seeds.secret, ifVersion: 0 },
        { put: 'secretVersion', value: seeds.secretVersion, ifVersion: 0 },
        { put: 'vaultKey', value: seeds.vaultKey, ifVersion: 0 },
      ],
      creates: [{ ...seeds.take, value: 'other', expiresAt: start + 60 }],
    })
    assert.equal((await own.store.agents.get(own, agent.id))?.name, agent.name)
    assert.deepEqual(await store.oneTimes.peek(own, 'enrollment', seeds.take.key, start), { value: 'v' })
    assert.equal((await store.remembering.recall(own, seeds.answer.key, start))?.body, '{}')
    assert.equal(
      (await store.keys.ofOwner(own, agent.id)).every(({ use }) => use === null),
      true,
    )
    assert.deepEqual(
      (await store.uses.of(own, seeds.secretVersion.id, 10)).map(({ from, until }) => [from, until]),
      [['gate', null]],
    )
    assert.equal(await store.secrets.countUnder(own, seeds.vaultKey.id), 1)
    assert.equal(await store.log.size(own), 1)
  })

  test('tenants that share a group keep their own indexes, epochs and basis', async () => {
    const { store } = given()
    const all = await Promise.all([sceneIn(store), sceneIn(store), sceneIn(store)])
    const subject = unique()
    await all[0].done({ signals: [{ subject, kind: 'narrowed' }] })
    const committed = await Promise.all(
      Array.from({ length: 30 }, (_, at) => {
        const bases = [{ epoch: 0, subjects: [subject] }]
        return (all[at % 3] as Scene).commit({ bases, signals: [{ subject: unique(), kind: 'changed' }] })
      }),
    )
    assert.deepEqual(
      committed.map(({ kind }) => kind),
      committed.map((_, at) => (at % 3 === 0 ? 'stale' : 'done')),
    )
    assert.deepEqual(await Promise.all(all.map(scene => store.log.size(scene))), [1, 10, 10])
    assert.deepEqual(await Promise.all(all.map(scene => store.signals.head(scene))), [1, 10, 10])
  })

  test('publishing and watching keep to their tenant', async () => {
    const { store } = given()
    const [own, other] = [await sceneIn(store), await sceneIn(store)]
    await own.store.log.publish(own, 500, 'own', [])
    assert.equal(await store.log.publish(other, 1, 'other', []), true)
    assert.equal((await store.log.checkpoint(own))?.note, 'own')
    const heard: [string, SignalAt][] = []
    const stop = store.signals.subscribe((tenant, signals) => {
      for (const signal of signals) heard.push([tenant, signal])
    })
    const subject = unique()
    await own.done({ signals: [{ subject, kind: 'changed' }] })
    stop()
    assert.deepEqual(
      heard.map(([tenant, signal]) => [tenant, signal.subject]),
      [[own.tenant, subject]],
    )
  })

  test('a tenant is made once, stays as it is, and has its issuer to itself', async () => {
    const { store } = given()
    const { tenant } = await sceneIn(store)
    const made = await store.tenants.get(tenant)
    assert.deepEqual(made, { id: tenant, issuer: `https://${tenant}.example`, createdAt: start })
    assert.deepEqual(
      await store.tenants.ensure({ id: tenant, issuer: 'https://x.example', createdAt: 1 }),
      made,
    )
    assert.ok((await store.tenants.list()).some(({ id }) => id === tenant))
    const thief = { id: unique() as typeof tenant, issuer: made?.issuer ?? '', createdAt: 1 }
    await assert.rejects(store.tenants.ensure(thief), isFault)
    assert.equal(await store.tenants.get(thief.id), undefined)
  })
}
