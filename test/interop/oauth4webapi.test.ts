// oauth4webapi against the authority over real sockets: discovery, tokens, introspection, revocation, and its verifier.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { protect, require } from '@writ/sdk/resource/fetch'
import * as oauth from 'oauth4webapi'
import type { Authority } from '../harness/authority.ts'
import { secretClient } from '../harness/client.ts'
import { cryptoKeyOf, type Holder, holder, register, resourceAt, site } from './site.ts'

// Loopback without TLS; nothing else of the library's checks is relaxed.
const insecure = { [oauth.allowInsecureRequests]: true } as const
const api = 'https://api.example/v1'

async function discover(issuer: string, algorithm: 'oauth2' | 'oidc' = 'oauth2') {
  const url = new URL(issuer)
  return oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { algorithm, ...insecure }))
}

/** A client as its author would write it: one retry when a server wants a nonce, which the handle then knows. */
async function clientOf(writ: Authority, agent: Holder, proofAlg = 'ES256') {
  const as = await discover(writ.issuer)
  const client: oauth.Client = { client_id: agent.clientId }
  const auth = oauth.PrivateKeyJwt({ key: await cryptoKeyOf(agent), kid: agent.jwk.kid })
  const DPoP = oauth.DPoP(client, await oauth.generateKeyPair(proofAlg))
  const again = async <T>(attempt: () => Promise<T>): Promise<T> => {
    try {
      return await attempt()
    } catch (error) {
      if (!oauth.isDPoPNonceError(error)) throw error
      return attempt()
    }
  }
  const token = (parameters: Record<string, string>) =>
    again(async () => {
      const answer = await oauth.clientCredentialsGrantRequest(as, client, auth, parameters, {
        DPoP,
        ...insecure,
      })
      return oauth.processClientCredentialsResponse(as, client, answer)
    })
  const call = (accessToken: string, url: string, method = 'GET') =>
    again(() =>
      oauth.protectedResourceRequest(accessToken, method, new URL(url), undefined, undefined, {
        DPoP,
        ...insecure,
      }),
    )
  const introspect = async (accessToken: string) =>
    oauth.processIntrospectionResponse(
      as,
      client,
      await oauth.introspectionRequest(as, client, auth, accessToken, insecure),
    )
  const revoke = async (accessToken: string) =>
    oauth.processRevocationResponse(await oauth.revocationRequest(as, client, auth, accessToken, insecure))
  return { as, DPoP, token, call, introspect, revoke }
}

function operatorOf({ operator }: Authority): Holder {
  const jwk = operator.key.key.export({ format: 'jwk' })
  return { clientId: operator.clientId, jwk: { ...jwk, alg: 'ES256', kid: operator.key.jkt } }
}

/** The challenge that a refused call carries. */
async function challengeOf(
  call: Promise<unknown>,
): Promise<{ status: number; parameters: Record<string, string> }> {
  try {
    await call
  } catch (error) {
    assert.ok(error instanceof oauth.WWWAuthenticateChallengeError, String(error))
    const [challenge] = error.cause
    assert.equal(challenge?.scheme, 'dpop')
    return { status: error.status, parameters: challenge.parameters as Record<string, string> }
  }
  return assert.fail('the call was not refused')
}

for (const path of ['', '/tenant1']) {
  test(`finds the issuer ${path || 'at the root'} in both of its documents`, async t => {
    const { issuer } = await site(t, { path })
    for (const algorithm of ['oauth2', 'oidc'] as const) {
      const as = await discover(issuer, algorithm)
      assert.equal(as.issuer, issuer)
      assert.equal(as.token_endpoint, `${issuer}/token`)
    }
  })
}

for (const alg of ['ES256', 'Ed25519'] as const) {
  test(`obtains a bound token with ${alg} keys across a nonce, uses it, sees it live, ends it and sees it dead`, async t => {
    const writ = await site(t)
    const management = `${writ.issuer}/api/v1`
    const grants = { [management]: ['writ:agents:read', 'writ:tokens:read'] }
    const { DPoP, token, call, introspect, revoke } = await clientOf(
      writ,
      await holder(writ, { alg, grants }),
      alg,
    )
    const issued = await token({ resource: management, scope: 'writ:agents:read' })
    assert.equal(issued.token_type, 'dpop')
    assert.equal(issued.scope, 'writ:agents:read')
    assert.ok(issued.expires_in !== undefined && issued.expires_in > 0)
    const answer = await call(issued.access_token, `${management}/agents?limit=5`)
    assert.equal(answer.status, 200)
    const seen = await introspect(issued.access_token)
    assert.deepEqual(
      [seen.active, seen.aud, seen.scope, seen.cnf],
      [true, management, 'writ:agents:read', { jkt: await DPoP.calculateThumbprint() }],
    )
    await revoke(issued.access_token)
    assert.deepEqual(await introspect(issued.access_token), { active: false })
    const { status, parameters } = await challengeOf(call(issued.access_token, `${management}/agents`))
    assert.deepEqual([status, parameters['error']], [401, 'invalid_token'])
  })
}

