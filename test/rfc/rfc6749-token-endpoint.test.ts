// RFC 6749 at the token endpoint, from outside: parameters, scopes, errors.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api, newAgent, registerApi } from '../harness/agent.ts'
import { authority } from '../harness/authority.ts'
import { assertionType } from '../harness/party.ts'
import { verifies } from './verifies.ts'

test('a client that shows an assertion and a header at once is refused', async t => {
  verifies('RFC6749-2.3-1')
  const a = await authority(t)
  const answer = await a.operator.tokenRequest({}, { authorization: 'Basic YTpi' })
  assert.equal(answer.status, 400)
  assert.equal(answer.body.error, 'invalid_request')
})

test('a client that tries a header is told that it is not open, in the scheme that it used', async t => {
  verifies('RFC6749-5.2-5')
  const a = await authority(t)
  const tried = async (authorization: string): Promise<(number | string | null)[]> => {
    const answer = await a.operator.post('/token', { grant_type: 'client_credentials' }, { authorization })
    return [answer.status, answer.body.error, answer.headers.get('www-authenticate')]
  }
  const realm = `realm="${a.issuer}"`
  assert.deepEqual(await tried('Basic YTpi'), [401, 'invalid_client', `Basic ${realm}`])
  assert.deepEqual(await tried('Bearer abc'), [401, 'invalid_client', `Bearer ${realm}`])
  // What is no scheme is not repeated.
  assert.deepEqual(await tried('x"y="z" YTpi'), [401, 'invalid_client', null])
  const silent = await a.operator.post('/token', { grant_type: 'client_credentials' })
  assert.equal(silent.headers.get('www-authenticate'), null)
})

test('the token endpoint takes POST only and says so', async t => {
  verifies('RFC6749-3.2-1')
  const a = await authority(t)
  for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
    const answer = await a.fetch('/token?grant_type=client_credentials', { method })
    assert.equal(answer.status, 405, method)
    assert.match(answer.headers.get('allow') ?? '', /POST/)
  }
})

test('an empty parameter counts as absent and an unknown one changes nothing', async t => {
  verifies('RFC6749-3.2-2', 'RFC6749-3.2-3')
  const a = await authority(t)
  await registerApi(a)
  const agent = await newAgent(a, { scopes: ['all'] })
  const empty = await agent.tokenRequest({ resource: api, scope: '', unheard_of: 'x' })
  assert.equal(empty.status, 200)
  assert.equal(empty.body.scope, 'read write')
  assert.equal((await agent.tokenRequest({ resource: api, grant_type: '' })).body.error, 'invalid_request')
})

test('a repeated parameter is refused, whichever it is and whatever its values', async t => {
  verifies('RFC6749-3.2-4')
  const a = await authority(t)
  await registerApi(a)
  const agent = await newAgent(a, { scopes: ['all'] })
  for (const name of ['scope', 'grant_type', 'client_assertion_type', 'unheard_of']) {
    const standard: Record<string, string> = {
      grant_type: 'client_credentials',
      client_assertion_type: assertionType,
    }
    const value = standard[name] ?? 'read'
    const answer = await agent.tokenRequest({ resource: api, [name]: [value, value] })
    assert.equal(answer.status, 400, name)
    assert.equal(answer.body.error, 'invalid_request', name)
  }
})

test('leaving scope out yields every granted leaf that is not sensitive', async t => {
  verifies('RFC6749-3.3-1')
  const a = await authority(t)
  await registerApi(a)
  const agent = await newAgent(a, { scopes: ['all', 'erase'] })
  assert.equal((await agent.tokenRequest({ resource: api })).body.scope, 'read write')
  assert.equal((await agent.tokenRequest({ resource: api, scope: 'erase' })).body.scope, 'erase')
})

test('an agent without a grant gets a token that says who it is and carries no scope', async t => {
  verifies('RFC6749-3.3-1')
  const a = await authority(t)
  await registerApi(a)
  const agent = await newAgent(a)
  const answer = await agent.tokenRequest({ resource: api })
  assert.equal(answer.status, 200)
  assert.equal('scope' in answer.body, false)
})

test('a scope that is malformed, unknown or not granted is refused as a whole', async t => {
  verifies('RFC6749-3.3-2')
  const a = await authority(t)
  await registerApi(a)
  const agent = await newAgent(a, { scopes: ['read'] })
  for (const scope of [
    'write',
    'read write',
    'all',
    'unheard',
    'Read',
    'read\u00a0x',
    '"read"',
    'read read',
  ]) {
    const answer = await agent.tokenRequest({ resource: api, scope })
    assert.equal(answer.status, 400, scope)
    assert.equal(answer.body.error, 'invalid_scope', scope)
  }
})

