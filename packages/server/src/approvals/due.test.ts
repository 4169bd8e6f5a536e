// What happens to tasks by itself, on a real store: expiry, and telling outcomes until somebody hears.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { newId } from '@writ/sdk/protocol/identifier'
import type { Ctx } from '../context.ts'
import type { Approval } from '../domain/authorization/approval.ts'
import { defaultTenant } from '../domain/tenant.ts'
import { openStore } from '../store/sql/open.ts'
import type { Store } from '../store/store.ts'
import { untouched } from './activation.ts'
import { postNotice } from './channels/callback.ts'
import { settleDue, type Tell } from './due.ts'

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

async function readyStore(t: TestContext): Promise<Store> {
  const store = await openStore({ kind: 'sqlite', file: ':memory:' }, { randomBytes })
  t.after(() => store.close())
  await store.tenants.ensure({ id: defaultTenant, issuer: 'https://issuer.example', createdAt: start })
  return store
}

async function add(store: Store, more: Partial<Approval> = {}): Promise<Approval> {
  const agent = newId('agt', randomBytes)
  const approval: Approval = {
    ...untouched,
    id: newId('apr', randomBytes),
    kind: 'access_request',
    asked: {
      agent,
      instance: null,
      person: null,
      eligibility: null,
      resource: 'https://api.example',
      scopes: ['read'],
      authorizationDetails: [],
      operation: null,
      seconds: 60,
    },
    reason: 'x',
    breakGlass: false,
    requestedBy: 'agt_pep',
    state: 'pending',
    callback: { endpoint: 'https://api.example/told', state: null, events: [], attempts: 0, dueAt: null },
    expiresAt: start + 100,
    createdAt: start,
    stateAt: start,
    ...more,
  }
  const entries = [{ type: 't', outcome: 'allowed', requestId: 'r' }] as const
  const puts = [{ put: 'approval', value: approval, ifVersion: 0 }] as const
  assert.equal((await store.commit(ctxAt(start), { puts, entries })).kind, 'done')
  return approval
}

const deaf: Tell = async () => false
const settle = (store: Store, now: number, tell: Tell) =>
  settleDue(ctxAt(now), { store, tell, signal: new AbortController().signal }, now)

test('what nobody decided expires once, at its time, and then its outcome is told once', async t => {
  const store = await readyStore(t)
  const { id } = await add(store)
  const told: string[] = []
  const tell: Tell = async (_ctx, approval) => void told.push(approval.state) === undefined
  assert.equal(await settle(store, start + 99, tell), 0)
  assert.equal(await settle(store, start + 100, tell), 1)
  assert.equal((await store.approvals.get(scope, id))?.state, 'expired')
  assert.deepEqual(told, [])
  assert.equal(await settle(store, start + 101, tell), 1)
  assert.equal(await settle(store, start + 9999, tell), 0)
  assert.deepEqual(told, ['expired'])
  assert.equal((await store.log.find(scope, { type: 'approval.expired' }, -1, 10)).length, 1)
  assert.equal((await store.log.find(scope, { type: 'approval.told' }, -1, 10)).length, 1)
})

test('whoever does not hear is told again with growing pauses, and not for ever', async t => {
  const store = await readyStore(t)
  await add(store)
  await settle(store, start + 100, deaf)
  const at: number[] = []
  for (let now = start + 100; now < start + 100_000; now++) {
    const due = await store.approvals.due(scope, now, 1)
    if (due.length === 0) {
      const [next] = await store.approvals.due(scope, start + 100_000, 1)
      if (next === undefined) break
      now = (next.callback?.dueAt ?? now) - 1
      continue
    }
    at.push(now)
    await settle(store, now, deaf)
  }
  assert.equal(at.length, 10)
  const pauses = at.slice(1).map((each, index) => each - (at[index] ?? 0))
  assert.deepEqual(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 1280])
})

test('a run under a fence that is no longer held changes nothing', async t => {
  const store = await readyStore(t)
  const { id } = await add(store)
  const old = await store.leases.hold('loop:approvals', 'node-1', 15)
  await store.leases.release('loop:approvals', 'node-1')
  await store.leases.hold('loop:approvals', 'node-2', 15)
  assert.ok(old !== 'held')
  const fence = { lease: 'loop:approvals', fence: old.fence }
  const deps = { store, tell: deaf, signal: new AbortController().signal }
  assert.equal(await settleDue(ctxAt(start + 200), deps, start + 200, fence), 0)
  assert.equal((await store.approvals.get(scope, id))?.state, 'pending')
})

/** A server that answers as told, and what it heard. */
async function listener(t: TestContext, status: number, headers: Record<string, string> = {}) {
  const heard: { path: string | undefined; authorization: string | undefined; body: string }[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', chunk => {
      body += chunk
    })
    request.on('end', () => {
      heard.push({ path: request.url, authorization: request.headers.authorization, body })
      response.writeHead(status, headers).end('x'.repeat(1_000_000))
    })
  })
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { heard, endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}/told` }
}

const signal = new AbortController().signal
const notice = { authorization: 'Bearer x', body: '{}' }

test('a notice is taken by an answer of 2xx; a refusal, a redirect and silence are not', async t => {
  const good = await listener(t, 204)
  assert.equal(await postNotice({ ...notice, endpoint: good.endpoint }, signal), true)
  assert.deepEqual(good.heard, [{ path: '/told', authorization: 'Bearer x', body: '{}' }])
  const bad = await listener(t, 500)
  assert.equal(await postNotice({ ...notice, endpoint: bad.endpoint }, signal), false)
  const away = await listener(t, 307, { location: good.endpoint })
  assert.equal(await postNotice({ ...notice, endpoint: away.endpoint }, signal), false)
  assert.equal(good.heard.length, 1, 'no redirect is followed')
  assert.equal(await postNotice({ ...notice, endpoint: 'http://127.0.0.1:1/' }, signal), false)
  const stopped = AbortSignal.abort()
  assert.equal(await postNotice({ ...notice, endpoint: good.endpoint }, stopped), false)
  assert.equal(good.heard.length, 1)
})

test('a name that leads inside is not called, whatever it was when it was accepted', async () => {
  // RFC 6761 §6.3: every resolver answers names below localhost with a loopback address, or not at all.
  assert.equal(await postNotice({ ...notice, endpoint: 'https://inside.localhost:1/' }, signal), false)
})
