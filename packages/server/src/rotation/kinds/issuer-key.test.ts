// Rotations of the issuer's key that nobody followed for a while: the keys move by themselves, whoever looks later.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { newId } from '@writ/sdk/protocol/identifier'
import type { Ctx } from '../../context.ts'
import { type IssuerKey, moveKey, plan } from '../../domain/issuer-key.ts'
import { newRotation, type Rotation } from '../../domain/rotation.ts'
import { defaultTenant } from '../../domain/tenant.ts'
import { openStore } from '../../store/sql/open.ts'
import type { KindDeps } from '../kind.ts'
import { issuerKey } from './issuer-key.ts'

const start = 1_700_000_000
const life = { tokenSeconds: 10, skewSeconds: 1 }

const ctxAt = (now: number): Ctx => ({
  tenant: defaultTenant,
  issuer: 'https://issuer.example',
  now,
  nowMs: now * 1000,
  requestId: 'request',
  traceId: undefined,
  peer: undefined,
  note: () => undefined,
})

const key = (kid: string, state: IssuerKey['state'], activatesAt: number): IssuerKey => ({
  kid,
  purpose: 'token',
  alg: 'ES256',
  jwk: null,
  sealed: 'sealed',
  state,
  createdAt: start,
  activatesAt,
  retiresAt: null,
  stateAt: start,
})

/** The keys after every move that was due until then. */
function movedUntil(keys: readonly IssuerKey[], now: number): readonly IssuerKey[] {
  const steps = plan(keys, { now, latestAt: now, seenSeconds: () => 1e6 }, life)
  if (steps.length === 0) return keys
  const next = keys.map(each => steps.find(({ from }) => from.kid === each.kid)?.to ?? each)
  return movedUntil(next, now)
}

const rotationTo = (from: string, to: string): Rotation =>
  newRotation(
    {
      id: newId('rot', randomBytes),
      kind: 'issuer_key',
      target: 'token',
      owner: null,
      reason: 'asked',
      batch: null,
      from,
      to,
      alg: 'ES256',
      proof: 'last_token',
      dueAt: start + 1,
      limitAt: start + 3600,
    },
    start,
  )

async function looked(t: TestContext, keys: readonly IssuerKey[], rotation: Rotation): Promise<Rotation> {
  const store = await openStore({ kind: 'sqlite', file: ':memory:' }, { randomBytes })
  t.after(() => store.close())
  await store.tenants.ensure({ id: defaultTenant, issuer: 'https://issuer.example', createdAt: start })
  const committed = await store.commit(ctxAt(start), {
    puts: keys.map(value => ({ put: 'issuerKey', value, ifVersion: 0 })),
    entries: [{ type: 'test', outcome: 'allowed', requestId: 'r' }],
  })
  assert.equal(committed.kind, 'done')
  let at = rotation
  for (let turn = 0; turn < 5 && !['retired', 'failed'].includes(at.state); turn++) {
    const look = await issuerKey.look(ctxAt(start + 1000), { store } as unknown as KindDeps, {
      ...at,
      version: 1,
    })
    at = look.rotation
  }
  return at
}

test('a successor that signed, was superseded and has gone before anybody looked did succeed', async t => {
  // The leader died; the keys went on: the first gave way to the second, the second to the third.
  const first = movedUntil([key('one', 'active', start), key('two', 'staged', start + 1)], start + 1)
  const second = movedUntil([...first, key('three', 'staged', start + 20)], start + 20)
  const gone = movedUntil(second, start + 100)
  assert.deepEqual(
    gone.map(({ state }) => state),
    ['retired', 'retired', 'active'],
  )
  const rotation = await looked(t, gone, rotationTo('one', 'two'))
  assert.deepEqual([rotation.state, rotation.problem], ['retired', null])
  const other = await looked(t, gone, rotationTo('two', 'three'))
  assert.equal(other.state, 'retired')
})

test('a successor that was abandoned before it signed fails its rotation, and says so', async t => {
  const abandoned = moveKey(key('two', 'staged', start + 500), 'abandon', start + 5)
  const rotation = await looked(t, [key('one', 'active', start), abandoned], rotationTo('one', 'two'))
  assert.deepEqual([rotation.state, rotation.problem], ['failed', 'The successor is gone.'])
})
