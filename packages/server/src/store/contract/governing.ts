// The contract of what governs decisions: the policies in force, halts, people, sessions and risk, remembered until a signal.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { haltSubject } from '../../domain/authorization/halt.ts'
import { policySubject } from '../../domain/authorization/policy/set.ts'
import { riskSubject } from '../../domain/authorization/risk.ts'
import type { Change, Put } from '../../domain/change.ts'
import {
  approvalOf,
  eligibilityOf,
  groupOf,
  haltOf,
  policySetOf,
  riskOf,
  sessionOf,
} from './authorization-scene.ts'
import { fresh, type Given, personOf, type Scene, sceneIn, start, throughNodes, until } from './scene.ts'

const made = (put: Omit<Put, 'ifVersion'>): Put => ({ ...put, ifVersion: 0 }) as Put
const ids = (found: readonly { readonly id: string }[]): readonly string[] => found.map(({ id }) => id)

function castOf() {
  return {
    set: policySetOf({ state: 'active' }),
    trial: policySetOf({ state: 'shadow' }),
    halt: haltOf(),
    person: personOf({ groups: [fresh('grp')] }),
    session: sessionOf(),
    risk: riskOf(),
  }
}

type Cast = ReturnType<typeof castOf>

async function planted(scene: Scene): Promise<Cast> {
  const cast = castOf()
  await scene.done({
    puts: [
      made({ put: 'policySet', value: cast.set }),
      made({ put: 'policySet', value: cast.trial }),
      made({ put: 'halt', value: cast.halt }),
      made({ put: 'person', value: cast.person }),
      made({ put: 'session', value: cast.session }),
      made({ put: 'risk', value: cast.risk }),
    ],
  })
  return cast
}

/** Everything a decision reads of it, without the epochs. */
async function readAll(scene: Scene, cast: Cast, options?: { fresh: true }) {
  const { facts } = scene.store
  const governing = await facts.governing(scene, options)
  return {
    active: governing.active,
    shadow: governing.shadow,
    halts: governing.halts,
    person: (await facts.person(scene, cast.person.id, options))?.person,
    session: (await facts.session(scene, cast.session.id, options))?.session,
    risk: (await facts.risk(scene, cast.risk.id, options)).risk,
  }
}

/** What ends each of them, and which of them it ends. */
const events: Readonly<Record<string, (cast: Cast) => Partial<Change>>> = {
  'another policy set is put into force': ({ set, trial }) => ({
    puts: [
      { put: 'policySet', value: { ...set, state: 'former' }, ifVersion: 1 },
      { put: 'policySet', value: { ...trial, state: 'active' }, ifVersion: 1 },
    ],
    signals: [{ subject: policySubject, kind: 'narrowed' }],
  }),
  'the trial ends and the change carries no signal': ({ trial }) => ({
    puts: [{ put: 'policySet', value: { ...trial, state: 'draft' }, ifVersion: 1 }],
  }),
  'something else is halted': () => ({
    puts: [made({ put: 'halt', value: haltOf() })],
    signals: [{ subject: haltSubject, kind: 'narrowed' }],
  }),
  'a halt is lifted and the change carries no signal': ({ halt }) => ({
    puts: [{ put: 'halt', value: { ...halt, liftedAt: start, liftedBy: fresh('agt') }, ifVersion: 1 }],
  }),
  'a person leaves its groups': ({ person }) => ({
    puts: [{ put: 'person', value: { ...person, groups: [] }, ifVersion: 1 }],
    signals: [{ subject: person.id, kind: 'narrowed' }],
  }),
  'a session ends': ({ session }) => ({
    puts: [{ put: 'session', value: { ...session, endedAt: start, endReason: 'done' }, ifVersion: 1 }],
    signals: [{ subject: session.id, kind: 'narrowed' }],
  }),
  'a score rises': ({ risk }) => ({
    puts: [{ put: 'risk', value: { ...risk, score: 99 }, ifVersion: 1 }],
    signals: [{ subject: riskSubject(risk.id), kind: 'narrowed' }],
  }),
}

