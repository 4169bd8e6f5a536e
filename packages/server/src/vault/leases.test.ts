// The loop over leases on a real store, with an upstream that hangs, breaks, forgets and has what nobody holds.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { Fault } from '@writ/sdk/protocol/fault'
import { newId, parseId } from '@writ/sdk/protocol/identifier'
import { Secret } from '@writ/sdk/protocol/secret'
import { z } from 'zod'
import type { Ctx } from '../context.ts'
import { type HaltKind, haltedSubject, haltSubject } from '../domain/authorization/halt.ts'
import type { Change, Put } from '../domain/change.ts'
import { type SecretLease, secretIdentifier, type VaultSecret } from '../domain/vault/secret.ts'
import { haltOf } from '../store/contract/authorization-scene.ts'
import {
  agentOf,
  grantOf,
  instanceOf,
  keyOf,
  type Scene,
  sceneIn,
  secretLeaseOf,
  secretOf,
  start,
} from '../store/contract/scene.ts'
import { openStore } from '../store/sql/open.ts'
import { endLeases, type LeaseMemory, type LeaseWork } from './leases.ts'
import type { LeaseRotator } from './rotators/rotator.ts'

interface Upstream {
  /** What stands there. */
  readonly handles: Set<string>
  /** Refuses, hangs or breaks for this handle. */
  revoke: (handle: string) => void | Promise<void>
  asked: number
}

const rotatorOver = (upstream: Upstream): LeaseRotator => ({
  kind: 'fake',
  options: z.strictObject({}),
  makes: 'leases',
  handleOf: (_options, random) => random,
  issue: async () => new Secret('value'),
  async revoke({ handle }) {
    upstream.asked += 1
    await upstream.revoke(handle)
    upstream.handles.delete(handle)
  },
  handles: async () => [...upstream.handles],
})

interface World extends Scene {
  readonly upstream: Upstream
  readonly secret: VaultSecret
  readonly agent: ReturnType<typeof agentOf>
  readonly bugs: unknown[]
  lease(more?: Partial<SecretLease>): Promise<SecretLease>
  state(lease: SecretLease): Promise<SecretLease | undefined>
  run(after?: number): Promise<number>
  /** What may be halted of its leases, and of somebody else's. */
  readonly targets: Record<'own' | 'other', Targets>
}

type Targets = Record<Exclude<HaltKind, 'tool' | 'person'>, string>

interface RestsOn {
  readonly key: ReturnType<typeof keyOf>
  readonly grant: ReturnType<typeof grantOf>
  readonly tenant: string
}

const targetsOf = (
  { agent, id }: ReturnType<typeof instanceOf>,
  { key, grant, tenant }: RestsOn,
): Targets => ({
  agent,
  instance: id,
  key: key.thumbprint,
  grant: grant.id,
  resource: grant.resource,
  tenant,
})

const put = <K extends Put['put']>(kind: K, value: Extract<Put, { put: K }>['value'], ifVersion = 0): Put =>
  ({ put: kind, value, ifVersion }) as Put

/** One agent with one instance and a live key, a grant, and a secret that it consumes. */
async function world(t: TestContext): Promise<World> {
  const store = await openStore({ kind: 'sqlite', file: ':memory:' }, { randomBytes })
  t.after(() => store.close())
  const scene = await sceneIn(store)
  const ctxAt = (after: number): Ctx => ({
    tenant: scene.tenant,
    issuer: `https://${scene.tenant}.example`,
    now: start + after,
    nowMs: (start + after) * 1000,
    requestId: 'run',
    traceId: undefined,
    peer: undefined,
    note: () => undefined,
  })
  const agent = agentOf()
  const instance = instanceOf({ agent: agent.id })
  const secret = secretOf({ consumers: [agent.id], rotator: { kind: 'fake', options: {} } })
  const resource = secretIdentifier(ctxAt(0).issuer, secret.name)
  const key = keyOf({ owner: agent.id, instance: instance.id })
  const grant = grantOf({ agent: agent.id, resource, scopes: ['secret:read'] })
  const sibling = instanceOf({ agent: agent.id })
  const siblingKey = keyOf({ owner: agent.id, instance: sibling.id })
  await scene.done({
    puts: [
      put('agent', agent),
      put('instance', instance),
      put('key', key),
      put('instance', sibling),
      put('key', siblingKey),
      put('grant', grant),
      put('secret', secret),
    ],
  })
  const upstream: Upstream = { handles: new Set(), revoke: () => undefined, asked: 0 }
  const bugs: unknown[] = []
  const deps: LeaseWork = {
    store,
    commit: store.commit,
    vault: { reveal: () => new Secret('none') },
    rotators: [rotatorOver(upstream)],
    signal: new AbortController().signal,
    onLeaseError: (_lease, error) => void bugs.push(error),
  }
  const memory: LeaseMemory = { heardUntil: undefined, sweptAt: undefined }
  let leases = 0
  return {
    ...scene,
    upstream,
    secret,
    agent,
    bugs,
    async lease(more = {}) {
      leases += 1
      const lease = secretLeaseOf({
        secret: secret.id,
        agent: agent.id,
        instance: instance.id,
        handle: `role_${leases}`,
        expiresAt: start + 3600,
        dueAt: start + 3600,
        ...more,
      })
      await scene.done({ puts: [put('secretLease', lease)] })
      upstream.handles.add(lease.handle)
      return lease
    },
    state: lease => store.secrets.lease(scene, lease.id),
    run: (after = 1) => endLeases(ctxAt(after), deps, memory, undefined),
    targets: {
      own: targetsOf(instance, { key, grant, tenant: ctxAt(0).issuer }),
      other: {
        ...targetsOf(sibling, { key: siblingKey, grant: grantOf(), tenant: 'https://other.example' }),
        agent: agentOf().id,
      },
    },
  }
}

