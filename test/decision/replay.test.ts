// Replay: what recorded decisions would be under other policies, and what of them nobody can say any more.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { signJws } from '@writ/sdk/protocol/jws'
import { api, expect, newAgent, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import type { Party } from '../harness/party.ts'
import { type EnforcementPoint, enforcementPoint } from './point.ts'
import { enforce } from './policies.ts'

interface Scene {
  readonly writ: Authority
  readonly point: EnforcementPoint
  readonly agent: Party
  ask(action: string, context?: Record<string, unknown>, members?: Record<string, unknown>): Promise<string>
}

/** `pay` needs the scope `write`, and its amount is recorded. */
const actions = {
  read: { any_of: ['read'] },
  pay: { any_of: ['write'], recorded: ['amount', 'lines', 'note'] },
}

async function scene(t: TestContext, map: object = actions): Promise<Scene> {
  const writ = await authority(t)
  await registerApi(writ, { actions: map })
  // What the map says now is what it said then only where it is older than what it is held against.
  writ.advance(60)
  const [point, agent] = [await enforcementPoint(writ), await newAgent(writ, { scopes: ['read', 'write'] })]
  return {
    writ,
    point,
    agent,
    async ask(action, context = {}, members = {}) {
      const subject = { type: 'agent', id: agent.clientId }
      const resource = { type: 'resource', id: api }
      const body = { subject, action: { name: action }, resource, context, ...members }
      const answer = await point.ask('evaluation', body)
      return `${expect(answer, 200).decision} ${answer.headers.get('x-request-id')}`
    },
  }
}

async function replay(writ: Authority, source: string, members: Record<string, unknown> = {}) {
  const since = new Date(writ.nowMs() - 7 * 86_400_000).toISOString()
  const body = { source, since, ...members }
  const answer = expect(await writ.operator.manage('POST', '/policies/replay', body), 200)
  const left = Map.groupBy(answer.unknown, (one: { why: string }) => one.why)
  const not_replayed = [...left].map(([why, those]) => ({ why, decisions: those.length }))
  return { ...answer, not_replayed }
}

const forbid = (condition: string, action = 'pay'): string =>
  `@id("new") forbid (principal is Writ::Agent, action == Writ::Action::"${action}", resource) when { ${condition} };`

test('every answer that would change is listed with who, what, and both sets of reasons', async t => {
  const { writ, agent, ask } = await scene(t)
  const [decision, request] = (await ask('read', { peer: '203.0.113.9' })).split(' ')
  assert.equal(decision, 'true')
  await ask('read', { peer: '10.1.2.3' })
  const source = forbid('!(context has peer && context.peer.isInRange(ip("10.0.0.0/8")))', 'read')
  const { decisions, changed, not_replayed, next } = await replay(writ, source)
  assert.deepEqual([decisions, changed.length, not_replayed, next], [2, 1, [], null])
  const [{ event, time, ...change }] = changed
  assert.deepEqual(change, {
    item: null,
    request_id: request,
    count: 1,
    subject: `agent:${agent.clientId}`,
    on_behalf_of: [],
    action: 'read',
    resource: api,
    object: null,
    before: { decision: true, rule: 'granted', policies: ['writ.granted'], policy_version: 0 },
    after: { decision: false, rule: 'policy:new', party: agent.clientId, policies: ['new'] },
  })
  const entry = expect(await writ.operator.manage('GET', `/events/${event}`), 200)
  assert.deepEqual([entry.request_id, entry.time], [request, time])
})

test('what is proposed decides: the set in force is not asked, and nothing is stored', async t => {
  const { writ, ask } = await scene(t)
  await enforce(writ, forbid('true', 'read'))
  assert.match(await ask('read'), /^false/)
  const { changed } = await replay(writ, '')
  assert.deepEqual(
    changed.map(({ before, after }: Record<string, { decision: boolean; rule: string }>) => [
      before?.decision,
      before?.rule,
      after?.decision,
      after?.rule,
    ]),
    [[false, 'policy:new', true, null]],
  )
  assert.equal(expect(await writ.operator.manage('GET', '/policies'), 200).items.length, 1)
  assert.match(await ask('read'), /^false/)
})

test('what is proposed to be forbidden is forbidden in other letters too', async t => {
  const { writ, ask } = await scene(t)
  await ask('read', {}, { resource: { type: 'http', id: `${api}#/Admin/` } })
  const source = `@id("admin") forbid (principal, action, resource == Writ::Object::"${api}#http:/admin");`
  const { changed } = await replay(writ, source)
  assert.deepEqual(
    changed.map(({ after }: { after: { rule: string } }) => after.rule),
    ['policy:writ.spelling'],
  )
})

test('policies lift no refusal of another kind', async t => {
  const { writ, agent, ask } = await scene(t)
  assert.match(await ask('erase'), /^false/)
  const halt = { kind: 'agent', target: agent.clientId, reason: 'test' }
  const { id } = expect(await writ.operator.manage('POST', '/halts', halt), 201)
  assert.match(await ask('read'), /^false/)
  expect(await writ.operator.manage('POST', `/halts/${id}/lift`, { reason: 'test' }), 200)
  const permit = '@id("all") permit (principal, action, resource);'
  assert.deepEqual((await replay(writ, permit)).changed, [])
})

test('the instant of the decision counts, not that of the replay', async t => {
  const { writ, ask } = await scene(t)
  await ask('read')
  const until = new Date(writ.nowMs() + 60_000).toISOString().replace(/\.\d+Z/, 'Z')
  writ.advance(120)
  await ask('read')
  const { changed } = await replay(writ, forbid(`context.now >= datetime("${until}")`, 'read'))
  assert.equal(changed.length, 1)
  assert.ok(Date.parse(changed[0].time) > Date.parse(until))
})

test('an argument that was recorded is replayed, down to its members; one that was not is counted', async t => {
  const { writ, ask } = await scene(t)
  await ask('pay', { arguments: { amount: 50, iban: 'DE02' } })
  await ask('pay', { arguments: { amount: 5000, lines: [{ price: 7 }] } })
  const dear = forbid(
    'context.arguments.hasTag("amount") && context.arguments.getTag("amount") has number && context.arguments.getTag("amount").number > 100',
  )
  const { changed, not_replayed } = await replay(writ, dear)
  assert.deepEqual([changed.length, not_replayed], [1, []])
  const within = forbid('context.arguments.hasTag("lines/0/price")')
  assert.equal((await replay(writ, within)).changed.length, 1)
  const unrecorded = await replay(writ, forbid('context.arguments.hasTag("iban")'))
  assert.deepEqual(
    [unrecorded.changed, unrecorded.not_replayed],
    [[], [{ why: 'the argument iban was not recorded', decisions: 2 }]],
  )
  // Only policies that could matter to a call count: nothing of its arguments is asked of a read.
  await ask('read')
  assert.deepEqual((await replay(writ, forbid('context.arguments.hasTag("iban")', 'read'))).not_replayed, [
    { why: 'the argument iban was not recorded', decisions: 1 },
  ])
})

test('nobody supposes what was cut, redacted, or recorded under another map', async t => {
  const { writ, ask } = await scene(t)
  const secret = 'k'.repeat(64)
  await ask('pay', { arguments: { note: secret } })
  await ask('pay', { arguments: { note: 'x y '.repeat(200) } })
  const noted = forbid('context.arguments.hasTag("note")')
  assert.deepEqual((await replay(writ, noted)).not_replayed, [
    { why: 'the argument note was not recorded', decisions: 2 },
  ])
  await ask('pay', { arguments: { amount: 1 } })
  const second = await replay(writ, noted)
  assert.deepEqual([second.changed, second.not_replayed[0].decisions], [[], 2])
  // The map is changed: whether it named the argument then is not known any more.
  const { items } = expect(await writ.operator.manage('GET', '/resources'), 200)
  const { id } = items.find((resource: { identifier: string }) => resource.identifier === api)
  expect(await writ.operator.manage('PATCH', `/resources/${id}`, { name: 'API, renamed' }), 200)
  assert.equal((await replay(writ, noted)).not_replayed[0].decisions, 3)
})

test('an argument whose name has an equals sign, or is as long as a secret, is replayed like any other', async t => {
  const long = 'a_name_as_long_as_the_random_part_of_a_secret_'.repeat(2)
  const { writ, ask } = await scene(t, { pay: { any_of: ['write'], recorded: ['a=b', long] } })
  assert.match(await ask('pay', { arguments: { 'a=b': 5, [long]: 6 } }), /^true/)
  for (const name of ['a=b', long]) {
    const { changed, not_replayed } = await replay(writ, forbid(`context.arguments.hasTag("${name}")`))
    assert.deepEqual([changed.length, not_replayed], [1, []], name)
  }
  const { changed, not_replayed } = await replay(writ, forbid('context.arguments.hasTag("a")'))
  assert.deepEqual([changed, not_replayed], [[], [{ why: 'the argument a was not recorded', decisions: 1 }]])
})

test('attributes that somebody claimed are not recorded, and a decision that had none is replayed', async t => {
  const { writ, agent, ask } = await scene(t)
  const subject = { type: 'agent', id: agent.clientId, properties: { team: 'red' } }
  await ask('read', {}, { subject })
  await ask('read')
  const { changed, not_replayed } = await replay(
    writ,
    forbid('!(principal.hasTag("team") && principal.getTag("team").text == "red")', 'read'),
  )
  assert.deepEqual(
    [changed.length, not_replayed],
    [1, [{ why: 'claimed attributes are not recorded', decisions: 1 }]],
  )
})

test('items of a batch are replayed each, people in whose name it was asked included', async t => {
  const { writ, point, agent } = await scene(t)
  const { id: person } = expect(await writ.operator.manage('POST', '/people', { login: 'ada' }), 201)
  await enforce(writ, `@id("ada") permit (principal == Writ::Person::"${person}", action, resource);`)
  const answer = await point.ask('evaluations', {
    subject: { type: 'agent', id: agent.clientId },
    resource: { type: 'resource', id: api },
    context: { chain: [{ type: 'person', id: person }] },
    evaluations: [{ action: { name: 'read' } }, { action: { name: 'pay' } }, { action: { name: 'erase' } }],
  })
  assert.deepEqual(
    expect(answer, 200).evaluations.map(({ decision }: { decision: boolean }) => decision),
    [true, true, false],
  )
  const only = `@id("reads") permit (principal == Writ::Person::"${person}", action == Writ::Action::"read", resource);`
  const { decisions, changed } = await replay(writ, only)
  assert.equal(decisions, 3)
  assert.deepEqual(
    changed.map(({ item, action, on_behalf_of, after }: Record<string, unknown>) => [
      item,
      action,
      on_behalf_of,
      after,
    ]),
    [
      [
        1,
        'pay',
        [`person:${person}`],
        { decision: false, rule: 'policy:no_permit', party: person, policies: [] },
      ],
    ],
  )
})

test('as many items as a batch may have fit one entry, and each is replayed with what all have alike', async t => {
  const { writ, point, agent } = await scene(t)
  const note = 'a hundred of these are many letters '.repeat(5)
  const answer = await point.ask('evaluations', {
    subject: { type: 'agent', id: agent.clientId },
    action: { name: 'pay' },
    context: { peer: '203.0.113.9', task: 'payday', arguments: { amount: 5, note, lines: [note] } },
    evaluations: Array.from({ length: 100 }, (_, at) =>
      at === 7 ? { action: 1 } : { resource: { type: 'tool', id: `${api}#pay_somebody_${at}` } },
    ),
  })
  assert.equal(expect(answer, 200).evaluations.length, 100)
  const source = forbid(
    `context.task == "payday" && context.peer.isInRange(ip("203.0.113.0/24")) && context.arguments.hasTag("amount") && resource == Writ::Tool::"${api}#pay_somebody_99"`,
  ).replace('context.task ==', 'context has task && context has peer && context.task ==')
  const { decisions, changed } = await replay(writ, source)
  assert.deepEqual([decisions, changed.map(({ item }: { item: number }) => item)], [99, [99]])
})

test('a set of which very many policies decide is answered and recorded', async t => {
  const { writ, point } = await scene(t)
  const policies = Array.from(
    { length: 200 },
    (_, at) => `@id("one-of-many-policies-${at}") forbid (principal is Writ::Subject, action, resource);`,
  )
  await enforce(writ, policies.join('\n'))
  const answer = await point.ask('evaluations', {
    subject: { type: 'user', id: 'mallory' },
    resource: { type: 'resource', id: api },
    evaluations: Array.from({ length: 50 }, (_, at) => ({ action: { name: `a${at}` } })),
  })
  assert.equal(expect(answer, 200).evaluations.length, 50)
  const { changed } = await replay(writ, '@id("all") permit (principal, action, resource);')
  assert.deepEqual([changed.length, changed[0].before.policies.length], [50, 16])
})

test('a page ends after two thousand decisions, and the next one goes on with the entry behind it', async t => {
  const { writ, point, agent } = await scene(t)
  const evaluations = Array.from({ length: 100 }, () => ({}))
  for (let at = 0; at < 22; at += 1) {
    const subject = { type: 'agent', id: agent.clientId }
    const resource = { type: 'resource', id: api }
    const body = { subject, resource, action: { name: 'read' }, evaluations }
    expect(await point.ask('evaluations', body), 200)
  }
  const source = forbid('true', 'read')
  const first = await replay(writ, source)
  assert.deepEqual([first.decisions, first.changed.length], [2000, 2000])
  const second = await replay(writ, source, { after: first.next })
  assert.deepEqual([second.decisions, second.next], [200, null])
})

test('risk is that of the decision, not that of today', async t => {
  const { writ, agent, ask } = await scene(t)
  const risk = { subject: agent.clientId, score: 80, reason: 'odd' }
  await ask('read')
  expect(await writ.operator.manage('POST', '/risks', risk), 200)
  await ask('read')
  expect(await writ.operator.manage('POST', '/risks', { ...risk, score: 0 }), 200)
  const { changed } = await replay(writ, forbid('context.risk > 50', 'read'))
  assert.equal(changed.length, 1)
})

/** What the resource says of an answer that it gave again from its memory. */
async function report({ writ, point, agent }: Scene, item: Record<string, unknown>): Promise<void> {
  const now = Math.floor(writ.nowMs() / 1000)
  const items = [
    {
      subject: { type: 'agent', id: agent.clientId },
      action: { name: 'read' },
      resource: { type: 'resource', id: api },
      count: 3,
      first_at: now - 5,
      last_at: now,
      ...item,
    },
  ]
  const { key, clientId } = point.party
  const header = { typ: 'decision-report+jwt', kid: key.jwk.kid ?? key.jkt }
  const claims = { iss: clientId, aud: writ.issuer, batch: randomUUID(), items }
  expect(await point.ask('reports', { report: signJws(header, claims, key) }), 200)
}

test('what a resource gave again from its memory is replayed with the question that was asked first', async t => {
  const at = await scene(t)
  const { writ, ask } = at
  const [, request] = (await ask('read', { peer: '203.0.113.9', key_age: 100 })).split(' ')
  writ.advance(60)
  await report(at, { decided_by: request })
  const source = forbid('context has peer && context.peer == ip("203.0.113.9")', 'read')
  const { decisions, changed } = await replay(writ, source)
  assert.deepEqual([decisions, changed.map(({ count }: { count: number }) => count)], [4, [1, 3]])
  assert.equal(changed[1].after.rule, 'policy:new')
  // The window has the report alone: the question stands before it.
  const since = new Date(writ.nowMs() - 30_000).toISOString()
  assert.deepEqual((await replay(writ, source, { since })).decisions, 3)
  // The key had grown older until it was given for the last time.
  const old = await replay(writ, forbid('context has keyAge && context.keyAge > 150', 'read'))
  assert.deepEqual(
    old.changed.map(({ count }: { count: number }) => count),
    [3],
  )
})

test('a report of what was never decided so is unknown, and told as such', async t => {
  const at = await scene(t)
  const { writ, agent, ask } = at
  const [, request] = (await ask('read')).split(' ')
  const [, refused] = (await ask('erase')).split(' ')
  await report(at, { decided_by: randomUUID() })
  await report(at, { decided_by: request, action: { name: 'pay' } })
  await report(at, { decided_by: refused, action: { name: 'erase' } })
  const { changed, unknown } = await replay(writ, '')
  assert.deepEqual(changed, [])
  assert.deepEqual(
    unknown.map(({ subject, action, count, why }: Record<string, unknown>) => [subject, action, count, why]),
    ['read', 'pay', 'erase'].map(action => [
      agent.clientId,
      action,
      3,
      'the decision that was given again is not in the log',
    ]),
  )
})

test('a resource that is gone says nothing about its calls any more', async t => {
  const { writ, ask } = await scene(t)
  await ask('read')
  const { items } = expect(await writ.operator.manage('GET', '/resources'), 200)
  const { id } = items.find((resource: { identifier: string }) => resource.identifier === api)
  const { status } = await writ.operator.manage('DELETE', `/resources/${id}`)
  assert.equal(status, 204)
  assert.deepEqual((await replay(writ, forbid('true', 'read'), { actions: ['read'] })).not_replayed, [
    { why: 'the resource is not registered any more', decisions: 1 },
  ])
})

test('pages add up to the whole, and a set that is not valid replays nothing', async t => {
  const { writ, ask } = await scene(t)
  for (let at = 0; at < 5; at += 1) await ask('read')
  const source = forbid('true', 'read')
  const seen: string[] = []
  for (let after: string | null | undefined; after !== null; ) {
    const page = await replay(writ, source, { limit: 2, ...(after === undefined ? {} : { after }) })
    seen.push(...page.changed.map(({ event }: { event: string }) => event))
    after = page.next
  }
  assert.equal(new Set(seen).size, 5)
  const since = new Date(writ.nowMs()).toISOString()
  const bad = [
    { source: 'permit (', since },
    { source: '' },
    { source: '', since, limit: 501 },
    { source: '', since, until: since },
  ]
  for (const body of bad) {
    const { status } = await writ.operator.manage('POST', '/policies/replay', body)
    assert.ok([400, 422].includes(status), `${status}`)
  }
})
