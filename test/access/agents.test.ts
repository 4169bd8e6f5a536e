// Agents through the management API: created without any access, stopped at once, and never what they must not become.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import { type Authority, authority } from '../harness/authority.ts'
import { newAgent } from './roles.ts'

const create = (writ: Authority, members: Record<string, unknown> = {}) =>
  writ.operator.manage('POST', '/agents', {
    name: 'billing',
    owner: writ.operator.clientId,
    purpose: 'Pays invoices',
    ...members,
  })

test('an agent is created active, with what was said of it, and can be read where its Location points', async t => {
  const writ = await authority(t)
  const described = {
    kind: 'autonomous',
    model: 'm-1',
    provider: 'Example',
    version: '7',
    labels: { team: 'finance' },
    expires_at: '2100-01-01T00:00:00+02:00',
  }
  const created = await create(writ, described)
  assert.equal(created.status, 201)
  assert.match(created.body.id, /^agt_/)
  assert.equal(created.body.status, 'active')
  assert.equal(created.headers.get('location'), `${writ.issuer}/api/v1/agents/${created.body.id}`)
  for (const [name, value] of Object.entries({ ...described, expires_at: '2099-12-31T22:00:00.000Z' })) {
    assert.deepEqual(created.body[name], value, name)
  }
  const read = await writ.operator.manage('GET', `/agents/${created.body.id}`)
  assert.deepEqual(read.body, created.body)
  assert.equal(read.headers.get('etag'), created.headers.get('etag'))
})

test('a new agent has no access: it obtains no token for anything', async t => {
  const writ = await authority(t)
  const { party } = await newAgent(writ, 'fresh')
  const answer = await party.tokenRequest({ resource: `${writ.issuer}/api/v1`, scope: 'writ:agents:read' })
  assert.deepEqual([answer.status, answer.body.error], [400, 'invalid_scope'])
})

test('members that nobody may set are refused by their name, and nothing is created (threat C37)', async t => {
  const writ = await authority(t)
  for (const member of [
    'id',
    'status',
    'created_at',
    'scopes',
    'grants',
    'client_id',
    'tenant',
    'constructor',
    'toString',
  ]) {
    const answer = await create(writ, { [member]: 'x' })
    assert.deepEqual([answer.status, answer.body.code], [400, 'invalid_request'], member)
    assert.ok(answer.body.detail.includes(member), answer.body.detail)
  }
  const listed = await writ.operator.manage('GET', '/agents')
  assert.deepEqual(
    listed.body.items.map((agent: { name: string }) => agent.name),
    ['operator'],
  )
})

test('values that are wrong are refused with the name of their member', async t => {
  const writ = await authority(t)
  const wrong: Record<string, readonly unknown[]> = {
    name: ['', 'bіlling', 'a\u202eb', 'x'.repeat(129), 7, null],
    owner: ['agt_00000000000000000000000000', 'nobody', '', 7],
    purpose: ['', ' ', 'a\u0000', 'x'.repeat(513)],
    kind: ['robot', 'Vendor:x', 'vendor:', ':x', 'a:b c'],
    labels: [
      { 'Bad Name': 'x' },
      { a: 'ä' },
      { a: 1 },
      'x',
      Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`l${i}`, ''])),
    ],
    expires_at: ['2000-01-01T00:00:00Z', '2100-01-01', 'tomorrow', 4102444800, '2100-02-30T00:00:00Z'],
    jwks: [{ keys: [] }, { keys: [7] }, {}, { keys: [{}], more: 1 }],
  }
  for (const [member, values] of Object.entries(wrong)) {
    for (const value of values) {
      const answer = await create(writ, { [member]: value })
      assert.ok([400, 422].includes(answer.status), `${member} ${JSON.stringify(value)}: ${answer.status}`)
      assert.ok(answer.body.detail.includes(member) || answer.body.code === 'invalid_key', answer.body.detail)
    }
  }
})

test('an owner is the operator or a person: neither another agent nor the agent itself', async t => {
  const writ = await authority(t)
  const { id } = await newAgent(writ, 'first')
  const other = await create(writ, { owner: id })
  assert.equal(other.status, 422)
  const itself = await writ.operator.manage('PATCH', `/agents/${id}`, { owner: id })
  assert.equal(itself.status, 422)
  const ada = await writ.operator.manage('POST', '/people', { login: 'Ada' })
  const byLogin = await create(writ, { owner: 'ada' })
  assert.equal(byLogin.body.owner, ada.body.id)
  await writ.operator.manage('POST', `/people/${ada.body.id}/suspend`, { reason: 'left' })
  assert.equal((await create(writ, { owner: 'ada' })).status, 422)
})

