// Work that strangers can cause: a forged assertion is refused at a price that does not grow with its victim (C64, C66).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api, expect, newAgent, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import type { Party } from '../harness/party.ts'
import { newPair, partyOf } from './instances.ts'

/** An authority that counts how often everything about a caller is read from its store. */
async function counting(
  t: Parameters<typeof authority>[0],
): Promise<{ writ: Authority; reads: () => number }> {
  let reads = 0
  const writ = await authority(t, {
    around: {
      wrapStore: store => ({
        ...store,
        facts: {
          ...store.facts,
          async caller(ctx, id, options) {
            const facts = await store.facts.caller(ctx, id, options)
            if (facts?.remembered !== true) reads += 1
            return facts
          },
        },
      }),
    },
  })
  return { writ, reads: () => reads }
}

async function addKeys(writ: Authority, agent: string, count: number): Promise<Party[]> {
  const parties: Party[] = []
  for (let at = 0; at < count; at++) {
    const pair = newPair()
    expect(await writ.operator.manage('POST', `/agents/${agent}/keys`, { jwk: pair.verify.jwk }), 201)
    parties.push(partyOf(writ, agent, pair))
  }
  return parties
}

test('forged assertions make the server read nothing about their victim again', async t => {
  const { writ, reads } = await counting(t)
  await registerApi(writ)
  const victim = await newAgent(writ, { scopes: ['read'] })
  await addKeys(writ, victim.clientId, 5)
  const thief = partyOf(writ, victim.clientId, newPair())
  const forged = async (header: Record<string, unknown>): Promise<void> => {
    const { status } = await thief.tokenRequest({
      resource: api,
      client_assertion: thief.assertion({}, header),
    })
    assert.equal(status, 401)
  }
  await victim.token(api)
  await forged({})
  const before = reads()
  for (let at = 0; at < 20; at++) {
    for (const kid of [undefined, 'made up', thief.key.jkt, victim.key.jkt]) await forged({ kid })
  }
  assert.equal(reads(), before)
  await victim.token(api)
})

test('a key that came a moment ago is good at once', async t => {
  const { writ } = await counting(t)
  await registerApi(writ)
  const agent = await newAgent(writ, { scopes: ['read'] })
  await agent.token(api)
  for (const party of await addKeys(writ, agent.clientId, 3)) await party.token(api)
})

test('an assertion that names no key is held against a few, and with more it has to name one', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const agent = await newAgent(writ, { scopes: ['read'] })
  const unnamed = async (party: Party): Promise<number> =>
    (await party.tokenRequest({ resource: api, client_assertion: party.assertion({}, { kid: undefined }) }))
      .status
  assert.equal(await unnamed(agent), 200)
  const others = await addKeys(writ, agent.clientId, 20)
  assert.equal(await unnamed(agent), 401)
  await agent.token(api)
  // Keys that are dead are none of them.
  for (const { key } of others) {
    const path = `/agents/${agent.clientId}/keys/${key.jkt}/revoke`
    expect(await writ.operator.manage('POST', path, { reason: 'test' }), 200)
  }
  assert.equal(await unnamed(agent), 200)
})
