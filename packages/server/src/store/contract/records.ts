// The contract of versioned records: versions, uniqueness, ids that are never given again, pages.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import type { Committed, Put, RecordKind, Records } from '../../domain/change.ts'
import type { Page, PageRequest, Store } from '../store.ts'
import * as runtime from './authorization-scene.ts'
import * as scenes from './scene.ts'
import { fresh, type Given, type Scene, sceneIn, start, unique } from './scene.ts'

type Read = (scene: Scene, id: string) => Promise<unknown>

const oneClient = fresh('cli')

/** How a record of each kind is made, named and read back. */
const kinds: {
  readonly [K in RecordKind]: { make(): Records[K]; id(value: Records[K]): string; read: Read }
} = {
  agent: { make: scenes.agentOf, id: ({ id }) => id, read: (s, id) => s.store.agents.get(s, id) },
  instance: { make: scenes.instanceOf, id: ({ id }) => id, read: (s, id) => s.store.agents.instance(s, id) },
  key: {
    make: scenes.keyOf,
    id: ({ thumbprint }) => thumbprint,
    read: (s, id) => s.store.keys.byThumbprint(s, id),
  },
  resource: { make: scenes.resourceOf, id: ({ id }) => id, read: (s, id) => s.store.resources.get(s, id) },
  grant: { make: scenes.grantOf, id: ({ id }) => id, read: (s, id) => s.store.grants.get(s, id) },
  client: { make: scenes.clientOf, id: ({ id }) => id, read: (s, id) => s.store.clients.get(s, id) },
  person: { make: scenes.personOf, id: ({ id }) => id, read: (s, id) => s.store.people.get(s, id) },
  issuerKey: {
    make: scenes.issuerKeyOf,
    id: ({ kid }) => kid,
    read: async (s, id) => (await s.store.issuerKeys.list(s)).find(({ kid }) => kid === id),
  },
  rotation: { make: scenes.rotationOf, id: ({ id }) => id, read: (s, id) => s.store.rotations.get(s, id) },
  schedule: { make: scenes.scheduleOf, id: ({ id }) => id, read: (s, id) => s.store.schedules.get(s, id) },
  secret: { make: scenes.secretOf, id: ({ id }) => id, read: (s, id) => s.store.secrets.get(s, id) },
  secretVersion: {
    make: scenes.secretVersionOf,
    id: ({ id }) => id,
    read: (s, id) => s.store.secrets.version(s, id),
  },
  secretLease: {
    make: scenes.secretLeaseOf,
    id: ({ id }) => id,
    read: (s, id) => s.store.secrets.lease(s, id),
  },
  vaultKey: {
    make: scenes.vaultKeyOf,
    id: ({ id }) => id,
    read: async (s, id) => (await s.store.vaultKeys.list(s)).find(key => key.id === id),
  },
  clientSecret: {
    make: () => scenes.clientSecretOf({ client: oneClient }),
    id: ({ id }) => id,
    read: async (s, id) => (await s.store.clientSecrets.ofClient(s, oneClient)).find(one => one.id === id),
  },
  policySet: {
    make: runtime.policySetOf,
    id: ({ id }) => id,
    read: (s, id) => s.store.policySets.get(s, id),
  },
  group: { make: runtime.groupOf, id: ({ id }) => id, read: (s, id) => s.store.groups.get(s, id) },
  session: { make: runtime.sessionOf, id: ({ id }) => id, read: (s, id) => s.store.sessions.get(s, id) },
  risk: { make: runtime.riskOf, id: ({ id }) => id, read: (s, id) => s.store.risks.get(s, id) },
  eligibility: {
    make: runtime.eligibilityOf,
    id: ({ id }) => id,
    read: (s, id) => s.store.eligibilities.get(s, id),
  },
  approval: { make: runtime.approvalOf, id: ({ id }) => id, read: (s, id) => s.store.approvals.get(s, id) },
  halt: { make: runtime.haltOf, id: ({ id }) => id, read: (s, id) => s.store.halts.get(s, id) },
}

const put = (kind: RecordKind, value: unknown, ifVersion: number): Put =>
  ({ put: kind, value, ifVersion }) as Put
const insert = (kind: RecordKind, value: unknown) => ({ puts: [put(kind, value, 0)] })

const conflictOf = (committed: Committed) =>
  committed.kind === 'conflict' ? [committed.record, committed.id] : committed.kind

