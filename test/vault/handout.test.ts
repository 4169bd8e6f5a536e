// Secrets on their way out: to a consumer with a grant for that very secret and its key in hand, and to nobody else.
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { expect, newAgent } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { until } from '../harness/deadline.ts'
import type { Party } from '../harness/party.ts'
import { allOf, canary, grantSecret, newSecret, readSecret } from './secrets.ts'

interface Scene {
  readonly writ: Authority
  readonly agent: Party
  readonly secret: { readonly id: string; readonly uri: string; readonly value: string }
}

/** One agent that may have one secret. */
async function scene(t: TestContext, options: Parameters<typeof authority>[1] = {}): Promise<Scene> {
  const writ = await authority(t, options)
  const agent = await newAgent(writ)
  const secret = await newSecret(writ, { name: 'mail-key', consumers: [agent.clientId], lease_seconds: 30 })
  await grantSecret(writ, agent.clientId, 'mail-key')
  return { writ, agent, secret }
}

const consumersAre = async (writ: Authority, name: string, consumers: readonly string[]) =>
  expect(await writ.operator.manage('PATCH', `/secrets/${name}`, { consumers }), 200)

/** The status, code and text of an answer that must not have the value. */
async function refusedWithout(
  value: string,
  answer: Promise<{ readonly status: number; readonly body: { readonly code?: string } }>,
): Promise<readonly [number, string | undefined]> {
  const { status, body } = await answer
  assert.doesNotMatch(JSON.stringify(body), new RegExp(value))
  return [status, body.code]
}

test('a consumer with a grant reads the secret with its key, and the log says so before it has it', async t => {
  const { writ, agent, secret } = await scene(t)
  const answer = await readSecret(writ, agent, 'mail-key')
  const read = expect(answer, 200)
  assert.deepEqual(
    [read.name, read.version, read.value, read.lease_seconds],
    ['mail-key', 1, secret.value, 30],
  )
  assert.equal(answer.headers.get('cache-control'), 'no-store')
  const lease = Date.parse(read.expires_at) / 1000 - agent.now
  assert.ok(lease > 25 && lease <= 31, `${lease}`)
  const { items } = expect(await writ.operator.manage('GET', '/events?type=secret.read'), 200)
  assert.deepEqual(
    items.map((entry: Record<string, unknown>) => [entry['outcome'], entry['agent'], entry['resource']]),
    [['allowed', agent.clientId, secret.uri]],
  )
  const [version] = expect(await writ.operator.manage('GET', '/secrets/mail-key/versions'), 200).items
  assert.ok([agent.clientId, items[0].instance].includes(version.last_used_by))
  assert.equal(version.used_until, read.expires_at)
})

test('a captured token and proof open nothing a second time, and the log says who tried', async t => {
  const { writ, agent, secret } = await scene(t)
  const token = await agent.token(secret.uri, 'secret:read')
  const dpop = agent.proof(secret.uri, { method: 'GET', accessToken: token })
  const replay = async () => {
    const answer = await writ.fetch(secret.uri, { headers: { authorization: `DPoP ${token}`, dpop } })
    return { status: answer.status, body: (await answer.json()) as { code?: string } }
  }
  assert.equal((await replay()).status, 200)
  assert.deepEqual(await refusedWithout(secret.value, replay()), [401, 'invalid_dpop_proof'])
  const { items } = expect(await writ.operator.manage('GET', '/events?type=secret.read'), 200)
  assert.deepEqual(items.map(readingOf), [
    ['allowed', agent.clientId, secret.uri, 'scope'],
    ['refused', agent.clientId, secret.uri, 'proof_replayed'],
  ])
})

interface Entry {
  readonly outcome: string
  readonly agent: string
  readonly resource: string
  readonly decision: { readonly rule: string }
}

const readingOf = ({ outcome, agent, resource, decision }: Entry) => [outcome, agent, resource, decision.rule]

test('neither a grant without being a consumer nor being a consumer without a grant is enough', async t => {
  const { writ, secret } = await scene(t)
  const granted = await newAgent(writ)
  await grantSecret(writ, granted.clientId, 'mail-key')
  assert.deepEqual(await refusedWithout(secret.value, readSecret(writ, granted, 'mail-key')), [
    403,
    'access_denied',
  ])
  const consumer = await newAgent(writ)
  await consumersAre(writ, 'mail-key', [consumer.clientId])
  await assert.rejects(readSecret(writ, consumer, 'mail-key'), /invalid_(scope|target)|no token/)
  const { items } = expect(await writ.operator.manage('GET', '/events?type=secret.read'), 200)
  assert.deepEqual(
    items.map((entry: Record<string, unknown>) => [entry['outcome'], entry['agent']]),
    [['refused', granted.clientId]],
  )
})

