// Denials filed as requests: what is bound to what, and every way to bind it to something else (AuthZEN ARAP).
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import { type AgentId, newId } from '@writ/sdk/protocol/identifier'
import { planApprove } from '../../approvals/judging.ts'
import type { Ctx } from '../../context.ts'
import { type AccessRequest, accessRequestOf, type Wire } from '../../decision/access-request.ts'
import type { Decided } from '../../decision/decided.ts'
import { approvalFor } from '../../domain/authorization/approved-operation.ts'
import type { Question, Refusal } from '../../domain/authorization/question.ts'
import { hashParts } from '../../domain/hash.ts'
import { openStore } from '../../store/sql/open.ts'
import type { Answer } from '../operation.ts'
import { perform } from '../perform.ts'
import { Place } from '../testing/place.ts'
import { accessRequestOperations } from './access-requests.ts'

const api = 'https://api.example'

class Desk extends Place {
  /** Who was denied; what files is always the operator. */
  pep: AgentId = this.operator
  agent: AgentId = this.operator
  laterSeconds = 0

  override get ctx(): Ctx {
    const { now, ...rest } = super.ctx
    const later = now + (this.laterSeconds ?? 0)
    return { ...rest, now: later, nowMs: later * 1000 }
  }

  override get deps() {
    // Another MAC for another text, as keys have it.
    const nonceMac = (_scope: unknown, input: string) => hashParts('test-key', input)
    return { ...super.deps, keys: { nonceMac, states: () => [] } }
  }

  denied(wire: Wire = evaluation, more: Partial<Decided> = {}): AccessRequest {
    const found = accessRequestOf(this.ctx, this.deps, {
      question: this.question(),
      wire,
      decided: this.refused(more),
      askedBy: this.pep,
      evaluation: 'r',
    })
    assert.ok(found !== undefined)
    return found
  }

  question(): Question {
    const { nowMs } = this.ctx
    return {
      subject: { kind: 'agent', id: this.agent, instance: null },
      chain: [],
      operation: {
        action: 'call',
        resource: api,
        object: { type: 'tool', id: 'pay' },
        arguments: { amount: 7 },
      },
      foreign: null,
      ceiling: null,
      context: {
        nowMs,
        peer: null,
        session: null,
        task: null,
        authenticationAge: null,
        keyAge: null,
        key: null,
        approval: null,
        amounts: {},
      },
      claimed: { subject: {}, object: {}, context: {} },
    }
  }

  refused(more: Partial<Decided> = {}, refusal: Partial<Refusal> = {}): Decided {
    return {
      allowed: false,
      refusal: { party: this.agent, by: 'grant', rule: 'none', say: 'x', ...refusal },
      grants: [],
      policy: { version: 0, reasons: [] },
      shadow: null,
      spends: [],
      bases: [],
      until: null,
      cacheable: false,
      smallest: { agent: this.agent, resource: api, scopes: ['pay'], authorizationDetails: [] },
      ...more,
    } as Decided
  }

  file(request: AccessRequest, members: Record<string, unknown> = {}, idempotencyKey?: string) {
    const denial = { binding_token: request.binding_token, expires_at: request.expires_at }
    return this.run('access-requests.create', {}, { ...evaluation, denial, ...members }, idempotencyKey)
  }

  /** As the enforcement point; the answer, or the code of the Fault. */
  async run(
    id: string,
    params: Record<string, string>,
    body?: Record<string, unknown>,
    idempotencyKey?: string,
  ): Promise<Answer | string> {
    const operation = accessRequestOperations.find(each => each.id === id)
    assert.ok(operation !== undefined)
    const caller = await this.caller()
    const raw = {
      params,
      query: new URLSearchParams(),
      body: async () => body,
      idempotencyKey,
      ifMatch: undefined,
    }
    try {
      return await perform(this.ctx, this.deps, { operation, caller, raw })
    } catch (error) {
      if (isFault(error)) return error.code
      throw error
    }
  }
}

const evaluation: Wire = {
  subject: { type: 'agent', id: 'agt_x', properties: { act: { sub: 'x' } } },
  action: { name: 'call' },
  resource: { type: 'tool', id: `${api}#pay` },
  context: { arguments: { amount: 7 }, time: 'noon' },
}

async function desk(t: TestContext): Promise<Desk> {
  const store = await openStore({ kind: 'sqlite', file: ':memory:' }, { randomBytes })
  t.after(() => store.close())
  const made = await new Desk(store, 'one').found()
  const scopes = [{ name: 'pay', description: 'Pays' }]
  await made.make('resources.create', { identifier: api, name: 'API', scopes })
  const body = { name: 'a', owner: made.operator, purpose: 'x' }
  made.agent = (await made.make('agents.create', body))['id'] as AgentId
  return made
}

interface Task {
  task: { id: string; status: string; status_endpoint: string; links?: { cancel: string } }
  result?: { mode: string; approval: { id: string; approved_until: string } }
}

