// openid-client against the authority over real sockets, as its documentation has it: discovery, grant, use, end.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { protect, require } from '@writ/sdk/resource/fetch'
import * as client from 'openid-client'
import { secretClient } from '../harness/client.ts'
import { cryptoKeyOf, type Holder, holder, register, resourceAt, site } from './site.ts'

// Loopback without TLS; nothing else of the library's checks is relaxed.
const options = { execute: [client.allowInsecureRequests] }

async function discover(
  issuer: string,
  agent: Holder,
  more: client.DiscoveryRequestOptions = {},
): Promise<client.Configuration> {
  const auth = client.PrivateKeyJwt({ key: await cryptoKeyOf(agent), kid: agent.jwk.kid })
  return client.discovery(new URL(issuer), agent.clientId, undefined, auth, { ...options, ...more })
}

for (const path of ['', '/tenant1', '/region/tenant1']) {
  test(`finds the issuer ${path || 'at the root'} by either algorithm and by the address of a document`, async t => {
    const writ = await site(t, { path })
    const agent = await holder(writ)
    for (const algorithm of ['oidc', 'oauth2'] as const) {
      const found = await discover(writ.issuer, agent, { algorithm })
      assert.equal(found.serverMetadata().issuer, writ.issuer)
    }
    const { origin } = new URL(writ.issuer)
    const document = `${origin}/.well-known/oauth-authorization-server${path}`
    assert.equal((await discover(document, agent)).serverMetadata().issuer, writ.issuer)
  })
}

for (const path of ['', '/tenant1']) {
  test(`obtains a bound token of the issuer ${path || 'at the root'}, uses it, sees it live and ends it`, async t => {
    const writ = await site(t, { path })
    const resource = await resourceAt(t, writ, {
      make(identifier) {
        const guard = protect({ issuer: writ.issuer, resource: identifier, nonce: 'required' })
        const handle = guard(require('read')((_request, { caller }) => Response.json(caller.scopes)))
        return { handle, verifier: guard.verifier }
      },
    })
    const management = `${writ.issuer}/api/v1`
    const grants = { [resource]: ['read', 'write'], [management]: ['writ:tokens:read'] }
    const config = await discover(writ.issuer, await holder(writ, { grants }))
    const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair())
    const tokens = await client.clientCredentialsGrant(config, { resource, scope: 'read' }, { DPoP })
    assert.deepEqual([tokens.token_type, tokens.scope], ['dpop', 'read'])
    assert.ok((tokens.expiresIn() ?? 0) > 0)
    const answer = await client.fetchProtectedResource(
      config,
      tokens.access_token,
      new URL(`${resource}/a?b=c`),
      'GET',
      undefined,
      undefined,
      { DPoP },
    )
    assert.deepEqual(await answer.json(), ['read'])
    const seen = await client.tokenIntrospection(config, tokens.access_token)
    assert.deepEqual([seen.active, seen.aud, seen.token_type], [true, resource, 'DPoP'])
    await client.tokenRevocation(config, tokens.access_token)
    assert.deepEqual(await client.tokenIntrospection(config, tokens.access_token), { active: false })
  })
}

test('is told what was wrong in the terms that it passes on', async t => {
  const writ = await site(t)
  const config = await discover(writ.issuer, await holder(writ))
  const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair())
  await assert.rejects(
    client.clientCredentialsGrant(config, { resource: 'https://other.example' }, { DPoP }),
    {
      status: 400,
      error: 'invalid_target',
    },
  )
  // Agents hold bound tokens only, unless a resource was registered otherwise.
  const management = `${writ.issuer}/api/v1`
  await assert.rejects(client.clientCredentialsGrant(config, { resource: management }), {
    status: 400,
    error: 'invalid_dpop_proof',
  })
})

test('a client with a secret introspects by it', async t => {
  const writ = await site(t)
  const { id, secret } = await secretClient(writ)
  await register(writ, 'https://api.example/v1', { introspection_clients: [id] })
  const found = (auth: client.ClientAuth) =>
    client.discovery(new URL(writ.issuer), id, undefined, auth, options)
  const config = await found(client.ClientSecretBasic(secret))
  assert.deepEqual(await client.tokenIntrospection(config, 'unknown'), { active: false })
  const stranger = await found(client.ClientSecretBasic(`${secret}!`))
  await assert.rejects(client.tokenIntrospection(stranger, 'unknown'), { status: 401 })
})
