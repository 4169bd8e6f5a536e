// The first start: one operator however many nodes start, nothing without its entries, and later starts change nothing.
import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { newId } from '@writ/sdk/protocol/identifier'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import type { Ctx } from '../context.ts'
import { isOperator } from '../domain/operator.ts'
import { defaultTenant } from '../domain/tenant.ts'
import { openStore } from '../store/sql/open.ts'
import type { Store } from '../store/store.ts'
import { managementIdentifier, managementScopes } from './access.ts'
import { bootstrap } from './bootstrap.ts'

const issuer = 'https://writ.example'
const context = (): Ctx => {
  const rest = { requestId: randomUUID(), traceId: undefined, peer: undefined, note: () => {} }
  return { tenant: defaultTenant, issuer, now: 1_800_000_000, nowMs: 1_800_000_000_000, ...rest }
}
const founder = () => ({ id: newId('agt', randomBytes), jwk: generateKeyPair('ES256').verify.jwk })

async function emptyStore(t: TestContext): Promise<Store> {
  const store = await openStore({ kind: 'sqlite', file: ':memory:' }, { randomBytes })
  t.after(() => store.close())
  await store.tenants.ensure({ id: defaultTenant, issuer, createdAt: 0 })
  return store
}

test('twenty nodes that start together make one operator, with one key and one grant', async t => {
  const store = await emptyStore(t)
  const starts = Array.from({ length: 20 }, () => bootstrap(context(), { store, randomBytes }, founder))
  const outcomes = await Promise.all(starts)
  assert.deepEqual(outcomes.filter(outcome => outcome === 'founded').length, 1)
  const { items: agents } = await store.agents.list(context(), { limit: 10 }, {})
  assert.deepEqual(
    agents.map(agent => [agent.name, isOperator(agent)]),
    [['operator', true]],
  )
  const [operator] = agents
  assert.equal((await store.keys.ofOwner(context(), operator?.id ?? '')).length, 1)
  const { items: grants } = await store.grants.list(context(), { limit: 10 }, {})
  assert.deepEqual(
    grants.map(grant => [grant.agent, grant.resource, grant.scopes]),
    [[operator?.id, managementIdentifier(context()), ['writ:*']]],
  )
})

test('everything of the first start is in the log, in one piece', async t => {
  const store = await emptyStore(t)
  await bootstrap(context(), { store, randomBytes }, founder)
  const entries = await store.log.range(context(), 0, 10)
  const types = entries.map(({ text }) => JSON.parse(text).type)
  assert.deepEqual(types, ['resource.created', 'agent.created', 'key.registered', 'grant.created'])
})

test('a later start makes nothing and asks for no key', async t => {
  const store = await emptyStore(t)
  await bootstrap(context(), { store, randomBytes }, founder)
  const size = await store.log.size(context())
  const again = await bootstrap(context(), { store, randomBytes }, () =>
    assert.fail('a founder was asked for'),
  )
  assert.equal(again, 'stands')
  assert.equal(await store.log.size(context()), size)
})

test('a version with other scopes brings the management API up to date, and ends tokens only where one is gone', async t => {
  const store = await emptyStore(t)
  await bootstrap(context(), { store, randomBytes }, founder)
  const identifier = managementIdentifier(context())
  const older = async (scopes: ReturnType<typeof managementScopes>) => {
    const found = await store.resources.byIdentifier(context(), identifier)
    assert.ok(found)
    const { version, ...resource } = found
    const entry = { type: 'test', outcome: 'allowed', requestId: randomUUID() } as const
    await store.commit(context(), {
      puts: [{ put: 'resource', value: { ...resource, scopes }, ifVersion: version }],
      entries: [entry],
    })
    return store.signals.head(context())
  }
  const fewer = await older(managementScopes().slice(0, 3))
  assert.equal(await bootstrap(context(), { store, randomBytes }, founder), 'stands')
  assert.deepEqual((await store.resources.byIdentifier(context(), identifier))?.scopes, managementScopes())
  assert.equal(await store.signals.isNarrowed(context(), [identifier], fewer), false)
  const extra = { name: 'writ:old', description: 'Gone in this version', includes: [], sensitive: false }
  const more = await older([...managementScopes(), extra])
  await bootstrap(context(), { store, randomBytes }, founder)
  assert.equal(await store.signals.isNarrowed(context(), [identifier], more), true)
})
