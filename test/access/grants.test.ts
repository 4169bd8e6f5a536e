// Resources and grants through the management API: known names only, nothing unenforced, and ends that arrive.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { newId } from '@writ/sdk/protocol/identifier'
import { type Authority, authority } from '../harness/authority.ts'
import { newAgent } from './roles.ts'

const scopes = [
  { name: 'invoices:read', description: 'Read invoices' },
  { name: 'invoices:pay', description: 'Pay invoices', sensitive: true },
  { name: 'invoices', description: 'Everything', includes: ['invoices:read', 'invoices:pay'] },
]

async function newResource(writ: Authority, members: Record<string, unknown> = {}) {
  return writ.operator.manage('POST', '/resources', {
    identifier: 'https://api.example',
    name: 'API',
    scopes,
    ...members,
  })
}

const grant = (writ: Authority, agent: string, members: Record<string, unknown> = {}) =>
  writ.operator.manage('POST', '/grants', {
    agent,
    resource: 'https://api.example',
    scopes: ['invoices'],
    reason: 'month end',
    ...members,
  })

test('a resource keeps one canonical form, so its second spelling is the same resource', async t => {
  const writ = await authority(t)
  const made = await newResource(writ, { identifier: 'HTTPS://API.example:443/' })
  assert.deepEqual([made.status, made.body.identifier], [201, 'https://api.example'])
  assert.equal((await newResource(writ, { identifier: 'https://api.example' })).status, 409)
  for (const identifier of [
    'api.example',
    'https://api.example/#x',
    '/x',
    'https://a@b.example',
    'https://api.example/%7e',
    '',
  ]) {
    const answer = await newResource(writ, { identifier })
    assert.ok([400, 422].includes(answer.status), identifier)
  }
})

test('scopes that are no hierarchy are refused: unknown members, cycles, names that come twice or are none', async t => {
  const writ = await authority(t)
  const leaf = { name: 'a', description: 'A' }
  const wrong: unknown[] = [
    [leaf, leaf],
    [{ ...leaf, includes: ['b'] }],
    [{ ...leaf, includes: ['a'] }],
    [
      { ...leaf, includes: ['b'] },
      { name: 'b', description: 'B', includes: ['a'] },
    ],
    [{ name: 'a b', description: 'A' }],
    [{ name: 'a"', description: 'A' }],
    [{ name: 'a' }],
    [{ ...leaf, sensitive: 'yes' }],
    [{ ...leaf, grants: [] }],
    'a',
  ]
  for (const given of wrong) {
    const answer = await newResource(writ, { scopes: given })
    assert.ok([400, 422].includes(answer.status), JSON.stringify(given))
  }
})

test('only clients that exist may introspect, and unknown members are refused', async t => {
  const writ = await authority(t)
  const { id } = await newAgent(writ, 'resource server')
  assert.equal(
    (await newResource(writ, { introspection_clients: ['cli_00000000000000000000000000'] })).status,
    422,
  )
  assert.equal((await newResource(writ, { owner: 'me' })).status, 400)
  const made = await newResource(writ, { introspection_clients: [id, id] })
  assert.deepEqual(made.body.introspection_clients, [id])
})

test('a grant is for a known agent, a registered resource and its scopes, from now on', async t => {
  const writ = await authority(t)
  await newResource(writ)
  const { id } = await newAgent(writ, 'billing')
  const wrong: [member: string, value: unknown, named: string][] = [
    ['agent', 'agt_00000000000000000000000000', 'agent'],
    ['agent', 'billing', 'agent'],
    ['resource', 'https://other.example', 'https://other.example'],
    ['scopes', ['invoices:write'], 'invoices:write'],
    ['scopes', [], 'scopes'],
    ['scopes', 'invoices', 'scopes'],
    ['expires_at', '2000-01-01T00:00:00Z', 'expires_at'],
    ['reason', '', 'reason'],
    ['created_by', 'me', 'created_by'],
  ]
  for (const [member, value, named] of wrong) {
    const answer = await grant(writ, id, { [member]: value })
    assert.ok([400, 422].includes(answer.status), `${member} ${JSON.stringify(value)}: ${answer.status}`)
    assert.ok(answer.body.detail.includes(named), answer.body.detail)
  }
  const given = await grant(writ, id, { resource: 'https://API.example/' })
  assert.equal(given.status, 201)
  assert.deepEqual(
    [given.body.resource, given.body.created_by],
    ['https://api.example', writ.operator.clientId],
  )
  assert.equal((await writ.operator.manage('GET', `/grants/${given.body.id}`)).body.status, 'active')
})