/** Registers the tests of governing facts, and of the lists beside them. */
export function governingContract(given: () => Given): void {
  test('facts that govern are the sets in force and in trial, the halts that stand, and what was asked for by id', async () => {
    const scene = await sceneIn(given().store)
    const cast = await planted(scene)
    await scene.done({
      puts: [
        made({ put: 'policySet', value: policySetOf() }),
        made({ put: 'policySet', value: policySetOf({ state: 'former' }) }),
        made({ put: 'halt', value: haltOf({ liftedAt: start, liftedBy: fresh('agt') }) }),
      ],
    })
    const second = haltOf()
    await scene.done({ puts: [made({ put: 'halt', value: second })] })
    for (const options of [{ fresh: true as const }, undefined, undefined]) {
      assert.deepEqual(await readAll(scene, cast, options), {
        active: cast.set,
        shadow: cast.trial,
        halts: [cast.halt, second],
        person: cast.person,
        session: cast.session,
        risk: cast.risk,
      })
    }
  })

  test('governing facts are a good basis at their epoch, and stale once policies or halts narrow', async () => {
    const scene = await sceneIn(given().store)
    await planted(scene)
    for (const subject of [policySubject, haltSubject]) {
      const { epoch } = await scene.store.facts.governing(scene)
      const relying = () => scene.commit({ bases: [{ epoch, subjects: [policySubject, haltSubject] }] })
      assert.equal((await relying()).kind, 'done')
      await scene.done({ signals: [{ subject, kind: 'narrowed' }] })
      assert.equal((await relying()).kind, 'stale')
    }
  })

  test('governing facts are handed out frozen', async () => {
    const scene = await sceneIn(given().store)
    const cast = await planted(scene)
    for (let round = 0; round < 2; round++) {
      const { active, halts, ...rest } = await scene.store.facts.governing(scene)
      const person = await scene.store.facts.person(scene, cast.person.id)
      const parts = [active, active?.actions, halts, halts[0], rest.shadow, person?.person.groups]
      for (const part of parts) assert.ok(Object.isFrozen(part))
    }
  })

  for (const [event, changeOf] of Object.entries(events)) {
    test(`governing facts are read anew once ${event}, on every node`, () =>
      throughNodes(given(), async scenes => {
        const [scene] = scenes as [Scene]
        const cast = await planted(scene)
        for (const node of scenes) {
          // Brought into every memory there is.
          for (let round = 0; round < 5; round++) await readAll(node, cast)
        }
        const before = await readAll(scene, cast)
        await scene.done(changeOf(cast))
        const truth = await readAll(scene, cast, { fresh: true })
        assert.notDeepEqual(truth, before)
        assert.deepEqual(await readAll(scene, cast), truth)
        for (const node of scenes) {
          await until(
            async () => JSON.stringify(await readAll(node, cast)) === JSON.stringify(truth),
            'the new facts on every node',
          )
        }
      }))
  }

  test('what was not there is seen once it is', async () => {
    const scene = await sceneIn(given().store)
    const cast = castOf()
    for (let round = 0; round < 3; round++) {
      const { halts, ...found } = await readAll(scene, cast)
      assert.deepEqual([...Object.values(found), halts], [...Array(5).fill(undefined), []])
    }
    const puts: readonly Put[] = [
      made({ put: 'policySet', value: cast.set }),
      made({ put: 'halt', value: cast.halt }),
      made({ put: 'person', value: cast.person }),
      made({ put: 'session', value: cast.session }),
      made({ put: 'risk', value: cast.risk }),
    ]
    for (const one of puts) await scene.done({ puts: [one] })
    const { shadow, ...found } = await readAll(scene, cast)
    assert.equal(shadow, undefined)
    assert.ok(Object.values(found).every(part => part !== undefined))
    assert.equal(found.halts.length, 1)
  })

  ruleTests(given)
  taskTests(given)
}

