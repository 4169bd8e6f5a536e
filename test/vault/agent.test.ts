// Secrets by the SDK: an enrolled agent reads one, keeps it for half of its lease, and meets the next version in time.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Agent, memoryKeystore } from '@writ/sdk/agent'
import { expect } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { canary, grantSecret, newSecret } from './secrets.ts'

/** An enrolled instance, and how often the vault was asked. */
async function enrolled(writ: Authority) {
  const { clientId } = writ.operator
  const body = { name: 'reader', owner: clientId, purpose: 'Reads' }
  const { id } = expect(await writ.operator.manage('POST', '/agents', body), 201)
  const given = expect(await writ.operator.manage('POST', `/agents/${id}/enrollments`), 201)
  const asked: string[] = []
  const away = { is: false }
  const fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const url = input instanceof Request ? input.url : String(input)
    if (url.includes('/vault/')) asked.push(url)
    if (away.is) throw new TypeError('fetch failed')
    return writ.fetch(url, init)
  }
  const agent = await Agent.load({
    keystore: memoryKeystore(),
    enrollment: `${given.enroll_uri}#${given.token}`,
    fetch,
    clock: writ.nowMs,
  })
  return { id, agent, asked, away }
}

test('an agent keeps a secret for half of its lease, and then meets the next version', async t => {
  const writ = await authority(t)
  const { id, agent, asked, away } = await enrolled(writ)
  const secret = await newSecret(writ, { name: 'mail-key', consumers: [id], lease_seconds: 60 })
  await grantSecret(writ, id, 'mail-key')
  const [first, same] = await Promise.all([agent.secret('mail-key'), agent.secret('mail-key')])
  assert.deepEqual([first.value.reveal(), first.version, same], [secret.value, 1, first])
  const next = canary()
  expect(await writ.operator.manage('POST', '/secrets/mail-key/versions', { value: next }), 201)
  assert.equal((await agent.secret('mail-key')).version, 1)
  assert.equal(asked.length, 1)
  writ.advance(31)
  const later = await agent.secret('mail-key')
  assert.deepEqual([later.value.reveal(), later.version, asked.length], [next, 2, 2])
  // The issuer is away: what was given is good to the end of its lease, and no longer.
  away.is = true
  writ.advance(31)
  assert.equal((await agent.secret('mail-key')).version, 2)
  writ.advance(31)
  await assert.rejects(agent.secret('mail-key'), { code: 'temporarily_unavailable' })
  assert.doesNotMatch(JSON.stringify(later) + String(later.value), new RegExp(next))
})

test('an agent that may have a secret no longer is refused by the vault, and by itself after half a lease', async t => {
  const writ = await authority(t)
  const { id, agent } = await enrolled(writ)
  await newSecret(writ, { name: 'mail-key', consumers: [id], lease_seconds: 60 })
  await assert.rejects(agent.secret('mail-key'), /./)
  await grantSecret(writ, id, 'mail-key')
  await agent.secret('mail-key')
  expect(await writ.operator.manage('PATCH', '/secrets/mail-key', { consumers: [] }), 200)
  writ.advance(31)
  await assert.rejects(agent.secret('mail-key'), { code: 'access_denied' })
  for (const name of ['../api/v1/agents', 'Mail', '', 'a%2fb', 'a..b'])
    await assert.rejects(agent.secret(name), { code: 'invalid_request' })
})
