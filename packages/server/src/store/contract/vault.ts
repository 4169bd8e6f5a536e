// The contract of the vault's records: versions in their order, what is wrapped by a key, leases that are due.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Put } from '../../domain/change.ts'
import type { VaultKey } from '../../domain/vault/key.ts'
import type { SecretLease, SecretVersion } from '../../domain/vault/secret.ts'
import {
  clientSecretOf,
  fresh,
  type Given,
  sceneIn,
  secretLeaseOf,
  secretOf,
  secretVersionOf,
  start,
  vaultKeyOf,
} from './scene.ts'

const version = (value: SecretVersion, ifVersion = 0): Put => ({ put: 'secretVersion', value, ifVersion })
const lease = (value: SecretLease, ifVersion = 0): Put => ({ put: 'secretLease', value, ifVersion })
const vaultKey = (value: VaultKey, ifVersion = 0): Put => ({ put: 'vaultKey', value, ifVersion })
const ids = (found: readonly { readonly id: string }[]): readonly string[] => found.map(({ id }) => id)

/** Registers the tests of secrets, their versions and leases, vault keys and client secrets. */
export function vaultContract(given: () => Given): void {
  test('a secret is found by its name, which is never given again', async () => {
    const scene = await sceneIn(given().store)
    const [secret, owner] = [secretOf({ name: 'depot' }), fresh('usr')]
    await scene.done({ puts: [{ put: 'secret', value: secret, ifVersion: 0 }] })
    await scene.done({
      puts: [{ put: 'secret', value: { ...secret, status: 'retired', owner }, ifVersion: 1 }],
    })
    const twin = secretOf({ name: 'depot' })
    assert.equal(
      (await scene.commit({ puts: [{ put: 'secret', value: twin, ifVersion: 0 }] })).kind,
      'conflict',
    )
    assert.equal((await scene.store.secrets.byName(scene, 'depot'))?.id, secret.id)
    assert.equal(await scene.store.secrets.byName(scene, 'Depot'), undefined)
    const found = await scene.store.secrets.list(scene, { limit: 5 }, { owner })
    assert.deepEqual(ids(found.items), [secret.id])
    assert.deepEqual((await scene.store.secrets.list(scene, { limit: 5 }, { owner: secret.owner })).items, [])
  })

  test('versions come in the order of their numbers, those of the states that were asked for', async () => {
    const scene = await sceneIn(given().store)
    const secret = fresh('sec')
    const states = ['retired', 'retiring', 'active', 'failed', 'staged'] as const
    const all = states.map((state, at) => secretVersionOf({ secret, state, number: at + 1 }))
    for (const one of [...all].reverse()) await scene.done({ puts: [version(one)] })
    await scene.done({ puts: [version(secretVersionOf())] })
    const { store } = scene
    assert.deepEqual(
      await store.secrets.versions(scene, secret),
      all.map(one => ({ ...one, version: 1 })),
    )
    const live = await store.secrets.versions(scene, secret, { states: ['active', 'retiring'] })
    assert.deepEqual(
      live.map(({ number }) => number),
      [2, 3],
    )
    assert.deepEqual(await store.secrets.versions(scene, secret, { states: [] }), [])
    const twin = secretVersionOf({ secret, number: 3 })
    assert.equal((await scene.commit({ puts: [version(twin)] })).kind, 'conflict')
  })

  test('what is under a key of the vault is found and counted until it is wrapped by another', async () => {
    const scene = await sceneIn(given().store)
    const [old, next] = [fresh('vky'), fresh('vky')]
    const all = Array.from({ length: 5 }, () => secretVersionOf({ vaultKey: old }))
    await scene.done({ puts: all.map(one => version(one)) })
    await scene.done({ puts: [version(secretVersionOf({ vaultKey: next }))] })
    const { secrets } = scene.store
    const under = async (limit: number) => [...ids(await secrets.under(scene, old, limit))].sort()
    assert.deepEqual(await under(10), [...ids(all)].sort())
    assert.equal((await under(2)).length, 2)
    assert.deepEqual([await secrets.countUnder(scene, old), await secrets.countUnder(scene, next)], [5, 1])
    const [first, second, ...rest] = all as [SecretVersion, SecretVersion, ...SecretVersion[]]
    await scene.done({
      puts: [
        version({ ...first, vaultKey: next }, 1),
        version({ ...second, state: 'retired', vaultKey: null, sealed: '' }, 1),
      ],
    })
    assert.deepEqual(await under(10), [...ids(rest)].sort())
    assert.deepEqual([await secrets.countUnder(scene, old), await secrets.countUnder(scene, next)], [3, 2])
  })

  test('the tenant has one active key of the vault, and a successor takes its place in one change', async () => {
    const scene = await sceneIn(given().store)
    const [old, next] = [vaultKeyOf({ state: 'active' }), vaultKeyOf()]
    await scene.done({ puts: [vaultKey(old), vaultKey(next)] })
    const active = vaultKey({ ...next, state: 'active' }, 1)
    assert.equal((await scene.commit({ puts: [active] })).kind, 'conflict')
    await scene.done({ puts: [vaultKey({ ...old, state: 'retiring' }, 1), active] })
    assert.deepEqual(
      (await scene.store.vaultKeys.list(scene)).map(({ id, state }) => [id, state]),
      [
        [old.id, 'retiring'],
        [next.id, 'active'],
      ],
    )
  })

  test('what rests on a key of the vault is stale once the key was narrowed', async () => {
    const scene = await sceneIn(given().store)
    const key = vaultKeyOf({ state: 'active' })
    const subjects = [`vault-key:${key.id}`]
    const { epoch } = await scene.done({ puts: [vaultKey(key)] })
    const bases = [{ epoch, subjects }]
    await scene.done({ bases, puts: [version(secretVersionOf({ vaultKey: key.id }))] })
    await scene.done({
      puts: [vaultKey({ ...key, state: 'retiring' }, 1)],
      signals: [{ subject: `vault-key:${key.id}`, kind: 'narrowed' }],
    })
    const late = { bases, puts: [version(secretVersionOf({ vaultKey: key.id }))] }
    assert.equal((await scene.commit(late)).kind, 'stale')
    assert.equal(await scene.store.secrets.countUnder(scene, key.id), 1)
  })

  test('the secrets of a client are read oldest first', async () => {
    const scene = await sceneIn(given().store)
    const client = fresh('cli')
    const all = [clientSecretOf({ client, state: 'retiring' }), clientSecretOf({ client })]
    for (const value of [...all, clientSecretOf()]) {
      await scene.done({ puts: [{ put: 'clientSecret', value, ifVersion: 0 }] })
    }
    assert.deepEqual(ids(await scene.store.clientSecrets.ofClient(scene, client)), ids(all))
  })
  leaseTests(given)
}