/** Registers the tests of records. */
export function recordContract(given: () => Given): void {
  for (const kind of Object.keys(kinds) as RecordKind[]) {
    const { make, id, read } = kinds[kind] as unknown as {
      make(): Record<string, unknown>
      id(value: unknown): string
      read: Read
    }

    test(`a record of the kind ${kind} is read as it was written, and changes only at the version it was read at`, async () => {
      const scene = await sceneIn(given().store)
      const value = make()
      assert.equal(await read(scene, id(value)), undefined)
      await scene.done(insert(kind, value))
      assert.deepEqual(await read(scene, id(value)), { ...value, version: 1 })
      // A value that was read carries its version; that is no member of the record.
      const next = { ...value, createdAt: start + 1, version: 1 }
      await scene.done({ puts: [put(kind, next, 1)] })
      assert.deepEqual(await read(scene, id(value)), { ...next, version: 2 })
      for (const wrong of [0, 1, 3]) {
        assert.deepEqual(conflictOf(await scene.commit({ puts: [put(kind, value, wrong)] })), [
          kind,
          id(value),
        ])
      }
      assert.deepEqual(conflictOf(await scene.commit({ puts: [put(kind, make(), 1)] })).length, 2)
      assert.deepEqual(await read(scene, id(value)), { ...next, version: 2 })
    })
  }

  test('a thumbprint is registered once for all time, whoever asks and whatever became of the key', async () => {
    const scene = await sceneIn(given().store)
    const key = scenes.keyOf()
    await scene.done(insert('key', key))
    await scene.done({ puts: [put('key', { ...key, state: 'revoked' }, 1)] })
    const other = scenes.keyOf({ thumbprint: key.thumbprint })
    assert.deepEqual(conflictOf(await scene.commit(insert('key', other))), ['key', key.thumbprint])
  })

  test('a kid is unique within its owner only', async () => {
    const scene = await sceneIn(given().store)
    const key = scenes.keyOf()
    await scene.done(insert('key', key))
    const same = scenes.keyOf({ owner: key.owner, kid: key.kid })
    assert.deepEqual(conflictOf(await scene.commit(insert('key', same))), ['key', same.thumbprint])
    await scene.done(insert('key', scenes.keyOf({ kid: key.kid })))
  })

  test('a change cannot move a key, an instance, a grant or anything of the vault to another holder', async () => {
    const scene = await sceneIn(given().store)
    const [key, instance, grant] = [scenes.keyOf(), scenes.instanceOf(), scenes.grantOf()]
    const [rotation, schedule, secret] = [scenes.rotationOf(), scenes.scheduleOf(), scenes.secretOf()]
    const [lease, ofClient] = [scenes.secretLeaseOf(), scenes.clientSecretOf()]
    const version = scenes.secretVersionOf()
    await scene.done({ puts: [put('key', key, 0), put('instance', instance, 0), put('grant', grant, 0)] })
    await scene.done({ puts: [put('rotation', rotation, 0), put('schedule', schedule, 0)] })
    await scene.done({ puts: [put('secret', secret, 0), put('secretVersion', version, 0)] })
    await scene.done({ puts: [put('secretLease', lease, 0), put('clientSecret', ofClient, 0)] })
    const moved: readonly [RecordKind, unknown][] = [
      ['key', { ...key, owner: fresh('agt') }],
      ['instance', { ...instance, agent: fresh('agt') }],
      ['grant', { ...grant, agent: fresh('agt') }],
      ['grant', { ...grant, resource: 'https://elsewhere.example' }],
      ['rotation', { ...rotation, kind: 'client_secret' }],
      ['rotation', { ...rotation, target: fresh('sec') }],
      ['schedule', { ...schedule, target: '*' }],
      ['secret', { ...secret, name: 'other' }],
      ['secretVersion', { ...version, secret: fresh('sec') }],
      ['secretVersion', { ...version, number: 2 }],
      ['secretLease', { ...lease, secret: fresh('sec') }],
      ['secretLease', { ...lease, agent: fresh('agt') }],
      ['clientSecret', { ...ofClient, client: fresh('cli') }],
    ]
    for (const [kind, value] of moved) {
      assert.equal((await scene.commit({ puts: [put(kind, value, 1)] })).kind, 'conflict', kind)
    }
  })

  test('a resource identifier and a login are taken as long as their record stands', async () => {
    const scene = await sceneIn(given().store)
    const [resource, person] = [scenes.resourceOf(), scenes.personOf()]
    await scene.done({ puts: [put('resource', resource, 0), put('person', person, 0)] })
    const twins = [
      ['resource', scenes.resourceOf({ identifier: resource.identifier })],
      ['person', scenes.personOf({ login: person.login })],
    ] as const
    for (const [kind, twin] of twins) {
      assert.deepEqual(conflictOf(await scene.commit(insert(kind, twin))), [kind, twin.id])
    }
    await scene.done({ removals: [{ remove: 'resource', id: resource.id, ifVersion: 1 }] })
    await scene.done({ removals: [{ remove: 'person', id: person.id, ifVersion: 1 }] })
    for (const [kind, twin] of twins) await scene.done(insert(kind, twin))
    assert.equal((await scene.store.resources.byIdentifier(scene, resource.identifier))?.id, twins[0][1].id)
    assert.equal((await scene.store.people.byLogin(scene, person.loginKey))?.id, twins[1][1].id)
  })

  test('what was removed is gone, and its id is never given again', async () => {
    const scene = await sceneIn(given().store)
    for (const kind of ['resource', 'person', 'client', 'schedule', 'group'] as const) {
      const { make, read } = kinds[kind] as unknown as { make(): { id: string }; read: Read }
      const value = make()
      const remove = (ifVersion: number) =>
        scene.commit({ removals: [{ remove: kind, id: value.id, ifVersion }] })
      await scene.done(insert(kind, value))
      assert.deepEqual(conflictOf(await remove(2)), [kind, value.id])
      assert.equal((await remove(1)).kind, 'done')
      assert.equal(await read(scene, value.id), undefined)
      assert.deepEqual(conflictOf(await remove(1)), [kind, value.id])
      assert.deepEqual(conflictOf(await scene.commit(insert(kind, { ...make(), id: value.id }))), [
        kind,
        value.id,
      ])
      assert.deepEqual(conflictOf(await scene.commit({ puts: [put(kind, value, 1)] })), [kind, value.id])
    }
  })

  test('instances and keys are listed by the one they belong to, in the order of their making', async () => {
    const scene = await sceneIn(given().store)
    const agent = fresh('agt')
    const instances = Array.from({ length: 5 }, () => scenes.instanceOf({ agent }))
    const keys = instances.map(instance => scenes.keyOf({ owner: agent, instance: instance.id }))
    for (const [at, instance] of instances.entries()) {
      await scene.done({ puts: [put('instance', instance, 0), put('key', keys[at], 0)] })
    }
    await scene.done({ puts: [put('instance', scenes.instanceOf(), 0), put('key', scenes.keyOf(), 0)] })
    await scene.done({ touches: [{ thumbprint: keys[2]?.thumbprint ?? '', from: 'gate' }] })
    const { store } = scene
    const inPages = async <T>(read: (page: PageRequest) => Promise<Page<T>>): Promise<readonly T[]> => {
      const first = await read({ limit: 2 })
      const second = await read({ limit: 2, after: first.next ?? '' })
      const last = await read({ limit: 2, after: second.next ?? '' })
      assert.equal(last.next, null)
      return [...first.items, ...second.items, ...last.items]
    }
    assert.deepEqual(
      (await inPages(page => store.agents.instances(scene, page, { agent }))).map(({ id }) => id),
      instances.map(({ id }) => id),
    )
    const listed = await inPages(page => store.keys.list(scene, page, { owner: agent }))
    assert.deepEqual(
      listed.map(({ thumbprint }) => thumbprint),
      keys.map(({ thumbprint }) => thumbprint),
    )
    assert.deepEqual(
      listed.map(({ use }) => use?.lastUsedFrom ?? null),
      [null, null, 'gate', null, null],
    )
    assert.deepEqual(await store.keys.ofOwner(scene, agent), listed)
  })

  test('agents are filtered by owner, status and name, all exactly', async () => {
    const scene = await sceneIn(given().store)
    const [owner, other] = [fresh('usr'), fresh('usr')]
    const agents = [
      scenes.agentOf({ owner, name: 'a' }),
      scenes.agentOf({ owner, name: 'b', status: 'suspended' }),
      scenes.agentOf({ owner: other, name: 'a' }),
      scenes.agentOf({ owner: other, name: 'A' }),
    ]
    await scene.done({ puts: agents.map(value => put('agent', value, 0)) })
    const found = async (filter: { owner?: string; status?: string; name?: string }) =>
      (await scene.store.agents.list(scene, { limit: 10 }, filter)).items.map(({ id }) =>
        agents.findIndex(agent => agent.id === id),
      )
    assert.deepEqual(await found({}), [0, 1, 2, 3])
    assert.deepEqual(await found({ owner }), [0, 1])
    assert.deepEqual(await found({ name: 'a' }), [0, 2])
    assert.deepEqual(await found({ owner, status: 'suspended' }), [1])
    assert.deepEqual(await found({ owner: other, status: 'suspended' }), [])
  })
  pageTests(given)
}