test('conditions and details that are not understood are refused by name, and never stored', async t => {
  const writ = await authority(t)
  await newResource(writ)
  const { id } = await newAgent(writ, 'billing')
  const tool = { type: 'mcp_tool', server: 'https://api.example', tool: 'pay' }
  for (const [member, value] of [
    ['condition', {}],
    ['condition', 'context.risk <'],
    ['authorization_details', []],
    ['authorization_details', [{ type: 'x' }]],
    ['authorization_details', [{ ...tool, privileges: ['admin'] }]],
    ['authorization_details', [{ type: 'mcp_tool', tool: 'pay' }]],
    ['authorization_details', [{ ...tool, server: 'https://API.example' }]],
    ['authorization_details', [{ ...tool, server: 'https://other.example' }]],
    ['authorization_details', [tool, tool]],
  ] as const) {
    const answer = await grant(writ, id, { [member]: value })
    assert.ok([400, 422].includes(answer.status), JSON.stringify([value, answer.body]))
    assert.ok(answer.body.detail.includes(member), answer.body.detail)
  }
  assert.deepEqual((await writ.operator.manage('GET', `/grants?agent=${id}`)).body.items, [])
})

test('a grant has scopes, details or both, and shows them; one with neither is refused', async t => {
  const writ = await authority(t)
  await newResource(writ)
  const { id } = await newAgent(writ, 'billing')
  const details = [{ type: 'http', host: 'api.example', methods: ['GET'], path: '/invoices/{id}' }]
  const both = await grant(writ, id, { authorization_details: details })
  assert.deepEqual([both.status, both.body.authorization_details], [201, details])
  const alone = await grant(writ, id, { scopes: undefined, authorization_details: details })
  assert.deepEqual([alone.status, alone.body.scopes], [201, []])
  const shown = await writ.operator.manage('GET', `/grants/${alone.body.id}`)
  assert.deepEqual(shown.body.authorization_details, details)
  assert.equal((await grant(writ, id, { scopes: undefined })).status, 422)
  const ours = { ...details[0], host: 'localhost' }
  const own = {
    resource: `${writ.issuer}/api/v1`,
    scopes: ['writ:agents:read'],
    authorization_details: [ours],
  }
  assert.equal((await grant(writ, id, own)).body.code, 'invalid_value')
})

test('the map of actions grows by one version with each change, and names scopes of the resource alone', async t => {
  const writ = await authority(t)
  const actions = { pay: { any_of: ['invoices:pay'], recorded: ['amount'] } }
  const made = await newResource(writ, { actions })
  assert.deepEqual([made.body.actions, made.body.actions_version], [actions, 1])
  const change = (body: object) => writ.operator.manage('PATCH', `/resources/${made.body.id}`, body)
  const same = await change({ actions, name: 'Invoices' })
  assert.equal(same.body.actions_version, 1)
  const wider = { ...actions, list: { any_of: ['invoices:read', 'invoices'] } }
  assert.equal((await change({ actions: wider })).body.actions_version, 2)
  const emptied = await change({ actions: {} })
  assert.deepEqual([emptied.body.actions, emptied.body.actions_version], [{}, 3])
  assert.equal((await change({ actions })).body.actions_version, 4)
  for (const wrong of [
    { pay: { any_of: ['invoices:shred'] } },
    { pay: { any_of: [] } },
    { pay: { any_of: ['invoices'], scopes: [] } },
    { pay: { any_of: ['invoices'] }, Pay: { any_of: ['invoices'] } },
    { DELETE: { any_of: ['invoices'] } },
    { 'pay\u202e': { any_of: ['invoices'] } },
    { ' pay': { any_of: ['invoices'] } },
  ])
    assert.ok([400, 422].includes((await change({ actions: wrong })).status), JSON.stringify(wrong))
  const scopeless = await change({ scopes: [{ name: 'invoices:read', description: 'Read' }] })
  assert.equal(scopeless.body.code, 'invalid_value')
})

test('a grant gives its leaves, and taking it back kills the tokens that rest on it', async t => {
  const writ = await authority(t)
  await newResource(writ, { introspection_clients: [writ.operator.clientId] })
  const { id, party } = await newAgent(writ, 'billing')
  const given = await grant(writ, id)
  const answer = await party.tokenRequest({ resource: 'https://api.example', scope: 'invoices' })
  assert.equal(answer.body.scope, 'invoices:read invoices:pay')
  const introspected = async () => {
    const form = {
      token: answer.body.access_token,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: writ.operator.assertion(),
    }
    return (await writ.operator.post('/introspect', form)).body.active
  }
  assert.equal(await introspected(), true)
  assert.equal((await writ.operator.manage('DELETE', `/grants/${given.body.id}`)).status, 204)
  assert.equal(await introspected(), false)
  assert.equal((await writ.operator.manage('DELETE', `/grants/${given.body.id}`)).status, 204)
  const ended = await writ.operator.manage('GET', `/grants/${given.body.id}`)
  assert.equal(ended.body.status, 'revoked')
  assert.deepEqual((await writ.operator.manage('GET', `/grants?status=active&agent=${id}`)).body.items, [])
  await assert.rejects(party.token('https://api.example', 'invoices'), /invalid_scope/)
})

