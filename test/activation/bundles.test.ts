// Several denials filed at once (AuthZEN access request profile): one task to follow, and a decision for each item.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { enforcementPoint } from '../decision/point.ts'
import { api, expect, newAgent } from '../harness/agent.ts'
import { authority } from '../harness/authority.ts'
import type { Answer } from '../harness/party.ts'
import { verifies } from '../rfc/verifies.ts'
import { as, entries, scene } from './scene.ts'

const asking = ['writ:decisions:evaluate', 'writ:decisions:request']

interface Item {
  readonly resource: object
  readonly action: object
  readonly denial?: object
}

async function denied(t: TestContext) {
  const writ = await authority(t)
  const { agent, approver } = await scene(writ)
  const pep = await enforcementPoint(writ, asking)
  const subject = { type: 'agent', id: agent.clientId }
  const context = { task: 'renewals' }
  const deny = async (name: string, id: string): Promise<Item> => {
    const item = { action: { name }, resource: { type: 'tool', id: `${api}#${id}` } }
    const answer = expect(await pep.ask('evaluation', { subject, context, ...item }), 200)
    const { binding_token, expires_at } = answer.context.access_request
    return { ...item, denial: { binding_token, expires_at } }
  }
  const file = (items: readonly object[], members: object = {}, headers = {}): Promise<Answer> =>
    pep.ask('access-requests', { subject, context, items, ...members }, headers)
  const follow = (task: { status_endpoint: string }, by = pep) =>
    by.party.call('GET', task.status_endpoint, { token: by.token })
  const move = (id: string, name: string, body: object = {}) =>
    as(approver, 'writ:approvals:write', ['POST', `/approvals/${id}/${name}`, body])
  const waiting = async (): Promise<readonly string[]> => {
    const listed = expect(await as(approver, 'writ:approvals:read', ['GET', '/approvals?state=pending']), 200)
    return listed.items
      .sort((a: Named, b: Named) => (a.operation.id < b.operation.id ? -1 : 1))
      .map(({ id }: Named) => id)
  }
  return { writ, agent, approver, pep, subject, context, deny, file, follow, move, waiting }
}

interface Named {
  readonly id: string
  readonly operation: { readonly id: string }
}

const statesOf = ({ items }: { items: { status: string }[] }): string[] => items.map(({ status }) => status)

test('what is filed together is followed as one, and decided, approved and evaluated item by item', async t => {
  verifies('ARAP-10.2-1')
  const { pep, subject, context, deny, file, follow, move, waiting, writ } = await denied(t)
  const items = [await deny('write', 'a'), await deny('write', 'b'), await deny('erase', 'c')]
  const answer = await file(items, { requested_access: { requested_until: '2099-01-01T00:00:00Z' } })
  const { task, result } = expect(answer, 201)
  assert.equal(answer.headers.get('location'), task.status_endpoint)
  assert.deepEqual([task.status, result], ['pending', undefined])
  assert.deepEqual(
    task.items,
    items.map(({ resource, action }) => ({ resource, action, status: 'pending' })),
  )
  const [a, b, c] = (await waiting()) as [string, string, string]
  expect(await move(a, 'approve', { seconds: 60 }), 200)
  const half = expect(await follow(task), 200)
  assert.deepEqual([half.task.status, statesOf(half.task)], ['pending', ['approved', 'pending', 'pending']])
  expect(await move(b, 'deny', { reason: 'no' }), 200)
  expect(await move(c, 'approve', {}), 200)
  const done = expect(await follow(task), 200)
  assert.deepEqual([done.task.status, done.result], ['partial', undefined], 'nothing is approved as a whole')
  assert.deepEqual(statesOf(done.task), ['approved', 'denied', 'approved'])
  const ask = async (item: Item, approval: unknown): Promise<boolean> => {
    const { resource, action } = item
    const question = { subject, resource, action, context: { ...context, approval } }
    return expect(await pep.ask('evaluation', question), 200).decision
  }
  const [first, second] = items as [Item, Item, Item]
  const { approval, ...rest } = done.task.items[0].result
  assert.deepEqual([rest, approval.id], [{ mode: 'reevaluate' }, a])
  assert.equal(await ask(first, approval), true)
  assert.equal(await ask(second, approval), false, 'that of one item is none of another')
  assert.equal(await ask(first, { id: task.id }), false, 'the task of all is no approval')
  const [entry] = await entries(writ, 'access-request.filed')
  assert.deepEqual(entry?.decision['tasks'], [a, b, c])
  const after = await pep.party.call('POST', `${task.status_endpoint}/cancel`, { token: pep.token, body: {} })
  assert.deepEqual([after.status, after.body.code], [409, 'invalid_task_state'])
})