test('a change needs the version that was read, where the caller names one, and clears what is null', async t => {
  const writ = await authority(t)
  const created = await create(writ, { model: 'm-1' })
  const path = `/agents/${created.body.id}`
  const etag = created.headers.get('etag') ?? ''
  const changed = await writ.operator.manage(
    'PATCH',
    path,
    { model: null, name: 'billing 2' },
    { 'if-match': etag },
  )
  assert.deepEqual([changed.status, changed.body.model, changed.body.name], [200, null, 'billing 2'])
  const late = await writ.operator.manage('PATCH', path, { name: 'late' }, { 'if-match': etag })
  assert.deepEqual([late.status, late.body.code], [409, 'conflict'])
  const malformed = await writ.operator.manage('PATCH', path, { name: 'late' }, { 'if-match': 'W/"1"' })
  assert.equal(malformed.status, 400)
  assert.equal((await writ.operator.manage('GET', path)).body.name, 'billing 2')
})

test('suspend, resume and retire follow their table, keep the reason, and retirement is final', async t => {
  const writ = await authority(t)
  const { body } = await create(writ)
  const move = async (verb: string) => {
    const answer = await writ.operator.manage('POST', `/agents/${body.id}/${verb}`, { reason: `to ${verb}` })
    return answer.status === 200 ? [answer.body.status, answer.body.status_reason] : answer.status
  }
  assert.equal(await move('resume'), 409)
  assert.deepEqual(await move('suspend'), ['suspended', 'to suspend'])
  assert.equal(await move('suspend'), 409)
  assert.deepEqual(await move('resume'), ['active', 'to resume'])
  assert.deepEqual(await move('retire'), ['retired', 'to retire'])
  for (const verb of ['suspend', 'resume', 'retire']) assert.equal(await move(verb), 409)
  assert.equal((await writ.operator.manage('PATCH', `/agents/${body.id}`, { name: 'again' })).status, 409)
  assert.equal((await writ.operator.manage('POST', `/agents/${body.id}/enrollments`)).status, 409)
  assert.equal((await writ.operator.manage('GET', `/agents/${body.id}`)).body.status, 'retired')
})

test('a stop needs a reason', async t => {
  const writ = await authority(t)
  const { body } = await create(writ)
  for (const sent of [undefined, {}, { reason: '' }, { reason: 7 }, { reason: 'x', force: true }]) {
    const answer = await writ.operator.manage('POST', `/agents/${body.id}/suspend`, sent)
    assert.ok([400, 422].includes(answer.status), JSON.stringify(sent))
  }
  assert.equal((await writ.operator.manage('GET', `/agents/${body.id}`)).body.status, 'active')
})

test('a nearer end reaches the tokens that were issued before it was known', async t => {
  const writ = await authority(t)
  const { id, party } = await newAgent(writ, 'administrator')
  const resource = `${writ.issuer}/api/v1`
  await writ.operator.manage('POST', '/grants', {
    agent: id,
    resource,
    scopes: ['writ:agents:read'],
    reason: 'x',
  })
  const token = await party.token(resource)
  assert.equal((await party.call('GET', `${resource}/agents`, { token })).status, 200)
  const soon = new Date(writ.nowMs() + 60_000).toISOString()
  assert.equal((await writ.operator.manage('PATCH', `/agents/${id}`, { expires_at: soon })).status, 200)
  assert.equal((await party.call('GET', `${resource}/agents`, { token })).status, 401)
  assert.equal(
    (await party.call('GET', `${resource}/agents`, { token: await party.token(resource) })).status,
    200,
  )
  writ.advance(61)
  await assert.rejects(party.token(resource), /invalid_client/)
})

test('the operator cannot end itself, hand itself over, or be taken for anybody else', async t => {
  const writ = await authority(t)
  const { operator } = writ
  for (const verb of ['suspend', 'retire']) {
    assert.equal(
      (await operator.manage('POST', `/agents/${operator.clientId}/${verb}`, { reason: 'x' })).status,
      409,
    )
  }
  const ada = await operator.manage('POST', '/people', { login: 'ada' })
  assert.equal(
    (await operator.manage('PATCH', `/agents/${operator.clientId}`, { owner: ada.body.id })).status,
    409,
  )
  assert.equal(
    (await operator.manage('PATCH', `/agents/${operator.clientId}`, { expires_at: '2100-01-01T00:00:00Z' }))
      .status,
    409,
  )
})