test('is told in the terms of the RFC what was wrong with a request for a token', async t => {
  const writ = await site(t)
  await register(writ, api)
  const { token } = await clientOf(writ, await holder(writ, { grants: { [api]: ['read'] } }))
  const refused = (parameters: Record<string, string>, error: string) =>
    assert.rejects(token(parameters), { code: oauth.RESPONSE_BODY_ERROR, status: 400, error })
  await refused({ resource: api, scope: 'write' }, 'invalid_scope')
  await refused({ resource: 'https://other.example' }, 'invalid_target')
  const stranger = await clientOf(writ, { ...(await holder(writ)), jwk: operatorOf(writ).jwk })
  await assert.rejects(stranger.token({ resource: api }), { status: 401, error: 'invalid_client' })
})

test('its validator accepts our token with the proof of its key, for its own resource only', async t => {
  const writ = await site(t)
  await register(writ, api)
  const agent = await holder(writ, { grants: { [api]: ['read'] } })
  const { as, DPoP, token } = await clientOf(writ, agent)
  const { access_token: accessToken } = await token({ resource: api })
  /** The request that a resource of somebody else would receive. */
  const sent = async (handle = DPoP): Promise<Request> => {
    const received = Promise.withResolvers<Request>()
    const options: oauth.ProtectedResourceRequestOptions = {
      DPoP: handle,
      [oauth.customFetch]: async (url, { method, headers }) => {
        received.resolve(new Request(url, { method, headers }))
        return new Response()
      },
    }
    await oauth.protectedResourceRequest(
      accessToken,
      'GET',
      new URL(`${api}/a`),
      undefined,
      undefined,
      options,
    )
    return received.promise
  }
  const validate = (request: Request, audience = api) =>
    oauth.validateJwtAccessToken(as, request, audience, { requireDPoP: true, ...insecure })
  const claims = await validate(await sent())
  assert.deepEqual(
    [claims.iss, claims.sub, claims.client_id, claims.aud, claims.scope],
    [writ.issuer, agent.clientId, agent.clientId, api, 'read'],
  )
  await assert.rejects(validate(await sent(), 'https://other.example'), /audience/)
  const thief = oauth.DPoP({}, await oauth.generateKeyPair('ES256'))
  await assert.rejects(validate(await sent(thief)), /confirmation mismatch/)
  const bearer = new Request(`${api}/a`, { headers: { authorization: `Bearer ${accessToken}` } })
  await assert.rejects(validate(bearer), oauth.OperationProcessingError)
})

test('a client that knows only the address of an API finds the issuer and gets in', async t => {
  const writ = await site(t)
  const resource = await resourceAt(t, writ, {
    path: '/v1',
    make(identifier) {
      const guard = protect({
        issuer: writ.issuer,
        resource: identifier,
        scopes: ['read'],
        nonce: 'required',
      })
      const handle = guard(require('read')((_request, { caller }) => Response.json({ agent: caller.agent })))
      return { handle, verifier: guard.verifier }
    },
  })
  const agent = await holder(writ, { grants: { [resource]: ['read'] } })
  const { token, call } = await clientOf(writ, agent)
  const { status, parameters } = await challengeOf(
    oauth.protectedResourceRequest('unknown', 'GET', new URL(`${resource}/a`), undefined, undefined, {
      DPoP: oauth.DPoP({}, await oauth.generateKeyPair('ES256')),
      ...insecure,
    }),
  )
  assert.equal(status, 401)
  const url = new URL(resource)
  const discovered = await oauth.resourceDiscoveryRequest(url, insecure)
  assert.equal(parameters['resource_metadata'], discovered.url)
  const about = await oauth.processResourceDiscoveryResponse(url, discovered)
  assert.deepEqual(about.authorization_servers, [writ.issuer])
  assert.equal(about['dpop_bound_access_tokens_required'], true)
  const issued = await token({ resource: about.resource, scope: about.scopes_supported?.join(' ') ?? '' })
  const answer = await call(issued.access_token, `${resource}/a`)
  assert.deepEqual(await answer.json(), { agent: agent.clientId })
})

test('a client with a secret introspects and revokes by it, and is told of its scheme where it is wrong', async t => {
  const writ = await site(t)
  const as = await discover(writ.issuer)
  for (const [method, authOf] of [
    ['client_secret_basic', oauth.ClientSecretBasic],
    ['client_secret_post', oauth.ClientSecretPost],
  ] as const) {
    assert.ok(as.introspection_endpoint_auth_methods_supported?.includes(method))
    const { id, secret } = await secretClient(writ, { token_endpoint_auth_method: method })
    const identifier = `https://api.example/${method}`
    await register(writ, identifier, { introspection_clients: [id] })
    const { token } = await clientOf(writ, await holder(writ, { grants: { [identifier]: ['read'] } }))
    const { access_token } = await token({ resource: identifier })
    const client: oauth.Client = { client_id: id }
    const ask = (auth: oauth.ClientAuth) =>
      oauth.introspectionRequest(as, client, auth, access_token, insecure)
    // This library encodes what stands in a secret of ours, such as its underscores.
    const seen = await oauth.processIntrospectionResponse(as, client, await ask(authOf(secret)))
    assert.deepEqual([seen.active, seen.aud], [true, identifier])
    const revoked = await oauth.revocationRequest(as, client, authOf(secret), access_token, insecure)
    await oauth.processRevocationResponse(revoked)
    await assert.rejects(
      async () => {
        await oauth.processIntrospectionResponse(as, client, await ask(authOf(`${secret}é +%`)))
      },
      method === 'client_secret_basic' ? oauth.WWWAuthenticateChallengeError : oauth.ResponseBodyError,
    )
  }
})
