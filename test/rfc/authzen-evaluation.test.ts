// AuthZEN Authorization API 1.0 from outside: single decisions and batches, on the fixture of its certification.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type EnforcementPoint, enforcementPoint } from '../decision/point.ts'
import { certification, certificationActions, enforce } from '../decision/policies.ts'
import { expect } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { verifies } from './verifies.ts'

async function scene(t: TestContext): Promise<{ writ: Authority; point: EnforcementPoint }> {
  const writ = await authority(t)
  await enforce(writ, certification, certificationActions)
  return { writ, point: await enforcementPoint(writ) }
}

const user = (id: string, properties?: object) => ({ type: 'user', id, ...(properties && { properties }) })
const record = (id: string, properties?: object) => ({
  type: 'record',
  id,
  ...(properties && { properties }),
})
const admin = user('bob', { role: 'admin' })
const archived = record('record-2', { status: 'archived' })
const alicesRead = { subject: user('alice'), action: { name: 'read' }, resource: record('record-1') }

test('the eight decisions of the fixture are as its certification has them, however often they are asked', async t => {
  verifies('AuthZEN-6.1-1', 'AuthZEN-6.1-2', 'AuthZEN-10.1-1')
  const { point } = await scene(t)
  const soft = (is: boolean) => ({ name: 'delete', properties: { soft: is } })
  const cases: readonly [object, object, object, boolean][] = [
    [user('alice'), { name: 'read' }, record('record-1'), true],
    [user('alice'), { name: 'write' }, record('record-1'), true],
    [user('bob'), { name: 'read' }, record('record-1'), true],
    [user('bob'), { name: 'write' }, record('record-1'), false],
    [user('alice'), { name: 'write' }, archived, false],
    [admin, { name: 'write' }, archived, true],
    [user('alice'), soft(true), record('record-1'), true],
    [user('alice'), soft(false), record('record-1'), false],
  ]
  for (const [subject, action, resource, decision] of cases) {
    for (const extra of [{}, { context: { time: '2025-06-27T18:03-07:00', ip: '192.168.1.1' } }]) {
      const answer = await point.ask('evaluation', { subject, action, resource, ...extra })
      assert.match(answer.headers.get('content-type') ?? '', /^application\/json/)
      const body = expect(answer, 200)
      assert.deepEqual(body, { decision }, JSON.stringify([subject, action, resource]))
    }
  }
})

test('what is missing or of another type is a 400, and what is not known is ignored', async t => {
  verifies('AuthZEN-10.1.1-1', 'AuthZEN-10.1.1-2', 'AuthZEN-10.1.2-1', 'AuthZEN-11.5-1')
  const { writ, point } = await scene(t)
  const { subject, action, resource } = alicesRead
  const wrong: readonly object[] = [
    { action, resource },
    { subject, resource },
    { subject, action },
    { subject: { id: 'alice' }, action, resource },
    { subject: { type: 'user' }, action, resource },
    { subject, action: {}, resource },
    { subject, action, resource: { id: 'record-1' } },
    { subject, action, resource: { type: 'record' } },
    { subject: 'alice', action, resource },
    { subject, action: { name: 123 }, resource },
    { subject, action, resource, context: [] },
    { subject, action, resource, context: { amounts: { calls: -1 } } },
  ]
  for (const body of wrong) {
    const answer = await point.ask('evaluation', body)
    assert.equal(answer.status, 400, JSON.stringify(body))
    assert.equal(answer.body.code, 'invalid_request')
  }
  const described = {
    subject: user('alice', { department: 'Sales', role: 'manager' }),
    action: { name: 'read', properties: { method: 'GET' } },
    resource: record('record-1', { status: 'active', owner: 'bob', unknown: [null, { deep: 1 }] }),
  }
  assert.deepEqual(expect(await point.ask('evaluation', described), 200), { decision: true })
  const extra = { ...alicesRead, foo: 'bar', futureField: { nested: true } }
  assert.deepEqual(expect(await point.ask('evaluation', extra), 200), { decision: true })
  const path = '/access/v1/evaluation'
  const raw = async (body: string, type = 'application/json'): Promise<number> => {
    const answer = await writ.fetch(path, {
      method: 'POST',
      headers: {
        authorization: `DPoP ${point.token}`,
        dpop: point.party.proof(path, { accessToken: point.token }),
        'content-type': type,
      },
      body,
    })
    return answer.status
  }
  assert.equal(await raw(JSON.stringify(alicesRead), 'application/json; charset=utf-8'), 200)
  assert.equal(await raw(JSON.stringify(alicesRead), 'text/plain'), 400)
  assert.equal(await raw('{"subject":'), 400)
  assert.equal(await raw(''), 400)
  assert.equal(await raw('{"subject":1,"subject":2}'), 400, 'two readers could read two subjects')
  const rounded = JSON.stringify({ ...alicesRead, context: { arguments: { amount: 0 } } })
  assert.equal(await raw(rounded.replace('"amount":0', '"amount":9007199254740993')), 400)
  assert.equal(await raw(JSON.stringify({ ...alicesRead, foo: 'x'.repeat(10_000_000) })), 413)
})

