// The contract of facts: of one snapshot, remembered only as long as no signal speaks of them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Key } from '../../domain/agent.ts'
import type { Change, Signal } from '../../domain/change.ts'
import {
  agentOf,
  clientOf,
  type Given,
  grantOf,
  instanceOf,
  keyOf,
  resourceOf,
  type Scene,
  sceneIn,
  start,
  unique,
} from './scene.ts'

function castOf() {
  const agent = agentOf()
  const instance = instanceOf({ agent: agent.id })
  return {
    agent,
    instance,
    key: keyOf({ owner: agent.id, instance: instance.id }),
    grant: grantOf({ agent: agent.id }),
  }
}

async function planted(scene: Scene) {
  const cast = castOf()
  await scene.done({
    puts: [
      { put: 'agent', value: cast.agent, ifVersion: 0 },
      { put: 'instance', value: cast.instance, ifVersion: 0 },
      { put: 'key', value: cast.key, ifVersion: 0 },
      { put: 'grant', value: cast.grant, ifVersion: 0 },
    ],
  })
  return cast
}

/** Asks until the answer comes from memory. */
async function remember(scene: Scene, id: string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if ((await scene.store.facts.caller(scene, id))?.remembered) return
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  throw new Error('the facts are never remembered')
}

/** Registers the tests of facts. */
export function factsContract(given: () => Given): void {
  test('the facts of an agent are the agent, its keys and its grants that are not revoked, at one epoch', async () => {
    const scene = await sceneIn(given().store)
    const { agent, key, grant } = await planted(scene)
    await scene.done({
      puts: [
        { put: 'grant', value: grantOf({ agent: agent.id, revokedAt: start }), ifVersion: 0 },
        { put: 'grant', value: grantOf(), ifVersion: 0 },
        { put: 'key', value: keyOf(), ifVersion: 0 },
      ],
    })
    const facts = await scene.store.facts.caller(scene, agent.id, { fresh: true })
    assert.deepEqual(facts, {
      epoch: await scene.store.signals.head(scene),
      remembered: false,
      agent,
      client: undefined,
      keys: [key],
      clientSecrets: [],
      grants: [grant],
    })
  })

  test('dead keys are none of the facts, however many; those in overlap are; each is found by its name', async () => {
    const scene = await sceneIn(given().store)
    const { agent, key } = await planted(scene)
    const more = (what: Partial<Key>) => keyOf({ owner: agent.id, ...what })
    const alive = [
      more({ state: 'retiring', expiresAt: start + 1 }),
      more({ state: 'retiring' }),
      more({ state: 'staged' }),
    ]
    const dead = [
      more({ state: 'retired' }),
      more({ state: 'revoked', expiresAt: start + 100 }),
      more({ expiresAt: start }),
      more({ state: 'retiring', expiresAt: start - 1 }),
      ...Array.from({ length: 500 }, (_, count) => more({ expiresAt: start - count })),
    ]
    await scene.done({ puts: [...alive, ...dead].map(value => ({ put: 'key', value, ifVersion: 0 })) })
    const seen = async (now: number) => {
      const facts = await scene.store.facts.caller({ ...scene, now }, agent.id, { fresh: true })
      return new Set(facts?.keys.map(({ thumbprint }) => thumbprint))
    }
    assert.deepEqual(await seen(start), new Set([key, ...alive].map(({ thumbprint }) => thumbprint)))
    assert.equal((await seen(start + 1)).size, 3)
    for (const each of [key, ...alive, ...dead.slice(0, 5)]) {
      for (const name of [each.kid, each.thumbprint]) {
        const [found, ...others] = await scene.store.keys.named(scene, agent.id, [name])
        assert.deepEqual([found, others], [{ ...each, version: 1 }, []])
      }
      assert.deepEqual(await scene.store.keys.named(scene, agentOf().id, [each.kid, each.thumbprint]), [])
    }
  })

  test('the facts of another client are the client and its keys', async () => {
    const scene = await sceneIn(given().store)
    const client = clientOf()
    const key = keyOf({ owner: client.id, instance: null })
    await scene.done({
      puts: [
        { put: 'client', value: client, ifVersion: 0 },
        { put: 'key', value: key, ifVersion: 0 },
      ],
    })
    const facts = await scene.store.facts.caller(scene, client.id, { fresh: true })
    assert.deepEqual(
      [facts?.client, facts?.agent, facts?.keys, facts?.grants],
      [client, undefined, [key], []],
    )
    assert.equal(await scene.store.facts.caller(scene, unique()), undefined)
  })

  test('facts are handed out frozen, so that no use case changes what another remembers', async () => {
    const scene = await sceneIn(given().store)
    const { agent } = await planted(scene)
    await remember(scene, agent.id)
    const facts = await scene.store.facts.caller(scene, agent.id)
    for (const part of [
      facts,
      facts?.agent,
      facts?.agent?.labels,
      facts?.keys,
      facts?.keys[0],
      facts?.grants[0]?.scopes,
    ]) {
      assert.ok(Object.isFrozen(part))
    }
  })

  test('remembered facts say so, and fresh ones are read past the memory', async () => {
    const scene = await sceneIn(given().store)
    const { agent } = await planted(scene)
    await remember(scene, agent.id)
    const facts = await scene.store.facts.caller(scene, agent.id)
    assert.equal(facts?.remembered, true)
    assert.equal((await scene.store.facts.caller(scene, agent.id, { fresh: true }))?.remembered, false)
  })

  type Cast = ReturnType<typeof castOf>
  const narrowed = (subject: string): readonly Signal[] => [{ subject, kind: 'narrowed' }]
  const events: Readonly<Record<string, (cast: Cast) => Partial<Change>>> = {
    'its agent is suspended': ({ agent }) => ({
      puts: [{ put: 'agent', value: { ...agent, status: 'suspended' }, ifVersion: 1 }],
      signals: narrowed(agent.id),
    }),
    'its agent changes and the change carries no signal': ({ agent }) => ({
      puts: [{ put: 'agent', value: { ...agent, name: 'renamed' }, ifVersion: 1 }],
    }),
    'one of its keys is revoked': ({ key }) => ({
      puts: [{ put: 'key', value: { ...key, state: 'revoked' }, ifVersion: 1 }],
      signals: narrowed(`key:${key.thumbprint}`),
    }),
    'it gets another key': ({ agent }) => ({
      puts: [{ put: 'key', value: keyOf({ owner: agent.id }), ifVersion: 0 }],
    }),
    'one of its grants is revoked': ({ grant }) => ({
      puts: [{ put: 'grant', value: { ...grant, revokedAt: start }, ifVersion: 1 }],
      signals: narrowed(grant.id),
    }),
    'it gets another grant': ({ agent }) => ({
      puts: [{ put: 'grant', value: grantOf({ agent: agent.id }), ifVersion: 0 }],
    }),
  }
  for (const [event, changeOf] of Object.entries(events)) {
    test(`facts are read anew once ${event}`, async () => {
      const scene = await sceneIn(given().store)
      const cast = await planted(scene)
      await remember(scene, cast.agent.id)
      await scene.done(changeOf(cast))
      const facts = await scene.store.facts.caller(scene, cast.agent.id)
      const truth = await scene.store.facts.caller(scene, cast.agent.id, { fresh: true })
      const rest = (read: typeof facts) => ({ ...read, epoch: 0, remembered: null })
      assert.deepEqual(rest(facts), rest(truth))
    })
  }

  for (const subjectOf of [
    (cast: Cast) => cast.agent.id,
    (cast: Cast) => cast.instance.id,
    (cast: Cast) => cast.grant.id,
    (cast: Cast) => `key:${cast.key.thumbprint}`,
  ]) {
    for (const kind of ['narrowed', 'changed'] as const) {
      test(`a bare signal ${kind} about ${subjectOf.toString().split('=> ')[1]} ends what is remembered`, async () => {
        const scene = await sceneIn(given().store)
        const cast = await planted(scene)
        await remember(scene, cast.agent.id)
        const { epoch } = await scene.done({ signals: [{ subject: subjectOf(cast), kind }] })
        const facts = await scene.store.facts.caller(scene, cast.agent.id)
        assert.equal(facts?.remembered, false)
        assert.ok((facts?.epoch ?? 0) >= epoch)
      })
    }
  }

  test('facts that were not touched keep up with the epoch, so that they stay a good basis', async () => {
    const scene = await sceneIn(given().store)
    const { agent } = await planted(scene)
    await remember(scene, agent.id)
    for (let round = 0; round < 5; round++) {
      await scene.done({ signals: [{ subject: unique(), kind: 'narrowed' }] })
      const facts = await scene.store.facts.caller(scene, agent.id)
      assert.equal(
        (await scene.commit({ bases: [{ epoch: facts?.epoch ?? 0, subjects: [agent.id] }] })).kind,
        'done',
      )
    }
  })

  test('a resource is remembered until it changes or goes', async () => {
    const scene = await sceneIn(given().store)
    const resource = resourceOf()
    const read = () => scene.store.facts.resource(scene, resource.identifier)
    assert.equal(await read(), undefined)
    await scene.done({ puts: [{ put: 'resource', value: resource, ifVersion: 0 }] })
    for (let round = 0; round < 3; round++) assert.equal((await read())?.name, resource.name)
    const { epoch } = await scene.done({
      puts: [{ put: 'resource', value: { ...resource, name: 'renamed' }, ifVersion: 1 }],
    })
    for (let round = 0; round < 3; round++) {
      assert.deepEqual(await read(), { ...resource, name: 'renamed', epoch })
    }
    await scene.done({ removals: [{ remove: 'resource', id: resource.id, ifVersion: 2 }] })
    assert.equal(await read(), undefined)
  })

  test('facts read while they change are never kept as they were', async () => {
    const scene = await sceneIn(given().store)
    const { agent } = await planted(scene)
    for (let round = 1; round <= 50; round++) {
      const value = { ...agent, name: `${round}` }
      await Promise.all([
        scene.store.facts.caller(scene, agent.id),
        scene.done({ puts: [{ put: 'agent', value, ifVersion: round }] }),
        scene.store.facts.caller(scene, agent.id),
      ])
      assert.equal((await scene.store.facts.caller(scene, agent.id))?.agent?.name, `${round}`)
    }
  })
}