const narrowed = (...subjects: string[]): Pick<Change, 'signals'> => ({
  signals: subjects.map(subject => ({ subject, kind: 'narrowed' })),
})

test('whatever of a lease is halted ends it, and a halt of something else ends nothing', async t => {
  const kinds = ['agent', 'instance', 'key', 'grant', 'resource', 'tenant'] as const
  for (const kind of kinds) {
    const { lease, state, run, done, targets } = await world(t)
    const held = await lease()
    await run()
    const halt = async (target: string): Promise<void> => {
      const ended = haltedSubject({ kind, target }) ?? ''
      await done({ puts: [put('halt', haltOf({ kind, target }))], ...narrowed(haltSubject, ended) })
    }
    await halt(targets.other[kind])
    await run(2)
    assert.equal((await state(held))?.state, 'live', `another ${kind}`)
    await halt(targets.own[kind])
    await run(3)
    assert.equal((await state(held))?.state, 'ended', kind)
  }
})

test('every lease ends with what it rested on, however many there are, and behind however many others', async t => {
  const kinds = ['agent', 'instance', 'key', 'tenant'] as const
  for (const kind of kinds) {
    const { lease, run, done, store, tenant, targets } = await world(t)
    await run()
    const own = await lease()
    const many = (more: Partial<SecretLease>) =>
      Array.from({ length: 600 }, () => ({ ...own, ...more, id: newId('lea', randomBytes) }))
    const ofSibling = many({ instance: parseId('ins', targets.other.instance) ?? null })
    const [onTheirWay, held] = [many({ state: 'ending' }), many({})]
    for (const some of [ofSibling, onTheirWay, held])
      await done({ puts: some.map(value => put('secretLease', value)) })
    const target = targets.own[kind]
    const subject = haltedSubject({ kind, target }) ?? ''
    await done({ puts: [put('halt', haltOf({ kind, target }))], ...narrowed(haltSubject, subject) })
    await run(2)
    const left = await store.secrets.liveLeases({ tenant }, {}, 5000)
    const live = left.filter(({ state }) => state === 'live')
    const spared = kind === 'instance' || kind === 'key' ? ofSibling.length : 0
    assert.equal(live.length, spared, kind)
    assert.ok(live.every(({ instance }) => instance === targets.other.instance))
  }
})

test('a lease whose time is over is withdrawn, and no other', async t => {
  const { lease, state, run, upstream } = await world(t)
  const over = await lease({ expiresAt: start + 5, dueAt: start + 5 })
  const lasting = await lease()
  assert.equal(await run(1), 0)
  assert.equal(await run(5), 1)
  assert.equal((await state(over))?.state, 'ended')
  assert.deepEqual([...upstream.handles], [lasting.handle])
})

test('leases end with the key that was revoked, also where its instance has rotated before', async t => {
  const { agent, done, lease, state, run } = await world(t)
  const instance = instanceOf({ agent: agent.id })
  const held = { owner: agent.id, instance: instance.id }
  const former = keyOf({ ...held, state: 'retired' })
  const current = keyOf(held)
  await done({ puts: [put('instance', instance), put('key', former), put('key', current)] })
  const stolen = await lease({ instance: instance.id })
  const other = await lease()
  await run(1)
  const revoked = { ...current, state: 'revoked' as const }
  await done({ puts: [put('key', revoked, 1)], ...narrowed(`key:${current.thumbprint}`) }, 2)
  await run(3)
  assert.equal((await state(stolen))?.state, 'ended')
  assert.equal((await state(other))?.state, 'live')
})