const lists: Record<
  string,
  { kind: RecordKind; page(store: Store): (scene: Scene, page: PageRequest) => Promise<Page<unknown>> }
> = {
  agents: { kind: 'agent', page: store => (scene, page) => store.agents.list(scene, page, {}) },
  resources: { kind: 'resource', page: store => (scene, page) => store.resources.list(scene, page) },
  grants: { kind: 'grant', page: store => (scene, page) => store.grants.list(scene, page, {}) },
  clients: { kind: 'client', page: store => (scene, page) => store.clients.list(scene, page) },
  people: { kind: 'person', page: store => (scene, page) => store.people.list(scene, page) },
  rotations: { kind: 'rotation', page: store => (scene, page) => store.rotations.list(scene, page, {}) },
  schedules: { kind: 'schedule', page: store => (scene, page) => store.schedules.list(scene, page, {}) },
  secrets: { kind: 'secret', page: store => (scene, page) => store.secrets.list(scene, page, {}) },
  'leases of secrets': {
    kind: 'secretLease',
    page: store => (scene, page) => store.secrets.leases(scene, page, {}),
  },
  'policy sets': {
    kind: 'policySet',
    page: store => (scene, page) => store.policySets.list(scene, page, {}),
  },
  groups: { kind: 'group', page: store => (scene, page) => store.groups.list(scene, page) },
  sessions: { kind: 'session', page: store => (scene, page) => store.sessions.list(scene, page, {}) },
  risks: { kind: 'risk', page: store => (scene, page) => store.risks.list(scene, page) },
  eligibilities: {
    kind: 'eligibility',
    page: store => (scene, page) => store.eligibilities.list(scene, page, {}),
  },
  approvals: { kind: 'approval', page: store => (scene, page) => store.approvals.list(scene, page, {}) },
  halts: { kind: 'halt', page: store => (scene, page) => store.halts.list(scene, page, {}) },
}

