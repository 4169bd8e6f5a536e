// Reports whose sender loses its rights before they are taken: refused as such, and told, not put down to our inability.
import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import { signJws } from '@writ/sdk/protocol/jws'
import { Place } from '../admin/testing/place.ts'
import { keyOf } from '../store/contract/scene.ts'
import { openStore } from '../store/sql/open.ts'
import { takeReport } from './reported.ts'

const entry = { type: 'test.done', outcome: 'allowed', requestId: 'r' } as const

/** Somebody with a key of its own, and what sends its report of one decision. */
async function reporter(t: TestContext) {
  const store = await openStore({ kind: 'sqlite', file: ':memory:' }, { randomBytes })
  t.after(() => store.close())
  const at = await new Place(store, 'one').found()
  const { sign, verify } = generateKeyPair('ES256')
  const key = keyOf({ owner: at.operator, jwk: verify.jwk, notBefore: at.ctx.now })
  await store.commit(at.ctx, { puts: [{ put: 'key', value: key, ifVersion: 0 }], entries: [entry] })
  const item = {
    subject: { type: 'agent', id: at.operator },
    action: { name: 'read' },
    resource: { type: 'invoice', id: 'https://api.example#17' },
    decided_by: randomUUID(),
    count: 1,
    first_at: at.ctx.now,
    last_at: at.ctx.now,
  }
  const claims = { iss: at.operator, aud: at.ctx.issuer, items: [item] }
  const header = { typ: 'decision-report+jwt', kid: key.kid }
  const send = async (batch: string) => {
    const report = signJws(header, { ...claims, batch }, sign)
    return takeReport(at.ctx, at.deps, { caller: await at.caller(), read: async () => report })
  }
  const end = () =>
    store.commit(at.ctx, { entries: [entry], signals: [{ subject: at.operator, kind: 'narrowed' }] })
  return { at, send, end }
}

test('a report of somebody whose rights end while it is taken is refused, and the log says so', async t => {
  const { at, send, end } = await reporter(t)
  at.before = end
  await assert.rejects(send(randomUUID()), { code: 'invalid_token' })
  const batch = randomUUID()
  assert.deepEqual(await send(batch), { taken: 1, isRepeated: false })
  at.before = end
  await assert.rejects(send(batch), { code: 'invalid_token' }, 'also where it stands in the log already')
  const found = await at.store.log.find(at.ctx, { type: 'decision.reported' }, -1, 10)
  const told = found.map(({ text }) => JSON.parse(text) as { outcome: string; decision: { rule: string } })
  assert.deepEqual(
    told.map(({ outcome, decision }) => [outcome, decision.rule]),
    [
      ['refused', 'ended_in_flight'],
      ['refused', 'ended_in_flight'],
    ],
  )
})
