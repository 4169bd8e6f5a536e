// The rows of the table on a real store: keys of agents that have run out, sweeping, and all of them under the runner.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { newId } from '@writ/sdk/protocol/identifier'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import { Secret } from '@writ/sdk/protocol/secret'
import type { Ctx } from '../context.ts'
import type { Agent, Key } from '../domain/agent.ts'
import type { Put } from '../domain/change.ts'
import { defaultTenant } from '../domain/tenant.ts'
import { aesGcmSealer, keyBytes } from '../keys/aes-gcm.ts'
import { openKeys } from '../keys/providers/local.ts'
import { ensureKeys } from '../keys/rotation.ts'
import { openStore } from '../store/sql/open.ts'
import type { Store } from '../store/store.ts'
import { retireAgentKeys } from './agent-keys.ts'
import { type LoopDeps, loopMemory, loops } from './loops.ts'
import { type RunReport, startRunner } from './runner.ts'

const start = 1_700_000_000
const scope = { tenant: defaultTenant }

const ctxAt = (now: number): Ctx => ({
  tenant: defaultTenant,
  issuer: 'https://issuer.example',
  now,
  nowMs: now * 1000,
  requestId: `request-${now}`,
  traceId: undefined,
  peer: undefined,
  note: () => undefined,
})

const readyStore = async (t: TestContext): Promise<Store> => {
  const store = await openStore({ kind: 'sqlite', file: ':memory:' }, { randomBytes })
  t.after(() => store.close())
  await store.tenants.ensure({ id: defaultTenant, issuer: 'https://issuer.example', createdAt: start })
  return store
}

const agent: Agent = {
  id: newId('agt', randomBytes),
  name: 'collector',
  owner: newId('usr', randomBytes),
  purpose: 'a test',
  kind: null,
  model: null,
  provider: null,
  softwareVersion: null,
  labels: {},
  status: 'active',
  statusReason: null,
  statusAt: start,
  expiresAt: null,
  createdAt: start,
  updatedAt: start,
}

const keyOf = (state: Key['state'], expiresAt: number | null): Key => {
  const { verify } = generateKeyPair('Ed25519')
  return {
    thumbprint: verify.jkt,
    kid: verify.jkt,
    owner: agent.id,
    instance: null,
    jwk: verify.jwk,
    state,
    notBefore: start,
    expiresAt,
    createdAt: start,
    stateAt: start,
    stateReason: null,
  }
}

const add = async (store: Store, keys: readonly Key[]): Promise<void> => {
  const puts: Put[] = [
    { put: 'agent', value: agent, ifVersion: 0 },
    ...keys.map((value): Put => ({ put: 'key', value, ifVersion: 0 })),
  ]
  const entries = [{ type: 'agent.created', outcome: 'allowed', requestId: 'r' }] as const
  assert.equal((await store.commit(ctxAt(start), { puts, entries })).kind, 'done')
}

const stateOf = async (store: Store, key: Key): Promise<string | undefined> =>
  (await store.keys.byThumbprint(scope, key.thumbprint))?.state

test('a rotated key is retired once its overlap has run out, audited, and no other key is touched', async t => {
  const store = await readyStore(t)
  const ending = keyOf('retiring', start + 300)
  const others = [
    keyOf('retiring', start + 301),
    keyOf('active', start + 10),
    keyOf('active', null),
    keyOf('revoked', start + 10),
  ]
  await add(store, [ending, ...others])
  assert.equal(await retireAgentKeys(ctxAt(start + 299), store, start + 299), 0)
  assert.equal(await retireAgentKeys(ctxAt(start + 300), store, start + 300), 1)
  assert.equal(await stateOf(store, ending), 'retired')
  for (const key of others) assert.equal(await stateOf(store, key), key.state)
  const lines = await store.log.find(scope, { type: 'key.retired' }, -1, 10)
  const [line] = lines.map(({ text }) => JSON.parse(text) as Record<string, unknown>)
  assert.equal(lines.length, 1)
  assert.deepEqual([line?.['agent'], line?.['key']], [agent.id, ending.thumbprint])
  assert.equal(await retireAgentKeys(ctxAt(start + 300), store, start + 300), 0)
})

test('the end of a rotated key kills no token that was issued to it', async t => {
  const store = await readyStore(t)
  const ending = keyOf('retiring', start + 300)
  await add(store, [ending])
  await retireAgentKeys(ctxAt(start + 300), store, start + 300)
  const subjects = [`key:${ending.thumbprint}`, agent.id]
  assert.equal(await store.signals.isNarrowed(scope, subjects, 0), false)
  assert.ok((await store.signals.after(scope, 0, 10)).some(({ subject }) => subject === agent.id))
})

test('many keys that run out together are retired page by page', async t => {
  const store = await readyStore(t)
  const keys = Array.from({ length: 250 }, () => keyOf('retiring', start + 300))
  await add(store, keys)
  assert.equal(await retireAgentKeys(ctxAt(start + 400), store, start + 400), 250)
  assert.equal((await store.keys.expired(scope, start + 400, 10)).length, 0)
})