function pageTests(given: () => Given): void {
  for (const [name, { kind, page }] of Object.entries(lists)) {
    const { make } = kinds[kind] as unknown as { make(): { id: string } }
    const walk = async (scene: Scene, limit: number, between: () => Promise<void> = async () => {}) => {
      const seen: string[] = []
      for (let after: string | undefined; ; ) {
        const got = await page(scene.store)(scene, after === undefined ? { limit } : { limit, after })
        assert.ok(got.items.length <= limit)
        seen.push(...got.items.map(item => (item as { id: string }).id))
        if (got.next === null) return seen
        after = got.next
        await between()
      }
    }

    test(`pages of ${name} are complete and in the order of creation, at every size of page`, async () => {
      const scene = await sceneIn(given().store)
      const ids: string[] = []
      assert.deepEqual(await page(scene.store)(scene, { limit: 5 }), { items: [], next: null })
      for (let at = 0; at < 7; at++) {
        const value = make()
        await scene.done(insert(kind, value))
        ids.push(value.id)
      }
      for (const limit of [1, 2, 6, 7, 8]) assert.deepEqual(await walk(scene, limit), ids)
    })

    test(`a walk over ${name} misses nothing and repeats nothing while others are made`, async () => {
      const scene = await sceneIn(given().store)
      const first = Array.from({ length: 20 }, () => make())
      await scene.done({ puts: first.map(value => put(kind, value, 0)) })
      const later: string[] = []
      const seen = await walk(scene, 3, async () => {
        if (later.length >= 20) return
        const made = Array.from({ length: 5 }, () => make())
        await Promise.all(made.map(value => scene.done(insert(kind, value))))
        later.push(...made.map(({ id }) => id))
      })
      assert.deepEqual(
        seen.slice(0, 20),
        first.map(({ id }) => id),
      )
      assert.deepEqual([...seen.slice(20)].sort(), [...later].sort())
    })

    test(`a page of ${name} that continues after something unknown is refused, not silently cut short`, async () => {
      const scene = await sceneIn(given().store)
      await assert.rejects(page(scene.store)(scene, { limit: 5, after: unique() }), isFault)
    })
  }

  test('a walk goes on after an item that was removed meanwhile', async () => {
    const scene = await sceneIn(given().store)
    const people = Array.from({ length: 3 }, () => scenes.personOf())
    await scene.done({ puts: people.map(value => put('person', value, 0)) })
    const [first] = people
    await scene.done({ removals: [{ remove: 'person', id: first?.id ?? '', ifVersion: 1 }] })
    const rest = await scene.store.people.list(scene, { limit: 5, after: first?.id ?? '' })
    assert.deepEqual(
      rest.items.map(({ id }) => id),
      people.slice(1).map(({ id }) => id),
    )
  })
}