test('cancelled, what waits of it is cancelled and named in the log, and what was decided stays as it is', async t => {
  const { writ, pep, deny, file, follow, move, waiting } = await denied(t)
  const cancel = (task: { links: { cancel: string } }) =>
    pep.party.call('POST', task.links.cancel, { token: pep.token, body: { comment: 'found another way' } })
  const all = expect(await file([await deny('write', 'a'), await deny('write', 'b')]), 201).task
  const both = await waiting()
  const gone = expect(await cancel(all), 200).task
  assert.deepEqual([gone.status, statesOf(gone)], ['cancelled', ['cancelled', 'cancelled']])
  const some = expect(await file([await deny('write', 'c'), await deny('write', 'd')]), 201).task
  const [c, d] = (await waiting()) as [string, string]
  expect(await move(c, 'approve', {}), 200)
  const mixed = expect(await cancel(some), 200).task
  assert.deepEqual([mixed.status, statesOf(mixed)], ['partial', ['approved', 'cancelled']])
  assert.deepEqual(expect(await follow(some), 200).task, mixed)
  const told = await entries(writ, 'approval.cancelled')
  assert.deepEqual(
    told.map(({ decision }) => decision['tasks']),
    [both, [d]],
  )
})

test('every item is bound by a denial of its own; half a bundle is none, and nobody else follows it', async t => {
  verifies('ARAP-10.1-4')
  const { writ, agent, pep, subject, context, deny, file, follow } = await denied(t)
  const [a, b] = [await deny('write', 'a'), await deny('write', 'b')]
  const { denial, ...bare } = a
  const wrong: readonly [string, readonly object[], object, number, string][] = [
    ['one for two', [bare, { ...b, denial: undefined }], { denial }, 400, 'invalid_denial_binding'],
    ['one without', [a, { ...b, denial: undefined }], {}, 400, 'invalid_denial_binding'],
    [
      'swapped',
      [
        { ...a, denial: b.denial },
        { ...b, denial: a.denial },
      ],
      {},
      400,
      'invalid_denial_binding',
    ],
    ['twice', [a, a], {}, 400, 'invalid_request'],
    ['a resource beside it', [a, b], { resource: a.resource }, 400, 'invalid_request'],
    ['a callback', [a, b], { callback: { endpoint: `${api}/told` } }, 400, 'invalid_request'],
    ['an actor', [a, b], { client: { actor: { id: 'x' } } }, 400, 'invalid_denial_binding'],
    ['another subject', [a, b], { subject: { ...subject, id: 'agt_0' } }, 400, 'invalid_denial_binding'],
    ['another context', [a, b], { context: { task: 'other' } }, 400, 'invalid_denial_binding'],
    ['none', [], {}, 422, 'invalid_value'],
    ['too many', Array.from({ length: 17 }, () => a), {}, 422, 'invalid_value'],
    ['no items', [7 as never], {}, 400, 'invalid_request'],
  ]
  for (const [what, items, members, status, code] of wrong) {
    const answer = await file(items, members)
    assert.deepEqual([answer.status, answer.body.code], [status, code], what)
  }
  const alone = expect(await file([bare], { denial }), 201).task
  assert.equal(alone.status, 'pending', 'the common denial covers one')
  const key = { 'idempotency-key': 'bundle-1' }
  const { task } = expect(await file([a, b], {}, key), 201)
  assert.equal(expect(await file([a, b], {}, key), 201).task.id, task.id)
  assert.deepEqual((await file([b, a], {}, key)).body.code, 'duplicate_request')
  const thief = await enforcementPoint(writ, asking)
  for (const seen of [
    await follow(task, thief),
    await thief.party.call('POST', task.links.cancel, { token: thief.token, body: {} }),
  ])
    assert.deepEqual([seen.status, seen.body.code], [404, 'unknown_task'])
  const many = await Promise.all(Array.from({ length: 16 }, (_, at) => deny('write', `m${at}`)))
  expect(await file(many), 201)
  const more = await Promise.all(Array.from({ length: 16 }, (_, at) => deny('write', `n${at}`)))
  assert.equal((await file(more)).body.code, 'conflict', 'nobody is flooded by bundles either')
  const other = await newAgent(writ)
  const foreign = {
    subject: { type: 'agent', id: other.clientId },
    context,
    action: bare.action,
    resource: bare.resource,
  }
  assert.equal(expect(await pep.ask('evaluation', foreign), 200).decision, false)
  expect(await writ.operator.manage('POST', `/agents/${agent.clientId}/retire`, { reason: 'x' }), 200)
  assert.equal((await file([more[1] as object, more[0] as object])).body.code, 'not_requestable')
})