test('the id of a request comes back, and a request without one or without credentials is answered', async t => {
  verifies('AuthZEN-10.1.3-1', 'AuthZEN-11.3-1')
  const { writ, point } = await scene(t)
  const named = await point.ask('evaluation', alicesRead, { 'x-request-id': 'bfe9eb29-ab87' })
  assert.equal(named.headers.get('x-request-id'), 'bfe9eb29-ab87')
  const failed = await point.ask('evaluation', {}, { 'x-request-id': 'bfe9eb29-ab88' })
  assert.deepEqual([failed.status, failed.headers.get('x-request-id')], [400, 'bfe9eb29-ab88'])
  for (const id of ['the 7th, "again"', `urn:${'x'.repeat(1000)}`, 'caf\u00e9']) {
    const answer = await point.ask('evaluation', alicesRead, { 'x-request-id': id })
    assert.equal(answer.headers.get('x-request-id'), id, 'any text is an id')
  }
  assert.ok((await point.ask('evaluation', alicesRead)).headers.get('x-request-id'))
  const nobody = await writ.fetch('/access/v1/evaluation', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(alicesRead),
  })
  assert.equal(nobody.status, 401)
  assert.match(nobody.headers.get('www-authenticate') ?? '', /^DPoP /)
})

const decisions = (body: { evaluations: { decision: boolean }[] }): boolean[] =>
  body.evaluations.map(({ decision }) => decision)

test('a batch answers one for one, in order, and what an item does not say the request says', async t => {
  verifies('AuthZEN-7.1-1', 'AuthZEN-7.1.1-1', 'AuthZEN-7.2-1', 'AuthZEN-7.2.1-1')
  const { point } = await scene(t)
  const ask = async (body: object) => expect(await point.ask('evaluations', body), 200)
  const bob = user('bob')
  assert.deepEqual(
    decisions(
      await ask({
        subject: bob,
        resource: record('record-1'),
        evaluations: [{ action: { name: 'read' } }, { action: { name: 'write' } }],
      }),
    ),
    [true, false],
  )
  const write = { action: { name: 'write' } }
  const active = record('record-1', { status: 'active' })
  assert.deepEqual(
    decisions(
      await ask({
        ...write,
        subject: user('alice'),
        evaluations: [{ resource: active }, { resource: archived }],
      }),
    ),
    [true, false],
  )
  assert.deepEqual(
    decisions(
      await ask({
        ...write,
        resource: archived,
        evaluations: [{ subject: user('alice') }, { subject: admin }],
      }),
    ),
    [false, true],
  )
  const common = { subject: user('alice'), ...write, resource: active }
  const inherited = await ask({ ...common, evaluations: [{}, { resource: archived }] })
  assert.deepEqual(decisions(inherited), [true, false], 'an entity replaces the common one as a whole')
  const halves = [
    { resource: { id: 'record-1' } },
    { subject: { id: 'alice' } },
    { action: null },
    { subject: null },
  ]
  const halved = await ask({ ...common, evaluations: [...halves, { action: {} }] })
  assert.deepEqual(decisions(halved), [false, false, false, false, false], 'and no half of one is completed')
  const broken = await ask({
    subject: user('alice'),
    action: { name: 'read' },
    evaluations: [{ resource: record('record-1') }, {}, 7],
  })
  assert.deepEqual(decisions(broken), [true, false, false])
  assert.equal(broken.evaluations[1].context.error.status, 400)
  const bobsWrite = { subject: bob, ...write, resource: record('record-1') }
  assert.deepEqual(decisions(await ask({ evaluations: [alicesRead, bobsWrite] })), [true, false])
  const moments = [{}, { context: { time: '2025-06-27T19:00-07:00', source: 'batch-override' } }]
  const timed = await ask({
    ...alicesRead,
    context: { time: '2025-06-27T18:03-07:00' },
    evaluations: moments,
  })
  assert.deepEqual(decisions(timed), [true, true])
  assert.deepEqual(await ask(alicesRead), { decision: true })
  assert.deepEqual(await ask({ ...alicesRead, evaluations: [] }), { decision: true })
})

test('a batch ends where its semantic ends it, and never has more than the published number of items', async t => {
  verifies('AuthZEN-7.1.2.1-1')
  const { writ, point } = await scene(t)
  const [yes, no] = [{ action: { name: 'read' } }, { action: { name: 'write' } }]
  const ask = async (semantic: string | undefined, evaluations: readonly object[]) =>
    point.ask('evaluations', {
      subject: user('bob'),
      resource: record('record-1'),
      evaluations,
      ...(semantic === undefined ? {} : { options: { evaluations_semantic: semantic } }),
    })
  const all = [yes, no, yes, no]
  assert.deepEqual(decisions(expect(await ask(undefined, all), 200)), [true, false, true, false])
  assert.deepEqual(decisions(expect(await ask('execute_all', all), 200)), [true, false, true, false])
  assert.deepEqual(decisions(expect(await ask('deny_on_first_deny', all), 200)), [true, false])
  assert.deepEqual(decisions(expect(await ask('permit_on_first_permit', [no, ...all]), 200)), [false, true])
  assert.equal((await ask('sometimes', all)).status, 400)
  const { max_evaluations: most } = (await (await writ.fetch('/limits')).json()) as {
    max_evaluations: number
  }
  const many = (count: number) => Array.from({ length: count }, () => yes)
  assert.equal(decisions(expect(await ask(undefined, many(most)), 200)).length, most)
  assert.equal((await ask(undefined, many(most + 1))).status, 400)
})