test('leases end with the key that was revoked, although its instance has its successor already', async t => {
  const { agent, done, lease, state, run } = await world(t)
  const instance = instanceOf({ agent: agent.id })
  const held = { owner: agent.id, instance: instance.id }
  const stolenKey = keyOf({ ...held, state: 'retiring' })
  await done({
    puts: [put('instance', instance), put('key', stolenKey), put('key', keyOf(held))],
  })
  const stolen = await lease({ instance: instance.id })
  await run(1)
  const revoked = { ...stolenKey, state: 'revoked' as const }
  await done({ puts: [put('key', revoked, 1)], ...narrowed(`key:${stolenKey.thumbprint}`) }, 2)
  const later = await lease({ instance: instance.id, createdAt: start + 3 })
  await run(3)
  assert.equal((await state(stolen))?.state, 'ended')
  assert.equal((await state(later))?.state, 'live', 'what was obtained by the successor is no loot')
})

test('an agent that was suspended and resumed between two runs has lost its leases like its tokens', async t => {
  const { agent, done, lease, state, run } = await world(t)
  const held = await lease()
  await run(1)
  await done({ puts: [put('agent', { ...agent, status: 'suspended' }, 1)], ...narrowed(agent.id) }, 2)
  await done({ puts: [put('agent', agent, 2)] }, 2)
  const next = await lease({ createdAt: start + 3 })
  await run(3)
  assert.equal((await state(held))?.state, 'ended')
  assert.equal((await state(next))?.state, 'live')
})

test('a bug of a rotator at one lease keeps no other from its end, is told, and is tried again', async t => {
  const { lease, state, run, upstream, bugs } = await world(t)
  const bad = await lease({ expiresAt: start + 2, dueAt: start + 2 })
  const good = await lease({ expiresAt: start + 3, dueAt: start + 3 })
  upstream.revoke = handle => {
    if (handle === bad.handle) throw new TypeError('undefined is not a function')
  }
  await run(5)
  assert.equal((await state(good))?.state, 'ended')
  const kept = await state(bad)
  assert.deepEqual([kept?.state, kept?.attempts], ['ending', 1])
  assert.equal(bugs.length, 1)
  upstream.revoke = () => undefined
  await run(5 + 300)
  assert.equal((await state(bad))?.state, 'ended')
})

test('an upstream that is away is asked once in a run, whatever is due there, and nothing of it is forgotten', async t => {
  const { lease, state, run, upstream } = await world(t)
  const due = { expiresAt: start + 2, dueAt: start + 2 }
  const leases = await Promise.all(Array.from({ length: 40 }, () => lease(due)))
  upstream.revoke = () => {
    throw new Fault('temporarily_unavailable', 'It does not answer.')
  }
  await run(5)
  assert.ok(upstream.asked <= 8, `asked ${upstream.asked} times`)
  for (const one of leases) {
    const kept = await state(one)
    assert.equal(kept?.state, 'ending')
    assert.ok((kept.dueAt ?? 0) > start + 5)
  }
  upstream.revoke = () => undefined
  await run(5 + 300)
  assert.deepEqual([...upstream.handles], [])
})

test('what stands upstream without a lease is withdrawn, what has one stays', async t => {
  const { lease, run, upstream } = await world(t)
  const known = await lease()
  upstream.handles.add('role_nobody')
  await run(1)
  assert.deepEqual([...upstream.handles], [known.handle])
})

test('an upstream that stays away is asked ever more slowly, and every few minutes at least', async t => {
  const { lease, state, run, upstream } = await world(t)
  const held = await lease({ expiresAt: start + 1, dueAt: start + 1 })
  upstream.revoke = () => {
    throw new Fault('temporarily_unavailable', 'It does not answer.')
  }
  const pauses: number[] = []
  for (let after = 1; pauses.length < 12; after += pauses.at(-1) ?? 0) {
    assert.equal(await run(after), 0)
    pauses.push(((await state(held))?.dueAt ?? 0) - start - after)
  }
  assert.deepEqual(pauses.slice(0, 4), [2, 4, 8, 16])
  assert.equal(Math.max(...pauses), 300)
})

test('a lease whose value was never answered is withdrawn once it is due', async t => {
  const { lease, state, run, upstream } = await world(t)
  const pending = await lease({ state: 'pending', dueAt: start + 30 })
  assert.equal(await run(29), 0)
  assert.equal(await run(30), 1)
  assert.equal((await state(pending))?.state, 'ended')
  assert.equal(upstream.handles.size, 0)
})
