// Pin: what an issuer says about itself. Clients build on each member; one more or less is a decision.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { createServer } from '@writ/server'

const issuer = 'https://writ.example'
const algorithms = ['ES256', 'Ed25519', 'EdDSA']
const methods = ['private_key_jwt', 'client_secret_basic', 'client_secret_post']

const oauth = {
  issuer,
  token_endpoint: `${issuer}/token`,
  introspection_endpoint: `${issuer}/introspect`,
  revocation_endpoint: `${issuer}/revoke`,
  jwks_uri: `${issuer}/jwks`,
  response_types_supported: [],
  grant_types_supported: ['client_credentials'],
  code_challenge_methods_supported: ['S256'],
  token_endpoint_auth_methods_supported: methods,
  token_endpoint_auth_signing_alg_values_supported: algorithms,
  introspection_endpoint_auth_methods_supported: methods,
  introspection_endpoint_auth_signing_alg_values_supported: algorithms,
  revocation_endpoint_auth_methods_supported: methods,
  revocation_endpoint_auth_signing_alg_values_supported: algorithms,
  dpop_signing_alg_values_supported: algorithms,
  authorization_details_types_supported: ['mcp_tool', 'http', 'sql'],
  agent_claims_supported: [
    'agent_type',
    'agent_model',
    'agent_version',
    'agent_provider',
    'agent_instance_id',
  ],
  agent_types_supported: ['assistant', 'retrieval', 'coding', 'domain_specific', 'autonomous', 'supervised'],
}
const openid = {
  ...oauth,
  subject_types_supported: ['public'],
  id_token_signing_alg_values_supported: ['ES256'],
}
const writ = {
  issuer,
  management_api: `${issuer}/api/v1`,
  openapi: `${issuer}/api/v1/openapi.json`,
  vault: `${issuer}/vault`,
  audit: {
    checkpoint: `${issuer}/audit/checkpoint`,
    tile: `${issuer}/audit/tile`,
    entries: `${issuer}/audit/entries`,
    public_key: 'the verifier key of the log',
  },
  enrollment_endpoint: `${issuer}/enroll`,
  key_rotation_endpoint: `${issuer}/rekey`,
  activation_endpoint: `${issuer}/activations`,
  session_endpoint: `${issuer}/sessions`,
  confirmation_endpoint: `${issuer}/revocations/confirmations`,
  revocation_stream: `${issuer}/revocations`,
  rotation_events: `${issuer}/api/v1/rotations/events`,
  error_reasons: `${issuer}/errors`,
  limits: `${issuer}/limits`,
}

describe('an issuer says about itself what it said before', () => {
  const data = mkdtempSync(join(tmpdir(), 'writ-pin-'))
  let server: Awaited<ReturnType<typeof createServer>>
  before(async () => {
    server = await createServer({ data, issuer })
  })
  after(async () => {
    await server.close()
    rmSync(data, { recursive: true })
  })
  const published = async (name: string): Promise<Record<string, unknown>> => {
    const answer = await server.fetch(new Request(`${issuer}/.well-known/${name}`))
    assert.equal(answer.status, 200)
    return (await answer.json()) as Record<string, unknown>
  }

  test('as an OAuth authorization server', async () => {
    assert.deepEqual(await published('oauth-authorization-server'), oauth)
  })

  test('to clients that look for OpenID Connect', async () => {
    assert.deepEqual(await published('openid-configuration'), openid)
  })

  test('about what is its own', async () => {
    const { audit, ...rest } = (await published('writ-configuration')) as typeof writ
    assert.match(audit.public_key, /^writ\.example\/audit\+[0-9a-f]{8}\+[\w+/=]+$/)
    assert.deepEqual({ ...rest, audit: { ...audit, public_key: writ.audit.public_key } }, writ)
  })
})