test('lists go through all agents in the order of creation, whatever the page, and filter by what is asked', async t => {
  const writ = await authority(t)
  const made: string[] = [writ.operator.clientId]
  for (const name of ['a', 'b', 'c', 'd', 'e']) made.push((await create(writ, { name })).body.id)
  await writ.operator.manage('POST', `/agents/${made[2]}/suspend`, { reason: 'x' })
  const seen: string[] = []
  let query = '?limit=2'
  for (;;) {
    const page = await writ.operator.manage('GET', `/agents${query}`)
    seen.push(...page.body.items.map((agent: { id: string }) => agent.id))
    if (page.body.next === null) break
    query = `?limit=2&after=${page.body.next}`
  }
  assert.deepEqual(seen, made)
  const suspended = await writ.operator.manage('GET', '/agents?status=suspended')
  assert.deepEqual(
    suspended.body.items.map((agent: { id: string }) => agent.id),
    [made[2]],
  )
  for (const query of [
    '?limit=201',
    '?limit=0',
    '?limit=x',
    '?limit=1&limit=2',
    '?status=gone',
    '?after=agt_x',
    '?colour=red',
  ]) {
    const answer = await writ.operator.manage('GET', `/agents${query}`)
    assert.ok([400, 422].includes(answer.status), `${query}: ${answer.status}`)
  }
})

test('an enrolment token is shown once, stored as a hash, and its instance is listed', async t => {
  const writ = await authority(t)
  const { body } = await create(writ)
  const made = await writ.operator.manage('POST', `/agents/${body.id}/enrollments`)
  assert.equal(made.status, 201)
  assert.match(made.body.token, /^writ_enr_[\w-]{43}$/)
  assert.equal(made.body.enroll_uri, `${writ.issuer}/enroll`)
  const pair = generateKeyPair('Ed25519')
  const party = writ.party('', pair.secret.reveal() as unknown as Record<string, unknown>)
  const enrolled = await writ.fetch('/enroll', {
    method: 'POST',
    headers: { 'content-type': 'application/json', dpop: party.proof('/enroll') },
    body: JSON.stringify({ token: made.body.token, jwk: pair.verify.jwk }),
  })
  assert.equal(enrolled.status, 201)
  const instances = await writ.operator.manage('GET', `/agents/${body.id}/instances`)
  assert.deepEqual(
    instances.body.items.map((one: { origin: string }) => one.origin),
    ['enrolled'],
  )
  const events = await writ.operator.manage('GET', `/events?agent=${body.id}`)
  assert.ok(events.body.items.some((entry: { type: string }) => entry.type === 'enrollment.created'))
  assert.equal(JSON.stringify(events.body).includes(made.body.token), false)
})

test('instances and keys of an agent are listed page by page, in the order in which they came', async t => {
  const writ = await authority(t)
  const { id } = (await create(writ)).body
  const registered: string[] = []
  for (let count = 0; count < 5; count++) {
    const { verify } = generateKeyPair('ES256')
    const made = await writ.operator.manage('POST', `/agents/${id}/keys`, { jwk: verify.jwk })
    registered.push(made.body.thumbprint)
  }
  for (const [list, name] of [
    ['keys', 'thumbprint'],
    ['instances', 'id'],
  ] as const) {
    const path = `/agents/${id}/${list}`
    const seen: string[] = []
    const sizes: number[] = []
    for (let after: string | null = ''; after !== null; ) {
      const query: string = after === '' ? 'limit=2' : `limit=2&after=${after}`
      const { status, body } = await writ.operator.manage('GET', `${path}?${query}`)
      assert.equal(status, 200)
      seen.push(...body.items.map((item: Record<string, string>) => item[name]))
      sizes.push(body.items.length)
      after = body.next
    }
    assert.deepEqual(sizes, [2, 2, 1])
    assert.equal(new Set(seen).size, 5)
    if (list === 'keys') assert.deepEqual(seen, registered)
    assert.equal((await writ.operator.manage('GET', path)).body.next, null)
    for (const wrong of ['limit=0', 'limit=201', 'after=nobody'])
      assert.equal((await writ.operator.manage('GET', `${path}?${wrong}`)).status >= 400, true, wrong)
  }
})
