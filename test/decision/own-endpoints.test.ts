// Policies reach our own endpoints: an operation of the management API and a secret of the vault are decided like any call.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expect } from '../harness/agent.ts'
import { authority } from '../harness/authority.ts'
import { enforce } from './policies.ts'

test('a policy forbids an operation of the management API from the next call on, and the entry names it', async t => {
  const writ = await authority(t)
  const people = () => writ.operator.manage('POST', '/people', { login: `ada${Math.random()}` })
  expect(await people(), 201)
  await enforce(
    writ,
    '@id("no.people") forbid (principal, action == Writ::Action::"people.create", resource);',
  )
  const refused = await people()
  assert.deepEqual([refused.status, refused.body.code], [403, 'access_denied'])
  assert.doesNotMatch(JSON.stringify(refused.body), /no\.people|policy/)
  const id = refused.headers.get('x-request-id')
  const [entry] = expect(await writ.operator.manage('GET', `/events?request_id=${id}`), 200).items
  assert.deepEqual([entry.outcome, entry.decision.rule], ['refused', 'policy:no.people'])
  expect(await writ.operator.manage('GET', '/people'), 200)
})

test('a set that forbids everything else leaves its own way back', async t => {
  const writ = await authority(t)
  await enforce(writ, '@id("welcome") permit (principal, action, resource);')
  const lock =
    '@id("locked") forbid (principal, action, resource) unless { action == Writ::Action::"policies.rollback" };'
  await enforce(writ, lock)
  assert.equal((await writ.operator.manage('GET', '/agents')).status, 403)
  assert.equal((await writ.operator.manage('POST', '/policies', { source: '' })).status, 403)
  expect(await writ.operator.manage('POST', '/policies/rollback', { reason: 'locked out' }), 200)
  expect(await writ.operator.manage('GET', '/agents'), 200)
})
