// RFC 6749 §2.3.1 and RFC 7617 from outside: clients that prove themselves by a secret, in the header or in the body.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api, newAgent, registerApi } from '../harness/agent.ts'
import { authority } from '../harness/authority.ts'
import { basic, postForm, secretClient } from '../harness/client.ts'
import { verifies } from './verifies.ts'

test('a client introspects by its secret in the header, form-encoded or plain', async t => {
  verifies('RFC6749-2.3.1-1')
  const writ = await authority(t)
  const { id, secret } = await secretClient(writ)
  await registerApi(writ, { introspection_clients: [id] })
  const agent = await newAgent(writ, { scopes: ['read'] })
  const token = await agent.token(api, 'read')
  const everything = (text: string) =>
    [...Buffer.from(text)].map(byte => `%${byte.toString(16).padStart(2, '0')}`).join('')
  for (const encode of [undefined, (text: string) => text, everything]) {
    for (const scheme of ['Basic', 'basic', 'BASIC']) {
      const authorization = basic(id, secret, encode).replace('Basic', scheme)
      const { status, body } = await postForm(writ, '/introspect', { token }, { authorization })
      assert.deepEqual([status, body.active, body.sub], [200, true, agent.clientId])
    }
  }
  const named = { token, client_id: id }
  assert.equal((await postForm(writ, '/introspect', named, { authorization: basic(id, secret) })).status, 200)
})

test('a client introspects by its secret in the body, and not in the way it is not registered for', async t => {
  verifies('RFC6749-2.3-1')
  const writ = await authority(t)
  const post = await secretClient(writ, { token_endpoint_auth_method: 'client_secret_post' })
  const header = await secretClient(writ)
  const asked = (client: typeof post) => ({ client_id: client.id, client_secret: client.secret, token: 'x' })
  const answer = await postForm(writ, '/introspect', asked(post))
  assert.deepEqual([answer.status, answer.body], [200, { active: false }])
  assert.equal((await postForm(writ, '/revoke', asked(post))).status, 200)
  for (const other of [
    await postForm(writ, '/introspect', asked(header)),
    await postForm(writ, '/introspect', { token: 'x' }, { authorization: basic(post.id, post.secret) }),
  ]) {
    assert.deepEqual([other.status, other.body.error], [401, 'invalid_client'])
  }
  // Both at once is one too many, even where each is right.
  for (const both of [post, header]) {
    const authorization = basic(both.id, both.secret)
    const { status, body } = await postForm(writ, '/introspect', asked(both), { authorization })
    assert.deepEqual([status, body.error], [400, 'invalid_request'])
  }
})

test('a refusal names the scheme that was tried, and says the same whatever was wrong', async t => {
  verifies('RFC6749-2.3.1-3')
  const writ = await authority(t)
  const { id, secret } = await secretClient(writ)
  assert.match(secret, /^writ_cs_[\w-]{43}$/)
  const tried = [
    basic(id, `${secret}x`),
    basic(id, secret.toUpperCase()),
    basic(`${id.slice(0, -1)}0`, secret),
    basic(writ.operator.clientId, secret),
    basic('', secret),
    basic(id, ''),
    'Basic',
    'Basic !!!',
  ]
  const bodies = new Set<string>()
  for (const authorization of tried) {
    const answer = await postForm(writ, '/introspect', { token: 'x' }, { authorization })
    assert.equal(answer.status, 401, authorization)
    assert.equal(answer.headers.get('www-authenticate'), `Basic realm="${writ.issuer}"`)
    bodies.add(JSON.stringify(answer.body))
  }
  assert.equal(bodies.size, 1)
})

test('credentials in the address are none', async t => {
  verifies('RFC6749-2.3.1-2')
  const writ = await authority(t)
  const { id, secret } = await secretClient(writ, { token_endpoint_auth_method: 'client_secret_post' })
  const query = new URLSearchParams({ client_id: id, client_secret: secret })
  for (const path of ['/introspect', '/revoke', '/token']) {
    const { status, body } = await postForm(writ, `${path}?${query}`, {
      token: 'x',
      grant_type: 'client_credentials',
    })
    assert.deepEqual([status, body.error], [401, 'invalid_client'], path)
  }
})