test('a bundle expands to its leaves', async t => {
  verifies('RFC6749-3.3-1')
  const a = await authority(t)
  await registerApi(a)
  const agent = await newAgent(a, { scopes: ['all'] })
  assert.equal((await agent.tokenRequest({ resource: api, scope: 'all' })).body.scope, 'read write')
  assert.equal((await agent.tokenRequest({ resource: api, scope: 'write' })).body.scope, 'write')
})

test('a request without client authentication is refused', async t => {
  verifies('RFC6749-4.4.2-1')
  const a = await authority(t)
  const nonce = await a.operator.nonce()
  const form = { grant_type: 'client_credentials', client_id: a.operator.clientId }
  const answer = await a.operator.post('/token', form, { dpop: a.operator.proof('/token', { nonce }) })
  assert.equal(answer.status, 401)
  assert.equal(answer.body.error, 'invalid_client')
})

test('a good answer names token, type and life and is not stored', async t => {
  verifies('RFC6749-5.1-1')
  const a = await authority(t)
  const answer = await a.operator.tokenRequest({ scope: 'writ:*' })
  assert.equal(answer.status, 200)
  assert.equal(typeof answer.body.access_token, 'string')
  assert.equal(answer.body.token_type, 'DPoP')
  assert.equal(answer.body.expires_in, 300)
  assert.equal(answer.headers.get('cache-control'), 'no-store')
})

test('an unknown grant type and a missing one are told apart', async t => {
  verifies('RFC6749-5.2-1', 'RFC6749-5.2-2')
  const a = await authority(t)
  assert.equal(
    (await a.operator.tokenRequest({ grant_type: 'password' })).body.error,
    'unsupported_grant_type',
  )
  assert.equal((await a.operator.tokenRequest({ grant_type: [] })).body.error, 'invalid_request')
})

test('every cause of a failed client authentication is answered alike', async t => {
  verifies('RFC6749-5.2-3', 'RFC6749-5.2-4')
  const a = await authority(t)
  await registerApi(a)
  const agent = await newAgent(a, { scopes: ['read'] })
  const other = await newAgent(a)
  const answers = [
    await agent.tokenRequest({ client_assertion: 'x' }),
    await agent.tokenRequest({
      client_assertion: agent.assertion({ iss: 'agt_unheard', sub: 'agt_unheard' }),
    }),
    await agent.tokenRequest({
      client_assertion: other.assertion({ iss: agent.clientId, sub: agent.clientId }),
    }),
    await agent.tokenRequest({ client_assertion: agent.assertion({ aud: 'https://other.example' }) }),
    await agent.tokenRequest({ client_assertion_type: 'urn:x' }),
  ]
  await a.operator.manage('POST', `/agents/${agent.clientId}/suspend`, { reason: 'test' })
  answers.push(await agent.tokenRequest({ resource: api }))
  for (const { status, body, headers } of answers) {
    assert.equal(status, 401)
    assert.deepEqual(body, {
      error: 'invalid_client',
      error_description: 'The client could not be authenticated.',
    })
    assert.equal(headers.get('cache-control'), 'no-store')
    assert.equal(headers.get('content-type'), 'application/json')
  }
})

test('a body of another type, too large, compressed or badly encoded is refused with its own error', async t => {
  verifies('RFC6749-5.2-4')
  const a = await authority(t)
  const form = 'application/x-www-form-urlencoded'
  const cases: [Record<string, string>, string, number, string][] = [
    [{ 'content-type': 'application/json' }, '{}', 415, 'unsupported_media_type'],
    [{ 'content-type': form, 'content-encoding': 'gzip' }, 'a=b', 415, 'unsupported_media_type'],
    [{ 'content-type': form }, `a=${'x'.repeat(70_000)}`, 413, 'request_too_large'],
    [{ 'content-type': form }, 'a=%zz', 400, 'invalid_request'],
    [{ 'content-type': form }, 'a=%ff', 400, 'invalid_request'],
  ]
  for (const [headers, body, status, code] of cases) {
    const answer = await a.fetch('/token', { method: 'POST', headers, body })
    assert.equal(answer.status, status, code)
    assert.equal(((await answer.json()) as { error: string }).error, code)
  }
})