function ruleTests(given: () => Given): void {
  test('one set takes over from another in one change, and the number of a set never changes', async () => {
    const scene = await sceneIn(given().store)
    const [first, second] = [policySetOf({ state: 'active' }), policySetOf()]
    await scene.done({
      puts: [made({ put: 'policySet', value: first }), made({ put: 'policySet', value: second })],
    })
    const move = (value: typeof first, ifVersion: number): Put => ({ put: 'policySet', value, ifVersion })
    const active = { ...second, state: 'active' as const }
    assert.equal((await scene.commit({ puts: [move(active, 1)] })).kind, 'conflict')
    await scene.done({ puts: [move({ ...first, state: 'former' }, 1), move(active, 1)] })
    assert.equal((await scene.store.facts.governing(scene)).active?.id, second.id)
    assert.equal((await scene.commit({ puts: [move({ ...active, number: 999 }, 2)] })).kind, 'conflict')
    assert.equal(await scene.store.policySets.newest(scene), second.number)
    const former = await scene.store.policySets.list(scene, { limit: 5 }, { state: 'former' })
    assert.deepEqual(ids(former.items), [first.id])
  })

  test('a target that was released can be halted again, and a halt keeps its target', async () => {
    const scene = await sceneIn(given().store)
    const halt = haltOf()
    const again = haltOf({ target: halt.target })
    const otherKind = haltOf({ kind: 'resource', target: halt.target })
    await scene.done({ puts: [made({ put: 'halt', value: halt }), made({ put: 'halt', value: otherKind })] })
    const moved: Put = { put: 'halt', value: { ...halt, target: 'https://elsewhere.example' }, ifVersion: 1 }
    assert.equal((await scene.commit({ puts: [moved] })).kind, 'conflict')
    assert.equal((await scene.commit({ puts: [made({ put: 'halt', value: again })] })).kind, 'conflict')
    const lifted = { ...halt, liftedAt: start, liftedBy: fresh('agt') }
    await scene.done({ puts: [{ put: 'halt', value: lifted, ifVersion: 1 }] })
    await scene.done({ puts: [made({ put: 'halt', value: again })] })
    const list = async (filter: { live?: true; target?: string }) =>
      ids((await scene.store.halts.list(scene, { limit: 5 }, filter)).items)
    assert.deepEqual(await list({}), [halt.id, otherKind.id, again.id])
    assert.deepEqual(await list({ live: true }), [otherKind.id, again.id])
    assert.deepEqual(await list({ target: `${halt.kind}:${halt.target}` }), [halt.id, again.id])
  })

  test('the members of a group are those whose record says so, and no pattern finds more', async () => {
    const scene = await sceneIn(given().store)
    const [group, other] = [groupOf(), groupOf()]
    const people = [
      personOf({ groups: [group.id] }),
      personOf({ groups: [other.id, group.id] }),
      personOf({ groups: [other.id] }),
      personOf(),
    ]
    for (const value of people) await scene.done({ puts: [made({ put: 'person', value })] })
    const members = async (id: string, limit = 5) =>
      ids((await scene.store.people.members(scene, { limit }, id)).items)
    assert.deepEqual(await members(group.id), ids(people.slice(0, 2)))
    assert.deepEqual(await members(group.id, 1), ids(people.slice(0, 1)))
    assert.deepEqual(await members(other.id), ids(people.slice(1, 3)))
    const [first] = people
    await scene.done({
      puts: [{ put: 'person', value: { ...personOf(), ...first, groups: [] }, ifVersion: 1 }],
    })
    assert.deepEqual(await members(group.id), ids(people.slice(1, 2)))
    const wild = ['%', '_', '', ' ', group.id.slice(0, -1), `${other.id} ${group.id}x`, '\0', '\ud800']
    for (const pattern of [...wild, group.id.toUpperCase()]) assert.deepEqual(await members(pattern), [])
  })
}