function taskIn(answer: Answer | string): Task {
  assert.ok(typeof answer !== 'string', String(answer))
  return answer.body as Task
}

const waiting = async (at: Desk) => (await at.store.approvals.list(at.ctx, { limit: 10 }, {})).items

test('a denial is filed as a task of what it was about, followed and approved, and the approval counts for that', async t => {
  const at = await desk(t)
  const { task } = taskIn(
    await at.file(at.denied(), { context: { ...evaluation.context, business_justification: 'renewal' } }),
  )
  assert.equal(task.status, 'pending')
  assert.equal(task.links?.cancel, `${task.status_endpoint}/cancel`)
  const [found] = await waiting(at)
  assert.ok(found !== undefined)
  assert.deepEqual([found.asked.agent, found.asked.scopes, found.reason], [at.agent, ['pay'], 'renewal'])
  const judge = newId('usr', randomBytes)
  const all = { scopes: undefined, authorizationDetails: undefined, seconds: 60, reason: null }
  const move = await planApprove(at.ctx, at.deps, judge, { found, narrower: all })
  assert.equal(move.grant?.expiresAt, at.ctx.now + 60)
  const entry = { type: 'approval.approved', outcome: 'allowed', requestId: 'r' } as const
  assert.equal((await at.store.commit(at.ctx, { ...move.change, entries: [entry] })).kind, 'done')
  const done = taskIn(await at.run('access-requests.get', { id: task.id }))
  assert.deepEqual(
    [done.task.status, done.result?.mode, done.result?.approval.id],
    ['approved', 'reevaluate', task.id],
  )
  const approval = await at.store.approvals.get(at.ctx, task.id)
  const again = { ...at.question(), context: { ...at.question().context, approval: found.id } }
  assert.ok('fact' in approvalFor(again, approval))
  const other = { ...again, operation: { ...again.operation, arguments: { amount: 8 } } }
  assert.ok('refusal' in approvalFor(other, approval), 'approval of another operation')
})

test('a token that was changed, made up, borrowed or kept too long binds nothing', async t => {
  const at = await desk(t)
  const request = at.denied()
  const [payload = '', mac = ''] = request.binding_token.split('.')
  const forged = JSON.parse(Buffer.from(payload, 'base64url').toString())
  forged.asked.scopes = ['everything']
  const changed = `${Buffer.from(JSON.stringify(forged)).toString('base64url')}.${mac}`
  for (const binding_token of [
    changed,
    payload,
    `${payload}.`,
    `${payload}.${mac}.${mac}`,
    '',
    'x'.repeat(40_000),
  ]) {
    assert.equal(await at.file({ ...request, binding_token }), 'invalid_denial_binding')
  }
  const { pep } = at
  at.pep = newId('agt', randomBytes)
  assert.equal(await at.file(at.denied()), 'invalid_denial_binding', 'that of another caller')
  at.pep = pep
  assert.equal(await at.file(request, { denial: undefined }), 'invalid_denial_binding')
  const endless = { denial: { binding_token: request.binding_token } }
  assert.equal(await at.file(request, endless), 'invalid_denial_binding')
  at.laterSeconds = 601
  assert.equal(await at.file(request), 'expired_denial')
  const later = { denial: { binding_token: request.binding_token, expires_at: '2099-01-01T00:00:00Z' } }
  assert.equal(await at.file(request, later), 'expired_denial', 'the token itself says when')
  assert.deepEqual(await waiting(at), [])
})

test('what is filed is what was denied: every member counts, and only additions to the context do not', async t => {
  const at = await desk(t)
  const request = at.denied()
  const others: readonly Partial<Record<keyof Wire, unknown>>[] = [
    { subject: { type: 'agent', id: 'agt_y' } },
    { subject: { ...evaluation.subject, properties: { role: 'admin' } } },
    { action: { name: 'delete' } },
    { action: { name: 'call', properties: { force: true } } },
    { resource: { type: 'tool', id: `${api}#refund` } },
    { context: { arguments: { amount: 8 } } },
    { context: {} },
  ]
  for (const members of others)
    assert.equal(await at.file(request, members), 'invalid_denial_binding', JSON.stringify(members))
  const moved = {
    subject: { type: 'agent', id: 'agt_x', properties: {} },
    client: { actor: { id: 'agt_x' } },
  }
  const unseen = { ...moved, client: { actor: { id: 'x' } } }
  assert.equal(await at.file(request, unseen), 'invalid_denial_binding', 'nobody vouches for that actor')
  taskIn(await at.file(request, { ...moved, context: { arguments: { amount: 7 }, time: 'one', note: 'x' } }))
})

