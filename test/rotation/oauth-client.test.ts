// The secret of a client of another Writ, rotated by RFC 7592: two authorities in processes of their own kind, one client.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { newFolder, serve } from '../cli/process.ts'
import { expect, newAgent } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { basic, postForm, secretClient } from '../harness/client.ts'
import { until } from '../harness/deadline.ts'
import { Party } from '../harness/party.ts'
import { grantSecret, newSecret, readSecret } from '../vault/secrets.ts'

type Upstream = Pick<Authority, 'issuer' | 'operator' | 'fetch'>

/** Another Writ, reached over the network alone. */
async function upstreamWrit(t: TestContext, flags: readonly string[]): Promise<Upstream> {
  const cwd = newFolder(work => t.after(work))
  const served = await serve(['--port', '0', ...flags], { cwd })
  t.after(() => served.end())
  const { issuer } = served
  const ask = (path: string, init?: RequestInit): Promise<Response> =>
    fetch(path.startsWith('http') ? path : `${issuer}${path}`, init)
  const { client_id: clientId, jwk } = JSON.parse(readFileSync(join(cwd, '.writ/operator.json'), 'utf8'))
  return { issuer, fetch: ask, operator: new Party({ issuer, clientId, jwk, fetch: ask, nowMs: Date.now }) }
}

/** The status of an introspection with what a consumer was given. */
async function statusWith(upstream: Upstream, credential: string): Promise<number> {
  const { client_id: id, client_secret: secret } = JSON.parse(credential)
  return (await postForm(upstream, '/introspect', { token: 'x' }, { authorization: basic(id, secret) }))
    .status
}

test('a client of another Writ gets its new secret, hands it out, and the former is drained there', async t => {
  const upstream = await upstreamWrit(t, ['--drain-seconds', '2'])
  const writ = await authority(t, { drainSeconds: 2 })
  const agent = await newAgent(writ)
  const { id, secret, registration } = await secretClient(upstream as Authority)
  const credential = {
    client_id: id,
    client_secret: secret,
    registration_client_uri: registration.uri,
    registration_access_token: registration.token,
  }
  await newSecret(writ, {
    name: 'gate-client',
    consumers: [agent.clientId],
    lease_seconds: 1,
    value: JSON.stringify(credential),
    rotator: { kind: 'oauth-client', options: { tokenEndpoint: `${upstream.issuer}/token` } },
  })
  await grantSecret(writ, agent.clientId, 'gate-client')
  const read = async (): Promise<{ version: number; value: string }> =>
    expect(await readSecret(writ, agent, 'gate-client'), 200)

  const first = await read()
  // Consumers are given what they authenticate with, and not the token that changes the client.
  assert.deepEqual(JSON.parse(first.value), { client_id: id, client_secret: secret })
  assert.equal(await statusWith(upstream, first.value), 200)

  const target = expect(await writ.operator.manage('GET', '/secrets/gate-client'), 200).id
  const asked = { kind: 'secret', target, reason: 'routine' }
  const begun = expect(await writ.operator.manage('POST', '/rotations', asked), 201)
  const second = await until('the new version is given', 30, async () => {
    const given = await read()
    return given.version === 2 && given
  })
  assert.notEqual(second.value, first.value)
  assert.deepEqual(
    [await statusWith(upstream, first.value), await statusWith(upstream, second.value)],
    [200, 200],
  )
  const state = async (): Promise<string> =>
    expect(await writ.operator.manage('GET', `/rotations/${begun.id}`), 200).state
  await until('the rotation has ended here', 30, async () => (await state()) === 'retired')
  const { items } = expect(await upstream.operator.manage('GET', `/rotations?target=${id}`), 200)
  assert.equal(items.length, 1)
  await until('the former secret has ended there', 30, async () => {
    const seen = expect(await upstream.operator.manage('GET', `/rotations/${items[0].id}`), 200)
    return seen.state === 'retired'
  })
  assert.deepEqual(
    [await statusWith(upstream, first.value), await statusWith(upstream, second.value)],
    [401, 200],
  )
})

test('a server that does not take the registration access token leaves the version in use as it was', async t => {
  const upstream = await upstreamWrit(t, [])
  const writ = await authority(t)
  const agent = await newAgent(writ)
  const { id, secret, registration } = await secretClient(upstream as Authority)
  const token = `${registration.token.slice(0, -4)}AAAA`
  await newSecret(writ, {
    name: 'gate-client',
    consumers: [agent.clientId],
    value: JSON.stringify({
      client_id: id,
      client_secret: secret,
      registration_client_uri: registration.uri,
      registration_access_token: token,
    }),
    rotator: { kind: 'oauth-client', options: { tokenEndpoint: `${upstream.issuer}/token` } },
  })
  await grantSecret(writ, agent.clientId, 'gate-client')
  const target = expect(await writ.operator.manage('GET', '/secrets/gate-client'), 200).id
  const begun = expect(
    await writ.operator.manage('POST', '/rotations', { kind: 'secret', target, reason: 'routine' }),
    201,
  )
  const seen = await until('the rotation cannot go on', 30, async () => {
    const rotation = expect(await writ.operator.manage('GET', `/rotations/${begun.id}`), 200)
    return rotation.problem !== null && rotation
  })
  assert.match(seen.problem, /does not take the registration access token any more/)
  assert.ok(!JSON.stringify(seen).includes(secret) && !JSON.stringify(seen).includes(token))
  const given = expect(await readSecret(writ, agent, 'gate-client'), 200)
  assert.deepEqual([given.version, JSON.parse(given.value).client_secret], [1, secret])
  assert.equal(await statusWith(upstream, given.value), 200)
})