test('a run under a fence that is no longer held retires nothing', async t => {
  const store = await readyStore(t)
  const ending = keyOf('retiring', start + 300)
  await add(store, [ending])
  const old = await store.leases.hold('loop:agent-keys', 'node-1', 15)
  await store.leases.release('loop:agent-keys', 'node-1')
  const taken = await store.leases.hold('loop:agent-keys', 'node-2', 15)
  assert.ok(old !== 'held' && taken !== 'held')
  const fenceOf = (fence: number): { lease: string; fence: number } => ({ lease: 'loop:agent-keys', fence })
  assert.equal(await retireAgentKeys(ctxAt(start + 300), store, start + 300, fenceOf(old.fence)), 0)
  assert.equal(await stateOf(store, ending), 'retiring')
  assert.equal(await retireAgentKeys(ctxAt(start + 300), store, start + 300, fenceOf(taken.fence)), 1)
})

test('two nodes that retire the same keys at once retire each once', async t => {
  const store = await readyStore(t)
  await add(
    store,
    Array.from({ length: 20 }, () => keyOf('retiring', start + 300)),
  )
  const counts = await Promise.all(
    Array.from({ length: 5 }, () => retireAgentKeys(ctxAt(start + 300), store, start + 300)),
  )
  assert.equal(
    counts.reduce((sum, each) => sum + each, 0),
    20,
  )
  assert.equal((await store.log.find(scope, { type: 'key.retired' }, -1, 100)).length, 20)
})

type Kinds = LoopDeps['engine']['kindDeps']

/** No kinds: the loops find nothing to begin or to look at. */
const engineOver = (store: Store): LoopDeps['engine'] => ({
  kinds: [],
  commit: store.commit,
  onError: () => {},
  kindDeps: { store, signal: new AbortController().signal } as Partial<Kinds> as Kinds,
})

const depsOver = async (store: Store, steady: () => number): Promise<LoopDeps> => {
  const sealer = aesGcmSealer(new Secret(new Uint8Array(randomBytes(keyBytes))))
  const keys = openKeys({ store, sealer: () => sealer, now: () => start })
  await ensureKeys(ctxAt(start), { store, keys })
  return {
    store,
    keys,
    rotation: { tokenSeconds: 300, skewSeconds: 5, publishSeconds: 120, rotateSeconds: null },
    engine: engineOver(store),
    keyring: { reload: async () => {} },
    memory: loopMemory(1800, steady),
    onLeaseError: (_about, error) => assert.fail(error as Error),
    postNotice: async () => true,
    signalSeconds: 1800,
  }
}

test('a clock set forwards makes the sweep forget no replay mark and the loop retire no key', async t => {
  const store = await readyStore(t)
  let steady = 5
  const deps = await depsOver(store, () => steady)
  const ending = keyOf('retiring', start + 300)
  await add(store, [ending])
  const claim = { key: 'shown-once', until: start + 60 }
  const shown = { claims: [claim], entries: [{ type: 't', outcome: 'allowed', requestId: 'r' }] } as const
  assert.equal((await store.commit(ctxAt(start), shown)).kind, 'done')
  const run = async (now: number): Promise<void> => {
    for (const name of ['agent-keys', 'sweep']) {
      await loops.find(loop => loop.name === name)?.run(ctxAt(now), deps, undefined)
    }
  }
  await run(start)
  steady += 30
  await run(start + 34_560_000)
  assert.equal(await stateOf(store, ending), 'retiring')
  assert.equal((await store.commit(ctxAt(start + 30), shown)).kind, 'replayed')
  steady += 1800
  await run(start + 1830)
  assert.equal(await stateOf(store, ending), 'retired')
})

test('every row of the table runs under the runner on a real store', async t => {
  const store = await readyStore(t)
  const deps = await depsOver(store, () => performance.now() / 1000)
  const reports: RunReport[] = []
  const lines: unknown[] = []
  const runner = startRunner({
    loops: loops.map(loop => ({ ...loop, everySeconds: 0.01 })),
    deps,
    leases: store.leases,
    holder: 'node-1',
    tenants: () => store.tenants.list(),
    nowMs: Date.now,
    log: (level, facts, error) => void (level === 'error' && lines.push({ ...facts, error })),
    onRun: report => void reports.push(report),
  })
  const names = loops.map(({ name }) => name)
  const deadline = Date.now() + 10_000
  const ran = (): boolean => names.every(name => reports.some(({ loop }) => loop === name))
  while (!ran() && Date.now() < deadline) await new Promise(resolve => setTimeout(resolve, 5))
  assert.ok(await runner.stop(5))
  assert.deepEqual(lines, [])
  assert.ok(ran(), JSON.stringify(reports))
  assert.equal(new Set(names).size, names.length, 'a lease has one loop')
})

test('a clock set forwards makes no rotation believe that somebody has been silent', async t => {
  const store = await readyStore(t)
  let steady = 5
  const deps = await depsOver(store, () => steady)
  const seen: number[] = []
  const due: Store['rotations']['due'] = async (_scope, now) => {
    seen.push(now)
    return []
  }
  const kindDeps = { ...deps.engine.kindDeps, store: { ...store, rotations: { ...store.rotations, due } } }
  const jumping = { ...deps, engine: { ...deps.engine, kindDeps } }
  const run = (now: number) =>
    loops.find(loop => loop.name === 'rotations')?.run(ctxAt(now), jumping, undefined)
  await run(start)
  steady = 6
  // A day later by the clock, a second later in truth; and back again.
  await run(start + 86_401)
  steady = 7
  await run(start + 2)
  assert.deepEqual(seen, [start, start + 1, start + 2])
})
