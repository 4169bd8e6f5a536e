// RFC 8414 and its neighbours from outside: what discovery says is there, and in every place where clients look.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { authority } from '../harness/authority.ts'
import { verifies } from './verifies.ts'

const documents = ['oauth-authorization-server', 'openid-configuration', 'writ-configuration']

test('an issuer at the root has its documents at the well-known paths', async t => {
  verifies('RFC8414-3-1', 'RFC8414-3.3-1')
  const a = await authority(t)
  for (const name of documents) {
    const answer = await a.fetch(`/.well-known/${name}`)
    assert.equal(answer.status, 200, name)
    assert.equal(((await answer.json()) as { issuer: string }).issuer, a.issuer)
    assert.equal(answer.headers.get('access-control-allow-origin'), '*')
  }
})

test('an issuer with a path has them inserted and appended', async t => {
  verifies('RFC8414-3-1', 'RFC8414-3.3-1')
  const issuer = 'https://writ.example/tenant1'
  const a = await authority(t, { issuer })
  for (const name of documents) {
    for (const url of [
      `https://writ.example/.well-known/${name}/tenant1`,
      `https://writ.example/tenant1/.well-known/${name}`,
    ]) {
      const answer = await a.fetch(url)
      assert.equal(answer.status, 200, url)
      assert.equal(((await answer.json()) as { issuer: string }).issuer, issuer)
    }
    assert.equal((await a.fetch(`https://writ.example/.well-known/${name}`)).status, 404)
  }
  assert.equal((await a.operator.manage('GET', '/agents')).status, 200)
})

test('every endpoint that is named answers, and none is named that does not', async t => {
  verifies('RFC8414-2-1')
  const a = await authority(t)
  for (const name of documents) {
    const document = (await (await a.fetch(`/.well-known/${name}`)).json()) as Record<string, unknown>
    const urls = Object.entries({ ...document, ...(document['audit'] as object | undefined) }).filter(
      ([member, value]) => typeof value === 'string' && value.startsWith('https://') && member !== 'issuer',
    ) as [string, string][]
    assert.ok(urls.length >= 3)
    for (const [member, url] of urls) {
      // A base of further addresses, and a log that has no checkpoint yet, answer with their own errors.
      const answer = await a.fetch(url)
      const isBase = ['management_api', 'vault', 'tile', 'entries', 'checkpoint'].includes(member)
      assert.notEqual(answer.status, 500, member)
      if (!isBase) assert.notEqual(answer.status, 404, member)
      await answer.body?.cancel()
    }
  }
})

test('the lists of the metadata are those of the tables', async t => {
  verifies('RFC8414-2-1')
  const a = await authority(t)
  const document = (await (await a.fetch('/.well-known/oauth-authorization-server')).json()) as Record<
    string,
    unknown
  >
  assert.deepEqual(document['grant_types_supported'], ['client_credentials'])
  assert.deepEqual(document['token_endpoint_auth_methods_supported'], [
    'private_key_jwt',
    'client_secret_basic',
    'client_secret_post',
  ])
  assert.deepEqual(document['code_challenge_methods_supported'], ['S256'])
  assert.deepEqual(document['dpop_signing_alg_values_supported'], ['ES256', 'Ed25519', 'EdDSA'])
  for (const absent of ['authorization_endpoint', 'registration_endpoint'])
    assert.equal(absent in document, false)
})