test('a token for another secret, another resource or the management API opens nothing', async t => {
  const { writ, agent, secret } = await scene(t)
  const other = await newSecret(writ, { name: 'other', consumers: [agent.clientId] })
  await grantSecret(writ, agent.clientId, 'other')
  const forOther = await agent.token(other.uri, 'secret:read')
  const forAll = await writ.operator.token(`${writ.issuer}/api/v1`, 'writ:*')
  const attempts = [
    agent.call('GET', secret.uri, { token: forOther }),
    writ.operator.call('GET', secret.uri, { token: forAll }),
    agent.call('POST', secret.uri, { token: forOther }),
    agent.call('DELETE', `${secret.uri}/leases/lea_${'0'.repeat(26)}`, { token: forOther }),
  ]
  for (const attempt of attempts) {
    assert.deepEqual(await refusedWithout(secret.value, attempt), [401, 'invalid_token'])
  }
})

test('a token in other hands opens nothing: as a bearer, without a proof, with the proof of another key', async t => {
  const { writ, agent, secret } = await scene(t)
  const thief = await newAgent(writ)
  const token = await agent.token(secret.uri, 'secret:read')
  const ask = async (headers: Record<string, string>) => {
    const answer = await writ.fetch('/vault/mail-key', { headers })
    return { status: answer.status, body: (await answer.json()) as { code?: string } }
  }
  const proofOf = (who: Party, method = 'GET') => who.proof('/vault/mail-key', { method, accessToken: token })
  const used = proofOf(agent)
  assert.equal((await ask({ authorization: `DPoP ${token}`, dpop: used })).status, 200)
  const attempts = [
    ask({ authorization: `Bearer ${token}` }),
    ask({ authorization: `DPoP ${token}` }),
    ask({ authorization: `DPoP ${token}`, dpop: proofOf(thief) }),
    ask({ authorization: `DPoP ${token}`, dpop: proofOf(agent, 'POST') }),
    ask({ authorization: `DPoP ${token}`, dpop: used }),
    ask({}),
  ]
  for (const attempt of attempts) assert.equal((await refusedWithout(secret.value, attempt))[0], 401)
  const bearer = await agent.tokenRequest({ resource: secret.uri }, { dpop: '' })
  assert.notEqual(bearer.status, 200)
})

test('no other spelling of a name is the name', async t => {
  const { writ, agent, secret } = await scene(t)
  const token = await agent.token(secret.uri, 'secret:read')
  const spellings = [
    '/vault/Mail-Key',
    '/vault/mail%2dkey',
    '/vault/mail-key%00',
    '/vault/other/..%2fmail-key',
    '/vault/other%2f..%2fmail-key',
    '/vault/%EF%BD%8Dail-key',
    '/vault/mail-key.',
    '/vault//mail-key',
    '/vault/mail-key/',
    '/vault/..%2fvault%2fmail-key',
  ]
  for (const spelling of spellings) {
    const url = `${writ.issuer}${spelling}`
    const dpop = agent.proof(url, { method: 'GET', accessToken: token })
    const answer = await writ.fetch(url, { headers: { authorization: `DPoP ${token}`, dpop } })
    const text = await answer.text()
    assert.ok(answer.status === 401 || answer.status === 404, `${spelling}: ${answer.status} ${text}`)
    assert.doesNotMatch(text, new RegExp(secret.value))
  }
})

const endings: Record<string, (scene: Scene) => Promise<unknown>> = {
  'its agent is suspended': ({ writ, agent }) =>
    writ.operator.manage('POST', `/agents/${agent.clientId}/suspend`, { reason: 'x' }),
  'its agent is retired': ({ writ, agent }) =>
    writ.operator.manage('POST', `/agents/${agent.clientId}/retire`, { reason: 'x' }),
  'its grant is taken back': async ({ writ, agent }) => {
    const { items } = expect(await writ.operator.manage('GET', `/grants?agent=${agent.clientId}`), 200)
    return writ.operator.manage('DELETE', `/grants/${items[0].id}`)
  },
  'it is no consumer any more': ({ writ }) => consumersAre(writ, 'mail-key', []),
  'the secret is retired': ({ writ }) =>
    writ.operator.manage('POST', '/secrets/mail-key/retire', { reason: 'x' }),
}