function taskTests(given: () => Given): void {
  test('approvals are due from their instant on, the longest due first; decided ones are not', async () => {
    const scene = await sceneIn(given().store)
    const all = [
      approvalOf({ expiresAt: start - 1 }),
      approvalOf({ expiresAt: start - 9 }),
      approvalOf({ expiresAt: start }),
      approvalOf({ expiresAt: start + 1 }),
      approvalOf({ expiresAt: start - 99, state: 'approved' }),
    ]
    for (const value of all) await scene.done({ puts: [made({ put: 'approval', value })] })
    const due = async (when: number, limit = 10) =>
      (await scene.store.approvals.due(scene, when, limit)).map(({ id }) =>
        all.findIndex(one => one.id === id),
      )
    assert.deepEqual(await due(start), [1, 0, 2])
    assert.deepEqual(await due(start + 1, 2), [1, 0])
    const expired: Put = {
      put: 'approval',
      value: { ...approvalOf(), ...all[1], state: 'expired' },
      ifVersion: 1,
    }
    await scene.done({ puts: [expired] })
    assert.deepEqual(await due(start + 1), [0, 2, 3])
  })

  test('approvals are filtered by agent, state, kind, and by a review that they lack', async () => {
    const scene = await sceneIn(given().store)
    const [own, glass] = [approvalOf(), approvalOf({ breakGlass: true })]
    const review = { by: fresh('usr'), at: start, verdict: 'justified', note: '' } as const
    const all = [
      own,
      glass,
      approvalOf({ breakGlass: true, review }),
      approvalOf({ kind: 'access_request', state: 'denied' }),
    ]
    for (const value of all) await scene.done({ puts: [made({ put: 'approval', value })] })
    const found = async (filter: Parameters<Scene['store']['approvals']['list']>[2]) =>
      (await scene.store.approvals.list(scene, { limit: 9 }, filter)).items.map(({ id }) =>
        all.findIndex(one => one.id === id),
      )
    assert.deepEqual(await found({}), [0, 1, 2, 3])
    assert.deepEqual(await found({ agent: own.asked.agent }), [0])
    assert.deepEqual(await found({ state: 'denied' }), [3])
    assert.deepEqual(await found({ kind: 'activation' }), [0, 1, 2])
    assert.deepEqual(await found({ unreviewed: true }), [1])
  })

  test('eligibilities and sessions are filtered exactly, and none goes over to somebody else', async () => {
    const scene = await sceneIn(given().store)
    const [eligibility, session] = [eligibilityOf(), sessionOf()]
    await scene.done({
      puts: [
        made({ put: 'eligibility', value: eligibility }),
        made({ put: 'eligibility', value: eligibilityOf({ resource: 'https://other.example' }) }),
        made({ put: 'session', value: session }),
        made({ put: 'session', value: sessionOf() }),
      ],
    })
    const { store } = scene
    const { agent, resource } = eligibility
    for (const filter of [{ agent }, { resource }, { agent, resource }]) {
      const { items } = await store.eligibilities.list(scene, { limit: 5 }, filter)
      assert.deepEqual(ids(items), [eligibility.id])
    }
    for (const filter of [{ agent: session.agent }, { instance: session.instance }]) {
      const { items } = await store.sessions.list(scene, { limit: 5 }, filter)
      assert.deepEqual(ids(items), [session.id])
    }
    const moved: readonly Put[] = [
      { put: 'eligibility', value: { ...eligibility, agent: fresh('agt') }, ifVersion: 1 },
      { put: 'eligibility', value: { ...eligibility, resource: 'https://x.example' }, ifVersion: 1 },
      { put: 'session', value: { ...session, agent: fresh('agt') }, ifVersion: 1 },
      { put: 'session', value: { ...session, instance: fresh('ins') }, ifVersion: 1 },
    ]
    for (const one of moved) assert.equal((await scene.commit({ puts: [one] })).kind, 'conflict')
  })
}
