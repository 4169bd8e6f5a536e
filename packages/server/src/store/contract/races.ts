// Twenty callers at once on everything that may happen only once, through every node there is.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Change, Committed } from '../../domain/change.ts'
import { groupOf, haltOf, policySetOf } from './authorization-scene.ts'
import {
  agentOf,
  bytes,
  clientOf,
  type Given,
  keyOf,
  personOf,
  resourceOf,
  rotationOf,
  type Scene,
  scheduleOf,
  secretOf,
  secretVersionOf,
  start,
  throughNodes,
  unique,
  vaultKeyOf,
} from './scene.ts'

const callers = 20

type Race = (scene: Scene) => Promise<(caller: number) => Partial<Change>>

/** What each caller tries, prepared once; exactly one may succeed, and all others must fail as `fails`. */
const races: Record<string, { readonly fails: Committed['kind']; readonly prepare: Race }> = {
  'leaves a replay mark': {
    fails: 'replayed',
    async prepare() {
      const claim = { key: unique(), until: start + 60 }
      return () => ({ claims: [claim] })
    },
  },
  'renews a replay mark that has passed': {
    fails: 'replayed',
    async prepare(scene) {
      const key = unique()
      await scene.done({ claims: [{ key, until: start - 1 }] }, -10)
      return () => ({ claims: [{ key, until: start + 60 }] })
    },
  },
  'takes an artefact': {
    fails: 'spent',
    async prepare(scene) {
      const take = { kind: 'enrollment', key: unique() } as const
      await scene.done({ creates: [{ ...take, value: 'v', expiresAt: start + 60 }] })
      return () => ({ takes: [take] })
    },
  },
  'creates an artefact': {
    fails: 'conflict',
    async prepare() {
      const once = { kind: 'enrollment', key: unique(), value: 'v', expiresAt: start + 60 } as const
      return () => ({ creates: [once] })
    },
  },
  'keeps an answer': {
    fails: 'conflict',
    async prepare() {
      const key = unique()
      return caller => ({
        remembers: [{ key, request: 'r', status: 200, body: `${caller}`, until: start + 60 }],
      })
    },
  },
  'makes a record of an id': {
    fails: 'conflict',
    async prepare() {
      const agent = agentOf()
      return caller => ({ puts: [{ put: 'agent', value: { ...agent, name: `${caller}` }, ifVersion: 0 }] })
    },
  },
  'changes a record of a version': {
    fails: 'conflict',
    async prepare(scene) {
      const agent = agentOf()
      await scene.done({ puts: [{ put: 'agent', value: agent, ifVersion: 0 }] })
      return caller => ({ puts: [{ put: 'agent', value: { ...agent, name: `${caller}` }, ifVersion: 1 }] })
    },
  },
  'removes a record of a version': {
    fails: 'conflict',
    async prepare(scene) {
      const client = clientOf()
      await scene.done({ puts: [{ put: 'client', value: client, ifVersion: 0 }] })
      return () => ({ removals: [{ remove: 'client', id: client.id, ifVersion: 1 }] })
    },
  },
  'registers a key': {
    fails: 'conflict',
    async prepare() {
      const { thumbprint } = keyOf()
      return () => ({ puts: [{ put: 'key', value: keyOf({ thumbprint }), ifVersion: 0 }] })
    },
  },
  'names a key of one owner': {
    fails: 'conflict',
    async prepare() {
      const { owner, kid } = keyOf()
      return () => ({ puts: [{ put: 'key', value: keyOf({ owner, kid }), ifVersion: 0 }] })
    },
  },
  'registers a resource identifier': {
    fails: 'conflict',
    async prepare() {
      const { identifier } = resourceOf()
      return () => ({ puts: [{ put: 'resource', value: resourceOf({ identifier }), ifVersion: 0 }] })
    },
  },
  'moves another resource to an identifier': {
    fails: 'conflict',
    async prepare(scene) {
      const { identifier } = resourceOf()
      const all = Array.from({ length: callers }, () => resourceOf())
      await scene.done({ puts: all.map(value => ({ put: 'resource', value, ifVersion: 0 }) as const) })
      return caller => ({
        puts: [{ put: 'resource', value: { ...resourceOf(), ...all[caller], identifier }, ifVersion: 1 }],
      })
    },
  },
  'registers a login': {
    fails: 'conflict',
    async prepare() {
      const { login } = personOf()
      return () => ({ puts: [{ put: 'person', value: personOf({ login }), ifVersion: 0 }] })
    },
  },
  'begins to replace a version': {
    fails: 'conflict',
    async prepare(scene) {
      const { kind, target, from } = rotationOf()
      // One that has ended is not in the way.
      const ended = rotationOf({ kind, target, from, state: 'failed', dueAt: null })
      await scene.done({ puts: [{ put: 'rotation', value: ended, ifVersion: 0 }] })
      return () => ({ puts: [{ put: 'rotation', value: rotationOf({ kind, target, from }), ifVersion: 0 }] })
    },
  },
  'begins to rotate what has no version yet': {
    fails: 'conflict',
    async prepare() {
      const { kind, target } = rotationOf()
      return () => ({
        puts: [{ put: 'rotation', value: rotationOf({ kind, target, from: null }), ifVersion: 0 }],
      })
    },
  },
  'schedules a target': {
    fails: 'conflict',
    async prepare() {
      const { kind, target } = scheduleOf()
      return () => ({ puts: [{ put: 'schedule', value: scheduleOf({ kind, target }), ifVersion: 0 }] })
    },
  },
  'names a secret': {
    fails: 'conflict',
    async prepare() {
      const { name } = secretOf()
      return () => ({ puts: [{ put: 'secret', value: secretOf({ name }), ifVersion: 0 }] })
    },
  },
  'numbers a version of a secret': {
    fails: 'conflict',
    async prepare() {
      const { secret, number } = secretVersionOf()
      return () => ({
        puts: [{ put: 'secretVersion', value: secretVersionOf({ secret, number }), ifVersion: 0 }],
      })
    },
  },
  'makes the active key of the vault': {
    fails: 'conflict',
    async prepare() {
      return () => ({ puts: [{ put: 'vaultKey', value: vaultKeyOf({ state: 'active' }), ifVersion: 0 }] })
    },
  },
  'puts a policy set into force': {
    fails: 'conflict',
    async prepare(scene) {
      const all = Array.from({ length: callers }, () => policySetOf())
      await scene.done({ puts: all.map(value => ({ put: 'policySet', value, ifVersion: 0 }) as const) })
      return caller => ({
        puts: [
          { put: 'policySet', value: { ...policySetOf(), ...all[caller], state: 'active' }, ifVersion: 1 },
        ],
      })
    },
  },
  'tries a policy set in the shadow': {
    fails: 'conflict',
    async prepare() {
      return () => ({ puts: [{ put: 'policySet', value: policySetOf({ state: 'shadow' }), ifVersion: 0 }] })
    },
  },
  'numbers a policy set': {
    fails: 'conflict',
    async prepare() {
      const { number } = policySetOf()
      return () => ({ puts: [{ put: 'policySet', value: policySetOf({ number }), ifVersion: 0 }] })
    },
  },
  'names a group': {
    fails: 'conflict',
    async prepare() {
      const { name } = groupOf()
      return () => ({ puts: [{ put: 'group', value: groupOf({ name }), ifVersion: 0 }] })
    },
  },
  'halts a target': {
    fails: 'conflict',
    async prepare() {
      const { target } = haltOf()
      return () => ({ puts: [{ put: 'halt', value: haltOf({ target }), ifVersion: 0 }] })
    },
  },
  'makes a staged key of the vault the active one': {
    fails: 'conflict',
    async prepare(scene) {
      const all = Array.from({ length: callers }, () => vaultKeyOf())
      await scene.done({ puts: all.map(value => ({ put: 'vaultKey', value, ifVersion: 0 }) as const) })
      return caller => ({
        puts: [
          { put: 'vaultKey', value: { ...vaultKeyOf(), ...all[caller], state: 'active' }, ifVersion: 1 },
        ],
      })
    },
  },
}

