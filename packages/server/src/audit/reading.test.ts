// Readings whose caller loses its rights, or shows a proof twice, before the entry is written: refused, and told.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { Fault } from '@writ/sdk/protocol/fault'
import { Place } from '../admin/testing/place.ts'
import type { Caller } from '../domain/caller.ts'
import { openStore } from '../store/sql/open.ts'
import { type Decided, readAs } from './reading.ts'

async function reader(t: TestContext): Promise<Place> {
  const store = await openStore({ kind: 'sqlite', file: ':memory:' }, { randomBytes })
  t.after(() => store.close())
  return new Place(store, 'one').found()
}

const read = (at: Place, caller: Caller, decide = async (): Promise<Decided<string>> => given) =>
  readAs(at.ctx, at.deps, { type: 'secret.read', action: 'secret:read', caller }, decide)

const given: Decided<string> = { facts: {}, answer: 'value', change: {} }

const entries = async (at: Place): Promise<readonly (readonly string[])[]> => {
  const found = await at.store.log.find(at.ctx, { type: 'secret.read' }, -1, 10)
  return found.map(({ text }) => {
    const { outcome, decision } = JSON.parse(text) as { outcome: string; decision: { rule: string } }
    return [outcome, decision.rule]
  })
}

test('a caller whose rights end while it reads is given nothing, and the log says that it asked', async t => {
  const at = await reader(t)
  for (const change of [{}, undefined]) {
    const caller = await at.caller()
    at.before = async () => {
      const entry = { type: 'test.done', outcome: 'allowed', requestId: 'r' } as const
      await at.store.commit(at.ctx, {
        entries: [entry],
        signals: [{ subject: at.operator, kind: 'narrowed' }],
      })
    }
    const { change: _, ...rest } = given
    const decided = change === undefined ? rest : { ...rest, change }
    await assert.rejects(
      read(at, caller, async () => decided),
      { code: 'invalid_token' },
    )
  }
  assert.deepEqual(await entries(at), [
    ['refused', 'ended_in_flight'],
    ['refused', 'ended_in_flight'],
  ])
})

test('a proof that is shown twice is one reading and one refusal, whatever the second was to be refused for', async t => {
  const at = await reader(t)
  const caller = await at.caller()
  assert.equal(await read(at, caller), 'value')
  await assert.rejects(read(at, caller), { code: 'invalid_dpop_proof' })
  const denied = async () => {
    throw new Fault('access_denied', 'Not this one.', { kind: 'no_grant' })
  }
  await assert.rejects(read(at, caller, denied), { code: 'invalid_dpop_proof' })
  await assert.rejects(read(at, await at.caller(), denied), { code: 'access_denied' })
  assert.deepEqual(await entries(at), [
    ['allowed', 'scope'],
    ['refused', 'proof_replayed'],
    ['refused', 'proof_replayed'],
    ['refused', 'no_grant'],
  ])
})

test('what we could not do is no refusal', async t => {
  const at = await reader(t)
  at.broken = true
  await assert.rejects(read(at, await at.caller()), { code: 'temporarily_unavailable' })
  at.broken = false
  assert.deepEqual(await entries(at), [])
})