for (const [what, end] of Object.entries(endings)) {
  test(`a token that was good opens nothing from the instant at which ${what}`, async t => {
    const known = await scene(t)
    const { agent, secret } = known
    const token = await agent.token(secret.uri, 'secret:read')
    expect(await agent.call('GET', secret.uri, { token }), 200)
    await end(known)
    const [status] = await refusedWithout(secret.value, agent.call('GET', secret.uri, { token }))
    assert.ok(status === 401 || status === 403, `${status}`)
  })
}

test('consumers read the next version once it is in use, and the former ends after the last lease of it', async t => {
  const { writ, agent, secret } = await scene(t, { drainSeconds: 1 })
  expect(await writ.operator.manage('PATCH', '/secrets/mail-key', { lease_seconds: 3 }), 200)
  expect(await readSecret(writ, agent, 'mail-key'), 200)
  const next = canary()
  const given = expect(await writ.operator.manage('POST', '/secrets/mail-key/versions', { value: next }), 201)
  const rotation = expect(await writ.operator.manage('GET', `/rotations/${given.rotation}`), 200)
  assert.equal(rotation.drain.users.length, 1)
  const read = expect(await readSecret(writ, agent, 'mail-key'), 200)
  assert.deepEqual([read.version, read.value], [2, next])
  await until('the former is retired', 30, async () => {
    const { state } = expect(await writ.operator.manage('GET', `/rotations/${given.rotation}`), 200)
    return state === 'retired'
  })
  const { items } = expect(await writ.operator.manage('GET', '/secrets/mail-key/versions'), 200)
  assert.ok(Date.parse(items[0].state_at) >= Date.parse(items[0].used_until), 'the lease was over')
  assert.notEqual(read.value, secret.value)
})

test('twenty reads and a new version at once: whoever got the former is among its users', async t => {
  const { writ, agent, secret } = await scene(t)
  const token = await agent.token(secret.uri, 'secret:read')
  const reads = Array.from({ length: 20 }, () => agent.call('GET', secret.uri, { token }))
  const given = writ.operator.manage('POST', '/secrets/mail-key/versions', { value: canary() })
  const answers = await Promise.all(reads)
  expect(await given, 201)
  for (const answer of answers) assert.ok([200, 503].includes(answer.status), JSON.stringify(answer.body))
  const former = answers.filter(({ body }) => body.version === 1)
  const [first] = expect(await writ.operator.manage('GET', '/secrets/mail-key/versions'), 200).items
  assert.equal(first.last_used_at !== null, former.length > 0)
})

test('the value stands nowhere but in its one answer: in no log line, list, audit entry or repeated answer', async t => {
  const lines: unknown[] = []
  const observer = {
    request: (line: unknown) => void lines.push(line),
    bug: (bug: unknown) => void lines.push(bug),
  }
  const log = (...line: unknown[]) => void lines.push(line)
  const { writ, agent, secret } = await scene(t, { around: { observer, log } })
  expect(await readSecret(writ, agent, 'mail-key'), 200)
  const next = canary()
  const key = { 'idempotency-key': 'again' }
  for (let times = 0; times < 2; times += 1) {
    const body = { value: next }
    const answer = await writ.operator.manage('POST', '/secrets/mail-key/versions', body, key)
    assert.doesNotMatch(JSON.stringify(expect(answer, 201)), new RegExp(next))
  }
  const shown = [
    await allOf(writ, '/events'),
    await allOf(writ, '/secrets'),
    await allOf(writ, '/rotations'),
    await allOf(writ, '/resources'),
    lines.map(String),
    JSON.stringify(lines),
  ]
  for (const value of [secret.value, next]) assert.doesNotMatch(JSON.stringify(shown), new RegExp(value))
})

test('no file of the server has the value', async t => {
  const { writ, agent, secret } = await scene(t)
  expect(await readSecret(writ, agent, 'mail-key'), 200)
  const folder = folderOf(writ)
  let bytes = 0
  for (const file of readdirSync(folder)) {
    const content = readFileSync(join(folder, file))
    bytes += content.length
    assert.equal(content.includes(secret.value), false, file)
  }
  assert.ok(bytes > 10_000, 'there is a database')
})

/** The one among the folders of running tests that has this authority's operator. */
function folderOf({ operator }: Authority): string {
  const folders = readdirSync(tmpdir()).filter(name => name.startsWith('writ-test-'))
  const found = folders.find(name => {
    const file = join(tmpdir(), name, 'operator.json')
    return existsSync(file) && readFileSync(file, 'utf8').includes(operator.clientId)
  })
  return join(tmpdir(), found ?? 'nowhere')
}
