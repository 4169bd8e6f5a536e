// Nobody rises above themselves at the management API, and nobody strikes down those above them (threat C60).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import { type Authority, authority } from '../harness/authority.ts'
import { administrator, newAgent } from './roles.ts'

const identifier = (writ: Authority): string => `${writ.issuer}/api/v1`

test('who may give grants gives no right at the management API that its own token lacks', async t => {
  const writ = await authority(t)
  const { id, party, token } = await administrator(writ, ['writ:grants:write', 'writ:agents:read'])
  const give = (agent: string, scopes: string[]) =>
    party.call('POST', `${identifier(writ)}/grants`, {
      token,
      body: { agent, resource: identifier(writ), scopes, reason: 'x' },
    })
  const { id: other } = await newAgent(writ, 'other')
  for (const agent of [id, other]) {
    for (const scopes of [
      ['writ:*'],
      ['writ:agents'],
      ['writ:agents:write'],
      ['writ:agents:read', 'writ:keys:write'],
    ]) {
      const answer = await give(agent, scopes)
      assert.deepEqual([answer.status, answer.body.code], [403, 'access_denied'], scopes.join())
    }
    assert.equal((await give(agent, ['writ:agents:read', 'writ:grants:write'])).status, 201)
  }
})

test('a token of one scope does not make itself a token of all, not even for its own agent', async t => {
  const writ = await authority(t)
  const { operator } = writ
  const token = await operator.token(identifier(writ), 'writ:keys:write')
  const url = `${identifier(writ)}/agents/${operator.clientId}`
  const jwk = generateKeyPair('ES256').verify.jwk
  assert.equal((await operator.call('POST', `${url}/keys`, { token, body: { jwk } })).status, 403)
  assert.equal((await operator.call('POST', `${url}/enrollments`, { token })).status, 403)
})

test('no administrator stops, changes, enrols or takes keys of one with more rights', async t => {
  const writ = await authority(t)
  const { party, token } = await administrator(writ, ['writ:agents', 'writ:keys', 'writ:grants'])
  const above = await administrator(writ, ['writ:agents', 'writ:issuer:write'])
  const grants = await writ.operator.manage('GET', `/grants?agent=${above.id}`)
  const keys = await writ.operator.manage('GET', `/agents/${above.id}/keys`)
  const reason = { reason: 'x' }
  const attempts: [method: string, path: string, body?: unknown][] = [
    ['PATCH', `/agents/${above.id}`, { name: 'mine' }],
    ['POST', `/agents/${above.id}/suspend`, reason],
    ['POST', `/agents/${above.id}/retire`, reason],
    ['POST', `/agents/${above.id}/enrollments`],
    ['POST', `/agents/${above.id}/keys`, { jwk: generateKeyPair('ES256').verify.jwk }],
    ['POST', `/agents/${above.id}/keys/${keys.body.items[0].kid}/revoke`, reason],
    ['DELETE', `/grants/${grants.body.items[0].id}`],
    ['POST', `/agents/${writ.operator.clientId}/suspend`, reason],
  ]
  for (const [method, path, body] of attempts) {
    const answer = await party.call(method, identifier(writ) + path, { token, body })
    assert.deepEqual([answer.status, answer.body.code], [403, 'access_denied'], `${method} ${path}`)
  }
  assert.equal(
    (await above.party.call('GET', `${identifier(writ)}/agents`, { token: above.token })).status,
    200,
  )
})

test('an administrator may stop an equal, and any agent without rights at the management API', async t => {
  const writ = await authority(t)
  const { party, token } = await administrator(writ, ['writ:agents', 'writ:keys'])
  const equal = await administrator(writ, ['writ:agents:write'])
  const worker = await newAgent(writ, 'worker')
  for (const id of [equal.id, worker.id]) {
    const url = `${identifier(writ)}/agents/${id}/suspend`
    assert.equal((await party.call('POST', url, { token, body: { reason: 'x' } })).status, 200)
  }
})

test('a right that has ended is no right above anybody', async t => {
  const writ = await authority(t)
  const { party, token } = await administrator(writ, ['writ:agents'])
  const former = await administrator(writ, ['writ:*'])
  const grants = await writ.operator.manage('GET', `/grants?agent=${former.id}`)
  const url = `${identifier(writ)}/agents/${former.id}/suspend`
  assert.equal((await party.call('POST', url, { token, body: { reason: 'x' } })).status, 403)
  await writ.operator.manage('DELETE', `/grants/${grants.body.items[0].id}`)
  assert.equal((await party.call('POST', url, { token, body: { reason: 'x' } })).status, 200)
})

test('the operator’s own grant is not taken by itself, and is taken by nobody below it', async t => {
  const writ = await authority(t)
  const grants = await writ.operator.manage('GET', `/grants?agent=${writ.operator.clientId}`)
  const path = `/grants/${grants.body.items[0].id}`
  assert.equal((await writ.operator.manage('DELETE', path)).status, 409)
  const { party, token } = await administrator(writ, ['writ:grants'])
  assert.equal((await party.call('DELETE', identifier(writ) + path, { token })).status, 403)
})