test('a scope that is removed, or a resource that is deleted, takes its tokens along', async t => {
  const writ = await authority(t, { maxBodyBytes: 65_536 })
  const made = await newResource(writ)
  const { id, party } = await newAgent(writ, 'billing')
  await grant(writ, id)
  const path = `/resources/${made.body.id}`
  await party.token('https://api.example', 'invoices:pay')
  const head = await writ.server.store.signals.head({ tenant: 'default' as never })
  assert.equal((await writ.operator.manage('PATCH', path, { name: 'API 2' })).status, 200)
  assert.equal(
    await writ.server.store.signals.isNarrowed({ tenant: 'default' as never }, ['https://api.example'], head),
    false,
  )
  assert.equal((await writ.operator.manage('PATCH', path, { scopes: scopes.slice(0, 1) })).status, 200)
  assert.equal(
    await writ.server.store.signals.isNarrowed({ tenant: 'default' as never }, ['https://api.example'], head),
    true,
  )
  await assert.rejects(party.token('https://api.example', 'invoices:pay'), /invalid_scope/)
  assert.equal((await writ.operator.manage('DELETE', path)).status, 204)
  assert.equal((await writ.operator.manage('GET', path)).status, 404)
  await assert.rejects(party.token('https://api.example'), /invalid_target/)
})

test('rights given for a deleted resource do not come back with the next one of its name', async t => {
  const writ = await authority(t)
  const { id, party } = await newAgent(writ, 'billing')
  const first = await newResource(writ)
  await grant(writ, id)
  await writ.operator.manage('DELETE', `/resources/${first.body.id}`)
  await newResource(writ)
  await assert.rejects(party.token('https://api.example', 'invoices:read'), /invalid_scope/)
  assert.deepEqual((await writ.operator.manage('GET', `/grants?status=active&agent=${id}`)).body.items, [])
})

test('a resource with more grants than one change takes is deleted once enough were taken back, as the refusal says', async t => {
  const writ = await authority(t)
  const { body: resource } = await newResource(writ)
  const { id } = await newAgent(writ, 'billing')
  const { body: given } = await grant(writ, id)
  const { store } = writ.server
  const scope = { tenant: 'default' as never, now: writ.operator.now, nowMs: writ.operator.now * 1000 }
  const read = await store.grants.get(scope, given.id)
  assert.ok(read)
  const { version: _, ...value } = read
  // Straight into the store: as many agents through the API would take minutes.
  const puts = Array.from({ length: 900 }, () => ({
    put: 'grant' as const,
    ifVersion: 0,
    value: { ...value, id: newId('grt', randomBytes) },
  }))
  const entries = [{ type: 'test.done', outcome: 'allowed', requestId: 'test' }] as const
  assert.equal((await store.commit(scope, { puts, entries })).kind, 'done')

  const path = `/resources/${resource.id}`
  const refused = await writ.operator.manage('DELETE', path)
  assert.deepEqual([refused.status, refused.body.code], [409, 'conflict'])
  assert.match(refused.body.detail, /900.*GET \/grants\?status=active.*DELETE \/grants\/\{id\}/)
  assert.equal((await writ.operator.manage('GET', path)).status, 200)
  assert.equal((await writ.operator.manage('DELETE', `/grants/${given.id}`)).status, 204)
  assert.equal((await writ.operator.manage('DELETE', path)).status, 204)
  const live = await writ.operator.manage('GET', '/grants?status=active&resource=https://api.example')
  assert.deepEqual(live.body.items, [])
})

test('an agent has at most as many grants for a resource as a token can name', async t => {
  const writ = await authority(t)
  await newResource(writ)
  const { id } = await newAgent(writ, 'billing')
  for (let count = 0; count < 64; count++)
    assert.equal((await grant(writ, id, { reason: `no. ${count}` })).status, 201)
  assert.equal((await grant(writ, id)).status, 409)
})

test('the resource of the management API itself is out of reach: its scopes are what they are', async t => {
  const writ = await authority(t)
  const identifier = `${writ.issuer}/api/v1`
  const found = await writ.operator.manage('GET', `/resources?identifier=${encodeURIComponent(identifier)}`)
  const [{ id }] = found.body.items
  const widened = { scopes: [{ name: 'writ:agents:read', description: 'x', includes: [] }] }
  for (const [method, body] of [
    ['PATCH', widened],
    ['PATCH', { bearer_allowed: true }],
    ['DELETE', undefined],
  ] as const) {
    const answer = await writ.operator.manage(method, `/resources/${id}`, body)
    assert.deepEqual([answer.status, answer.body.code], [403, 'access_denied'])
  }
  assert.equal((await newResource(writ, { identifier })).status, 409)
})
