// Memory is transparent (property 30): whatever happens between two calls, a resource that remembers answers as one that does not.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { api, expect, grant, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import {
  type Call,
  type Caller,
  gate,
  type Member,
  member,
  type Site,
  settled,
  site,
} from './protected-site.ts'

const steps = Number(process.env['WRIT_MEMORY_STEPS']) || 240
const seed = Number(process.env['WRIT_MEMORY_SEED']) || Math.floor(Math.random() * 2 ** 31) + 1

/** Mulberry32. */
function dice(from: number): () => number {
  let state = from
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

interface World {
  readonly writ: Authority
  readonly agents: readonly Member[]
  /** What is held, suspended and halted now, to be taken back. */
  readonly grants: Map<string, string>
  readonly suspended: Set<string>
  readonly halts: Map<string, string>
  readonly pick: <T>(from: readonly T[]) => T
}

const post = async ({ writ }: World, path: string, body: unknown, ...statuses: number[]) => {
  const answer = await writ.operator.manage('POST', path, body)
  assert.ok(statuses.includes(answer.status), `${path}: ${JSON.stringify(answer.body)}`)
  return answer.body
}

const policies = [
  '',
  '@id("home") forbid (principal is Writ::Agent, action == Writ::Action::"read", resource) unless { context has peer && context.peer.isInRange(ip("10.0.0.0/8")) };',
  '@id("calm") forbid (principal is Writ::Agent, action, resource) when { context.risk > 50 };',
  '@id("small") forbid (principal is Writ::Agent, action == Writ::Action::"write", resource) when { context.arguments.hasTag("amount") && context.arguments.getTag("amount") has number && context.arguments.getTag("amount").number > 10 };',
  '@id("errs") forbid (principal is Writ::Agent, action == Writ::Action::"write", resource) when { context.arguments.hasTag("amount") && context.arguments.getTag("amount") has number && context.arguments.getTag("amount").number * 9223372036854775807 > 1 };',
  '@id("clocked") forbid (principal is Writ::Agent, action == Writ::Action::"read", resource) when { context.now < datetime("2020-01-01") };',
]

/** Everything that may change an answer; each takes effect before the next call. */
const updates: Readonly<Record<string, (world: World) => Promise<unknown>>> = {
  async grant(world) {
    const pairs = world.agents.flatMap(({ id }) => ['read', 'write'].map(scope => `${id} ${scope}`))
    const key = pairs.find(pair => !world.grants.has(pair)) ?? world.pick(pairs)
    const [id = '', scope = ''] = key.split(' ')
    const known = world.grants.get(key)
    if (known === undefined) {
      const condition = world.pick([
        undefined,
        'context has peer && context.peer.isInRange(ip("10.0.0.0/8"))',
      ])
      const members = condition === undefined ? {} : { condition }
      world.grants.set(key, await grant(world.writ, id, [scope], members))
    } else {
      world.grants.delete(key)
      expect(await world.writ.operator.manage('DELETE', `/grants/${known}`), 204)
    }
  },
  async suspension(world) {
    const [id = world.pick(world.agents).id] = world.suspended
    const isSuspended = world.suspended.delete(id)
    if (!isSuspended) world.suspended.add(id)
    await post(world, `/agents/${id}/${isSuspended ? 'resume' : 'suspend'}`, { reason: 'test' }, 200)
  },
  async halt(world) {
    const kinds = [`tool ${api}#burn`, `agent ${world.pick(world.agents).id}`, `resource ${api}`]
    const [target = world.pick(kinds)] = world.halts.keys()
    const known = world.halts.get(target)
    if (known === undefined) {
      const [kind, what] = target.split(' ')
      const body = { kind, target: what, reason: 'test' }
      world.halts.set(target, (await post(world, '/halts', body, 201)).id)
    } else {
      world.halts.delete(target)
      await post(world, `/halts/${known}/lift`, { reason: 'test' }, 200)
    }
  },
  async risk(world) {
    const body = { subject: world.pick(world.agents).id, score: world.pick([0, 80]), reason: 'test' }
    await post(world, '/risks', body, 200)
  },
  async policy(world) {
    const body = { source: world.pick(policies) }
    const { id } = await post(world, '/policies', body, 201)
    await post(world, `/policies/${id}/activate`, { reason: 'test' }, 200)
  },
  async rollback(world) {
    await post(world, '/policies/rollback', { reason: 'test' }, 200, 409)
  },
}

/** What stops somebody is mostly lifted before something else happens: where nothing passes, nothing is remembered. */
function nextOf({ suspended, halts, grants, agents, pick }: World): string {
  const stopping = [
    ...(suspended.size > 0 ? ['suspension'] : []),
    ...(halts.size > 0 ? ['halt'] : []),
    ...(grants.size < 2 * agents.length ? ['grant'] : []),
  ]
  return pick(stopping.length > 0 ? [...stopping, ...stopping, 'rollback'] : Object.keys(updates))
}

const calls: readonly Call[] = [
  { action: 'read', peer: '10.0.0.1' },
  { action: 'read', peer: '192.0.2.1' },
  { action: 'read' },
  { action: 'read', peer: '10.0.0.1', object: { type: 'tool', id: 'burn' } },
  { action: 'write', arguments: { amount: 5 } },
  { action: 'write', arguments: { amount: 50 } },
  { action: 'write' },
]

/** The token that an agent holds for what it is about to do: kept until it opens nothing any more. */
function tokensOf(): (agent: Member, action: string, isStale: boolean) => Promise<Caller | undefined> {
  const held = new Map<string, string>()
  return async ({ id, party }, action, isStale) => {
    const key = `${id} ${action}`
    if (isStale) held.delete(key)
    const token = held.get(key) ?? (await party.token(api, action).catch(() => undefined))
    if (token === undefined) return undefined
    held.set(key, token)
    return { party, token }
  }
}

test(`memory answers as the decision point would, whatever changes in between (seed ${seed})`, async t => {
  const random = dice(seed)
  const writ = await authority(t)
  await registerApi(writ)
  const by = await gate(writ)
  const agents = [await member(writ, 'one'), await member(writ, 'two')]
  const sites: readonly Site[] = [await site(t, writ, by), await site(t, writ, by, { cached: 0 })]
  const world: World = {
    writ,
    agents,
    grants: new Map(),
    suspended: new Set(),
    halts: new Map(),
    pick: from => from[Math.floor(random() * from.length)] as (typeof from)[number],
  }
  for (const { id } of agents)
    for (const scope of ['read', 'write']) world.grants.set(`${id} ${scope}`, await grant(writ, id, [scope]))
  const tokenFor = tokensOf()
  const seen = { allowed: 0, refused: 0, remembered: 0 }
  const history: string[] = []
  let isStale = false
  for (let step = 0; step < steps; step += 1) {
    if (random() < 0.12) {
      const name = nextOf(world)
      history.push(name)
      await updates[name]?.(world)
      await settled(writ, sites.length)
    }
    const [agent, call] = [world.pick(agents), world.pick(calls)]
    const caller = await tokenFor(agent, call.action, isStale)
    if (caller === undefined) continue
    history.push(`${agent.id} ${JSON.stringify(call)}`)
    const answers = await Promise.all(sites.map(one => one.call(caller, call)))
    const [with_, without] = answers.map(({ status, error }) => `${status} ${error}`)
    assert.equal(with_, without, `seed ${seed}, after ${history.slice(-12).join('; ')}`)
    const [{ status, fromMemory } = { status: 0, fromMemory: false }] = answers
    isStale = status === 401
    seen[status === 200 ? 'allowed' : 'refused'] += 1
    if (fromMemory) seen.remembered += 1
  }
  t.diagnostic(JSON.stringify(seen))
  assert.ok(
    Object.values(seen).every(count => count >= steps / 48),
    JSON.stringify(seen),
  )
})

test('of calls that race with what ends them none passes once everybody has confirmed', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const [by, agent] = [await gate(writ), await member(writ, 'one')]
  const here = await site(t, writ, by)
  for (let round = 0; round < 5; round += 1) {
    const id = await grant(writ, agent.id, ['read'])
    const clerk = { party: agent.party, token: await agent.party.token(api, 'read') }
    assert.equal((await here.call(clerk, { action: 'read' })).status, 200)
    let isOver = false
    const racing = Array.from({ length: 4 }, async () => {
      while (!isOver) {
        await here.call(clerk, { action: 'read' })
        // What is answered from memory never waits for anything, and would let nobody else work.
        await turn()
      }
    })
    try {
      expect(await writ.operator.manage('DELETE', `/grants/${id}`), 204)
      await settled(writ, 1)
      const after = await Promise.all(Array.from({ length: 4 }, () => here.call(clerk, { action: 'read' })))
      assert.deepEqual(
        after.map(({ status, fromMemory }) => [status === 200, fromMemory]),
        Array.from({ length: 4 }, () => [false, false]),
      )
    } finally {
      isOver = true
      await Promise.all(racing)
    }
  }
})