function leaseTests(given: () => Given): void {
  test('live leases are those that have not ended, of an agent, of a secret, or of both', async () => {
    const scene = await sceneIn(given().store)
    const [agent, secret] = [fresh('agt'), fresh('sec')]
    const all = [
      secretLeaseOf({ agent, secret, state: 'pending' }),
      secretLeaseOf({ agent, state: 'live' }),
      secretLeaseOf({ secret, state: 'ending' }),
      secretLeaseOf({ agent, secret, state: 'ended', dueAt: null }),
      secretLeaseOf(),
    ]
    for (const one of all) await scene.done({ puts: [lease(one)] })
    const live = async (of: { agent?: string; secret?: string }, limit = 10) =>
      (await scene.store.secrets.liveLeases(scene, of, limit))
        .map(({ id }) => all.findIndex(one => one.id === id))
        .sort()
    assert.deepEqual(await live({ agent }), [0, 1])
    assert.deepEqual(await live({ secret }), [0, 2])
    assert.deepEqual(await live({ agent, secret }), [0])
    assert.equal((await live({ agent }, 1)).length, 1)
    const listed = async (filter: { agent?: string; secret?: string }) =>
      (await scene.store.secrets.leases(scene, { limit: 10 }, filter)).items.map(({ id }) =>
        all.findIndex(one => one.id === id),
      )
    assert.deepEqual(await listed({ agent }), [0, 1, 3])
    assert.deepEqual(await listed({ agent, secret }), [0, 3])
  })

  test('live leases are read page by page, each of them once, also where some end between two pages', async () => {
    const scene = await sceneIn(given().store)
    const agent = fresh('agt')
    const all = Array.from({ length: 7 }, () => secretLeaseOf({ agent }))
    for (const one of [...all].reverse()) await scene.done({ puts: [lease(one)] })
    const inOrder = [...all].sort((a, b) => (a.id < b.id ? -1 : 1))
    const { secrets } = scene.store
    for (const whose of [{ agent }, {}]) {
      const first = await secrets.liveLeases(scene, whose, 3)
      const second = await secrets.liveLeases(scene, whose, 3, first.at(-1)?.id)
      const third = await secrets.liveLeases(scene, whose, 3, second.at(-1)?.id)
      assert.deepEqual([first, second, third].map(ids), [
        ids(inOrder.slice(0, 3)),
        ids(inOrder.slice(3, 6)),
        ids(inOrder.slice(6)),
      ])
      assert.deepEqual(await secrets.liveLeases(scene, whose, 3, third.at(-1)?.id), [])
    }
    const [first, second, ...rest] = inOrder as [SecretLease, SecretLease, ...SecretLease[]]
    const ended = { state: 'ended', dueAt: null } as const
    await scene.done({ puts: [lease({ ...first, ...ended }, 1), lease({ ...second, ...ended }, 1)] })
    assert.deepEqual(ids(await secrets.liveLeases(scene, { agent }, 10, second.id)), ids(rest))
  })

  test('leases are due from their instant on until they have ended, the longest due first', async () => {
    const scene = await sceneIn(given().store)
    const all = [-1, -50, 0, 1].map(after => secretLeaseOf({ dueAt: start + after }))
    for (const one of all) await scene.done({ puts: [lease(one)] })
    await scene.done({ puts: [lease(secretLeaseOf({ state: 'ended', dueAt: null }))] })
    const due = async (when: number, limit = 10) =>
      (await scene.store.secrets.dueLeases(scene, when, limit)).map(({ id }) =>
        all.findIndex(one => one.id === id),
      )
    assert.deepEqual(await due(start), [1, 0, 2])
    assert.deepEqual(await due(start - 1), [1, 0])
    assert.deepEqual(await due(start + 1), [1, 0, 2, 3])
    assert.deepEqual(await due(start + 1, 2), [1, 0])
    await scene.done({ puts: [lease({ ...(all[1] as SecretLease), state: 'ended', dueAt: null }, 1)] })
    assert.deepEqual(await due(start), [0, 2])
  })
}