test('a denial filed again is the same task, also when the task has ended', async t => {
  const at = await desk(t)
  const request = at.denied()
  const first = taskIn(await at.file(request, {}, 'key-1')).task
  assert.equal(taskIn(await at.file(request, {}, 'key-1')).task.id, first.id)
  assert.equal(taskIn(await at.file(request)).task.id, first.id)
  const other = { requested_access: { emergency: true } }
  assert.equal(await at.file(request, other, 'key-1'), 'duplicate_request')
  const cancelled = taskIn(
    await at.run('access-requests.cancel', { id: first.id }, { comment: 'found another way' }),
  )
  assert.equal(cancelled.task.status, 'cancelled')
  assert.equal(taskIn(await at.file(request)).task.status, 'cancelled', 'it does not begin anew')
  assert.equal(await at.run('access-requests.cancel', { id: first.id }, {}), 'invalid_task_state')
  assert.equal((await waiting(at)).length, 1)
  const { type } = await at.lastEntry()
  assert.equal(type, 'approval.cancelled')
})

test('a task is shown to its requester, and to nobody else', async t => {
  const at = await desk(t)
  const { id } = taskIn(await at.file(at.denied())).task
  const found = await at.store.approvals.get(at.ctx, id)
  assert.ok(found !== undefined)
  const { version, ...mine } = found
  const theirs = { ...mine, requestedBy: newId('agt', randomBytes) }
  const entry = { type: 't', outcome: 'allowed', requestId: 'r' } as const
  const puts = [{ put: 'approval', value: theirs, ifVersion: version }] as const
  assert.equal((await at.store.commit(at.ctx, { puts, entries: [entry] })).kind, 'done')
  for (const named of [id, 'apr_00000000000000000000000000', 'nothing']) {
    assert.equal(await at.run('access-requests.get', { id: named }), 'unknown_task')
    assert.equal(await at.run('access-requests.cancel', { id: named }, {}), 'unknown_task')
  }
})

test('time is bounded, and a task that nobody decided is expired, and one day no longer shown', async t => {
  const at = await desk(t)
  const until = (seconds: number) => ({
    requested_access: { requested_until: new Date((at.ctx.now + seconds) * 1000).toISOString() },
  })
  assert.equal(await at.file(at.denied(), until(-1)), 'invalid_request')
  const { id } = taskIn(await at.file(at.denied(), until(30 * 86_400))).task
  assert.equal((await at.store.approvals.get(at.ctx, id))?.asked.seconds, 8 * 3600)
  const taken = taskIn(await at.file(at.denied())).task.id
  taskIn(await at.run('access-requests.cancel', { id: taken }, {}))
  at.laterSeconds = 86_400
  assert.equal(taskIn(await at.run('access-requests.get', { id })).task.status, 'expired')
  assert.equal(taskIn(await at.run('access-requests.get', { id: taken })).task.status, 'cancelled')
  at.laterSeconds = 9 * 86_400
  assert.equal(await at.run('access-requests.get', { id: taken }), 'task_expired')
})

test('callbacks go to the origin of the resource; one that leads inside is refused', async t => {
  const at = await desk(t)
  for (const endpoint of [
    'http://169.254.169.254/latest',
    'https://10.0.0.8/',
    'http://127.0.0.1:1/',
    'https://pep.example/',
  ])
    assert.equal(await at.file(at.denied(), { callback: { endpoint } }), 'invalid_value', endpoint)
  const long = { endpoint: `${api}/told`, state: 'x'.repeat(2000) }
  assert.equal(await at.file(at.denied(), { callback: long }), 'invalid_value')
  const callback = { endpoint: `${api}/told`, state: { flow: 1 }, events: ['approved'] }
  const { id } = taskIn(await at.file(at.denied(), { callback })).task
  const kept = (await at.store.approvals.get(at.ctx, id))?.callback
  assert.deepEqual(kept, {
    endpoint: `${api}/told`,
    state: '{"flow":1}',
    events: ['approved'],
    attempts: 0,
    dueAt: null,
  })
})

test('what nobody could approve is not requestable', async t => {
  const at = await desk(t)
  const request = at.denied()
  const askable = (decided: Decided, question = at.question()) =>
    accessRequestOf(at.ctx, at.deps, {
      question,
      wire: evaluation,
      decided,
      askedBy: at.pep,
      evaluation: 'r',
    }) !== undefined
  for (const by of [
    'halt',
    'standing',
    'session',
    'ceiling',
    'condition',
    'policy',
    'policy_error',
    'budget',
    'resource',
  ] as const)
    assert.equal(askable(at.refused({}, { by })), false, by)
  assert.equal(askable(at.refused({ smallest: null })), false)
  assert.equal(askable(at.refused({ allowed: true, refusal: null })), false)
  assert.equal(askable(at.refused({}, { by: 'approval', rule: 'approval_unverifiable' })), false)
  assert.equal(askable(at.refused({ smallest: null }, { by: 'approval', rule: 'required' })), true)
  assert.equal(askable(at.refused(), { ...at.question(), foreign: { type: 'record', id: '1' } }), false)
  await at.make('agents.retire', { reason: 'x' }, { id: at.agent })
  assert.equal(await at.file(request), 'not_requestable', 'the agent has ended since')
  assert.equal(await at.file(at.denied(), { items: [] }), 'invalid_value')
})