/** Registers the tests of races. */
export function raceContract(given: () => Given): void {
  for (const [what, { fails, prepare }] of Object.entries(races)) {
    test(`of twenty callers exactly one ${what}`, () =>
      throughNodes(given(), async scenes => {
        const [scene] = scenes as [Scene]
        const attempt = await prepare(scene)
        const size = await scene.store.log.size(scene)
        const all = await Promise.all(
          Array.from({ length: callers }, (_, caller) =>
            (scenes[caller % scenes.length] as Scene).commit(attempt(caller)),
          ),
        )
        const expected = Array.from({ length: callers }, (_, at) => (at === 0 ? 'done' : fails))
        assert.deepEqual(all.map(({ kind }) => kind).sort(), expected.sort())
        assert.equal(await scene.store.log.size(scene), size + 1)
      }))
  }

  test('of twenty callers exactly one holds a lease', () =>
    throughNodes(given(), async scenes => {
      const name = unique()
      const all = await Promise.all(
        Array.from({ length: callers }, (_, caller) =>
          (scenes[caller % scenes.length] as Scene).store.leases.hold(name, `${caller}`, 30),
        ),
      )
      assert.equal(all.filter(held => held !== 'held').length, 1)
    }))

  test('of twenty callers exactly one publishes a checkpoint of a size', () =>
    throughNodes(given(), async scenes => {
      const all = await Promise.all(
        Array.from({ length: callers }, (_, caller) => {
          const { store, tenant } = scenes[caller % scenes.length] as Scene
          const tile = { level: 0, index: 0, hashes: bytes(8192) }
          return store.log.publish({ tenant }, 256, `note ${caller}`, [tile])
        }),
      )
      const [scene] = scenes as [Scene]
      const winner = all.indexOf(true)
      assert.equal(all.filter(published => published).length, 1)
      assert.deepEqual(await scene.store.log.checkpoint(scene), { size: 256, note: `note ${winner}` })
    }))

  test('of twenty callers that make one tenant all get the same', () =>
    throughNodes(given(), async scenes => {
      const id = `t-${unique()}` as Scene['tenant']
      const all = await Promise.all(
        Array.from({ length: callers }, (_, caller) =>
          (scenes[caller % scenes.length] as Scene).store.tenants.ensure({
            id,
            issuer: `https://${id}.example/${caller}`,
            createdAt: start + caller,
          }),
        ),
      )
      for (const tenant of all) assert.deepEqual(tenant, all[0])
    }))

  test('changes that arrive at once get contiguous indexes and epochs, on whatever node they arrive', () =>
    throughNodes(given(), async scenes => {
      const [scene] = scenes as [Scene]
      const all = await Promise.all(
        Array.from({ length: 200 }, (_, at) =>
          (scenes[at % scenes.length] as Scene).done({ signals: [{ subject: unique(), kind: 'changed' }] }),
        ),
      )
      const expected = Array.from({ length: 200 }, (_, at) => at)
      const sorted = (numbers: readonly number[]) => [...numbers].sort((a, b) => a - b)
      assert.deepEqual(sorted(all.map(({ first }) => first.index)), expected)
      assert.deepEqual(sorted(all.map(({ epoch }) => epoch - 1)), expected)
      assert.equal((await scene.store.signals.after(scene, 0, 1000)).length, 200)
    }))
}
