// Callbacks: the outcome is told to whoever asked, signed for this endpoint and this body, and to nobody inside.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { enforcementPoint } from '../decision/point.ts'
import { api, expect } from '../harness/agent.ts'
import { authority } from '../harness/authority.ts'
import { until } from '../harness/deadline.ts'
import { verifies } from '../rfc/verifies.ts'
import { as, entries, scene } from './scene.ts'

interface Heard {
  readonly authorization: string
  readonly body: string
}

async function listener(t: TestContext, answers: readonly number[]) {
  const heard: Heard[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => void chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString()
      heard.push({ authorization: request.headers.authorization ?? '', body })
      response.writeHead(answers[heard.length - 1] ?? 204).end()
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return { heard, endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}/told` }
}

const asking = ['writ:decisions:evaluate', 'writ:decisions:request']

test('an authority on this machine tells a program on this machine, again where it was not taken, and signed', async t => {
  verifies('ARAP-13-2')
  const writ = await authority(t, { issuer: 'http://127.0.0.1:8455' })
  const { agent, approver } = await scene(writ)
  const pep = await enforcementPoint(writ, asking)
  const { heard, endpoint } = await listener(t, [503])
  const asked = {
    subject: { type: 'agent', id: agent.clientId },
    action: { name: 'write' },
    resource: { type: 'resource', id: api },
  }
  const { context } = expect(await pep.ask('evaluation', asked), 200)
  const { binding_token, expires_at } = context.access_request
  const denial = { binding_token, expires_at }
  const callback = { endpoint, state: { flow: 7 }, events: ['approved', 'denied'] }
  const { task } = expect(await pep.ask('access-requests', { ...asked, denial, callback }), 201)
  const path = `/approvals/${task.id}/approve`
  expect(await as(approver, 'writ:approvals:write', ['POST', path, {}]), 200)
  await until('it was told once', 20, async () => heard.length === 1)
  await until('that was written down', 20, async () => (await entries(writ, 'approval.told')).length === 1)
  writ.advance(10)
  await until('it was told again', 20, async () => heard.length === 2)
  const [, last] = heard
  assert.ok(last !== undefined)
  const told = JSON.parse(last.body)
  assert.deepEqual([told.state, told.task.status, told.result.mode], [{ flow: 7 }, 'approved', 'reevaluate'])
  const keys = createLocalJWKSet(await (await writ.fetch('/jwks')).json())
  const currentDate = new Date(writ.nowMs())
  const { payload } = await jwtVerify(last.authorization.replace('Bearer ', ''), keys, {
    issuer: writ.issuer,
    audience: endpoint,
    typ: 'access-request-callback+jwt',
    currentDate,
  })
  assert.equal(payload['body_sha256'], createHash('sha256').update(last.body).digest('base64url'))
  await until('that it was taken was written down', 20, async () => {
    const all = await entries(writ, 'approval.told')
    return all.length === 2
  })
  writ.advance(60)
  assert.equal(heard.length, 2, 'what was taken is not told again')
})

test('an authority elsewhere calls no address of this machine and no private one', async t => {
  verifies('ARAP-13-1')
  const writ = await authority(t)
  const { agent } = await scene(writ)
  const pep = await enforcementPoint(writ, asking)
  const asked = {
    subject: { type: 'agent', id: agent.clientId },
    action: { name: 'write' },
    resource: { type: 'resource', id: api },
  }
  const { context } = expect(await pep.ask('evaluation', asked), 200)
  const { binding_token, expires_at } = context.access_request
  const denial = { binding_token, expires_at }
  for (const endpoint of [
    'http://127.0.0.1:9/',
    'https://localhost:9/',
    'https://10.0.0.1/',
    'https://[fd00::1]/',
    'https://169.254.169.254/latest/meta-data/',
    'http://api.example/told',
    'https://elsewhere.example/told',
  ]) {
    const answer = await pep.ask('access-requests', { ...asked, denial, callback: { endpoint } })
    assert.deepEqual([answer.status, answer.body.code], [422, 'invalid_value'], endpoint)
  }
})
