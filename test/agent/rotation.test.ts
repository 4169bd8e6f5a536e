// The key of an instance rotates: under traffic, through lost answers and crashes, among processes, and by itself.
import assert from 'node:assert/strict'
import { cpSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Agent } from '@writ/sdk/agent'
import { freshDirectory, loadAgent } from './agents.ts'
import { startApi } from './api.ts'
import { startIssuer } from './issuer.ts'
import { fault } from './refusals.ts'

/** Polls until it holds; fails after ten seconds. */
async function until(holds: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 10_000; !holds(); ) {
    assert.ok(Date.now() < deadline, 'it did not come to pass within ten seconds')
    await delay(10)
  }
}

test('not one call fails while the key rotates again and again under traffic', async () => {
  await using issuer = await startIssuer({ tokenSeconds: 6, overlapSeconds: 6 })
  await using api = await startApi(issuer)
  issuer.conduct.grants = { [api.url]: [] }
  api.conduct.nonces = 'required'
  const agent = await loadAgent(issuer)
  await agent.fetch(api.url)
  const statuses: number[] = []
  let isDone = false
  const worker = async (): Promise<void> => {
    while (!isDone) {
      statuses.push((await agent.fetch(api.url)).status)
      await delay(25)
    }
  }
  const workers = Array.from({ length: 50 }, worker)
  const keys = new Set([agent.key().thumbprint])
  for (let rotation = 0; rotation < 6; rotation += 1) {
    await delay(500)
    await agent.rotateKey()
    keys.add(agent.key().thumbprint)
  }
  isDone = true
  await Promise.all(workers)
  assert.equal(keys.size, 7)
  assert.ok(statuses.length > 200, `${statuses.length} calls`)
  assert.deepEqual([...new Set(statuses)], [200])
  // Not by luck of a second try either: no token was ever refused.
  assert.equal(
    api.seen.filter(({ status, authorization }) => status === 401 && authorization !== null).length,
    1,
  )
})

test('keeps the tokens of the old key with that key until they end, and asks for new ones with the new key', async () => {
  await using issuer = await startIssuer()
  await using api = await startApi(issuer)
  issuer.conduct.grants = { [api.url]: ['a'] }
  const agent = await loadAgent(issuer)
  const old = agent.key().thumbprint
  await agent.fetch(api.url)
  await agent.rotateKey()
  assert.equal((await agent.fetch(api.url)).status, 200)
  assert.equal(issuer.tokens.size, 1)
  assert.equal((await agent.fetch(api.url, { scope: 'a' })).status, 200)
  assert.deepEqual(
    [...issuer.tokens.values()].map(({ jkt }) => jkt),
    [old, agent.key().thumbprint],
  )
})

test('leaves a token before the overlap of its key ends, where that is sooner than its own end', async () => {
  await using issuer = await startIssuer({ overlapSeconds: 30 })
  await using api = await startApi(issuer)
  issuer.conduct.grants = { [api.url]: [] }
  let aheadMs = 0
  const agent = await loadAgent(issuer, { clock: () => Date.now() + aheadMs })
  await agent.fetch(api.url)
  await agent.rotateKey()
  aheadMs = 31_000
  issuer.conduct.skewMs = 31_000
  api.conduct.skewMs = 31_000
  api.seen.length = 0
  assert.equal((await agent.fetch(api.url)).status, 200)
  assert.deepEqual(
    api.seen.map(({ status }) => status),
    [200],
  )
})

test('makes one rotation of many calls for one', async () => {
  await using issuer = await startIssuer()
  const agent = await loadAgent(issuer)
  await Promise.all(Array.from({ length: 5 }, () => agent.rotateKey()))
  assert.equal(issuer.asked.get('/rekey'), 1)
  assert.equal(issuer.keys.size, 2)
})

test('survives a rotation whose answer got lost: the repeated request shows the same key', async () => {
  await using issuer = await startIssuer()
  const agent = await loadAgent(issuer)
  let lost = 0
  issuer.conduct.after = path => (path === '/rekey' && lost++ < 2 ? 'lose' : undefined)
  await agent.rotateKey()
  assert.equal(issuer.keys.size, 2)
  assert.equal([...issuer.keys.keys()].at(-1), agent.key().thumbprint)
})

test('survives its own end between the durable key and the answer', async () => {
  await using issuer = await startIssuer({ grants: { 'https://api.example': [] } })
  const directory = freshDirectory()
  const first = await loadAgent(issuer, { directory })
  issuer.conduct.after = path => (path === '/rekey' ? 'lose' : undefined)
  await assert.rejects(first.rotateKey(), fault('temporarily_unavailable'))
  first.close()
  const accepted = [...issuer.keys.keys()].at(-1)
  issuer.conduct.after = () => undefined
  const second = await loadAgent(issuer, { directory, enrollment: undefined as never })
  await second.token({ resource: 'https://api.example' })
  await second.rotateKey()
  assert.equal(second.key().thumbprint, accepted)
  assert.equal(issuer.keys.size, 2)
})

test('finds its key again after it was away for longer than the old one lived', async () => {
  await using issuer = await startIssuer({ grants: { 'https://api.example': [] } })
  const directory = freshDirectory()
  const first = await loadAgent(issuer, { directory })
  issuer.conduct.after = path => (path === '/rekey' ? 'lose' : undefined)
  await assert.rejects(first.rotateKey(), fault('temporarily_unavailable'))
  first.close()
  const accepted = [...issuer.keys.keys()].at(-1)
  issuer.conduct.after = () => undefined
  issuer.conduct.skewMs = 1_000_000
  const second = await loadAgent(issuer, { directory, enrollment: undefined as never })
  const token = await second.token({ resource: 'https://api.example' })
  assert.equal(issuer.tokens.get(token.accessToken.reveal())?.jkt, accepted)
  // Its window is not known, so it is replaced at once.
  await until(() => second.key().thumbprint !== accepted)
  assert.equal(issuer.keys.get(accepted ?? '')?.successor, second.key().thumbprint)
})

test('does not give up its key for one that the issuer has never heard of', async () => {
  await using issuer = await startIssuer({ grants: { 'https://api.example': [] } })
  const directory = freshDirectory()
  const agent = await loadAgent(issuer, { directory })
  const key = agent.key().thumbprint
  issuer.conduct.before = path => (path === '/rekey' ? 'lose' : undefined)
  await assert.rejects(agent.rotateKey(), fault('temporarily_unavailable'))
  issuer.conduct.before = () => undefined
  // Suspended: old and new key are refused alike, and nothing may be concluded from that.
  issuer.conduct.isSuspended = true
  await assert.rejects(agent.token({ resource: 'https://api.example' }), fault('invalid_client'))
  await assert.rejects(agent.rotateKey(), fault('invalid_client'))
  issuer.conduct.isSuspended = false
  assert.equal(agent.key().thumbprint, key)
  await agent.token({ resource: 'https://api.example' })
  await agent.rotateKey()
  assert.notEqual(agent.key().thumbprint, key)
})

test('goes on with the key that another process of the same instance has rotated to', async () => {
  await using issuer = await startIssuer()
  await using api = await startApi(issuer)
  issuer.conduct.grants = { [api.url]: ['a'] }
  const directory = freshDirectory()
  const one = await loadAgent(issuer, { directory })
  const other = await loadAgent(issuer, { directory, enrollment: undefined as never })
  await other.fetch(api.url)
  await one.rotateKey()
  // The overlap ends, and with it the key that the other one still holds.
  const old = issuer.keys.get(other.key().thumbprint)
  assert.ok(old)
  old.expiresAt = 0
  assert.equal((await other.fetch(api.url)).status, 200)
  assert.equal((await other.fetch(api.url, { scope: 'a' })).status, 200)
  assert.equal(other.key().thumbprint, one.key().thumbprint)
})

test('rotates once where several processes of one instance want to at the same time', async () => {
  await using issuer = await startIssuer()
  const directory = freshDirectory()
  const agents = [await loadAgent(issuer, { directory })]
  for (let more = 0; more < 4; more += 1) {
    agents.push(await loadAgent(issuer, { directory, enrollment: undefined as never }))
  }
  await Promise.all(agents.map(agent => agent.rotateKey()))
  assert.equal(issuer.keys.size, 2)
  assert.equal(new Set(agents.map(agent => agent.key().thumbprint)).size, 1)
})

test('shows a copied keystore: the second of two copies to rotate is refused, and says so', async () => {
  await using issuer = await startIssuer()
  const directory = freshDirectory()
  const copy = freshDirectory()
  const original = await loadAgent(issuer, { directory })
  cpSync(directory, copy, { recursive: true })
  const fork = await loadAgent(issuer, { directory: copy, enrollment: undefined as never })
  await fork.rotateKey()
  await assert.rejects(original.rotateKey(), fault('conflict', 'issuer_refused'))
  assert.equal(issuer.keys.size, 2)
})

test('rotates by itself before the key ends, again and again, and reports each', async () => {
  await using issuer = await startIssuer({ keySeconds: 3600 })
  await using api = await startApi(issuer)
  issuer.conduct.grants = { [api.url]: [] }
  let aheadMs = 0
  const reports: string[] = []
  const agent = await loadAgent(issuer, {
    clock: () => Date.now() + aheadMs,
    onRotation: report => reports.push(report.outcome),
  })
  const letPass = async (seconds: number): Promise<void> => {
    aheadMs += seconds * 1000
    issuer.conduct.skewMs = aheadMs
    api.conduct.skewMs = aheadMs
    assert.equal((await agent.fetch(api.url)).status, 200)
  }
  for (let rotation = 1; rotation <= 4; rotation += 1) {
    await letPass(2_160)
    await letPass(30)
    assert.equal(reports.length, rotation - 1)
    // Two thirds of its hour, and a little.
    await letPass(400)
    await until(() => reports.length === rotation)
  }
  assert.deepEqual(reports, ['rotated', 'rotated', 'rotated', 'rotated'])
  assert.equal(issuer.keys.size, 5)
})

test('rotates at the age that its user sets, though the key could live longer', async () => {
  await using issuer = await startIssuer()
  const agent = await loadAgent(issuer, { maxKeyAgeSeconds: 1 })
  await until(() => issuer.keys.size >= 3)
  agent.close()
})

test('tries again when a rotation in the background failed, and reports that it did', async () => {
  await using issuer = await startIssuer()
  let failures = 2
  issuer.conduct.before = path =>
    path === '/rekey' && failures-- > 0 ? Response.json({ code: 'server_error' }, { status: 500 }) : undefined
  const reports: string[] = []
  const agent = await loadAgent(issuer, {
    maxKeyAgeSeconds: 1,
    onRotation: report => reports.push(report.outcome),
  })
  await until(() => reports.includes('rotated'))
  assert.deepEqual(reports.slice(0, 3), ['failed', 'failed', 'rotated'])
  agent.close()
})

test('refuses an answer about another instance, and keeps its key', async () => {
  await using issuer = await startIssuer()
  const agent = await loadAgent(issuer)
  const key = agent.key().thumbprint
  issuer.conduct.before = path =>
    path === '/rekey' ? Response.json({ client_id: 'agt_test', instance: 'ins_other', key: {} }) : undefined
  await assert.rejects(agent.rotateKey(), fault('server_error', 'other_instance'))
  issuer.conduct.before = () => undefined
  assert.equal(agent.key().thumbprint, key)
  await agent.rotateKey()
})

test('works from credentials that were given whole, and leaves their key alone', async () => {
  await using issuer = await startIssuer({ grants: { 'https://api.example': ['a'] } })
  const agent = await loadAgent(issuer)
  const { generateKeyPair } = await import('@writ/sdk/protocol/jwk')
  const { secret, sign } = generateKeyPair('ES256')
  issuer.keys.set(sign.jkt, { jwk: sign.jwk, instance: 'ins_operator', notBefore: 0, expiresAt: 2 ** 40 })
  const operator = Agent.fromCredentials({ issuer: issuer.url, client_id: 'agt_test', jwk: secret.reveal() })
  assert.equal((await operator.token({ resource: 'https://api.example' })).scope, 'a')
  await assert.rejects(operator.rotateKey(), fault('access_denied', 'key_not_ours'))
  assert.throws(
    () => Agent.fromCredentials({ issuer: issuer.url, client_id: 'agt_test', jwk: sign.jwk }),
    fault('invalid_key'),
  )
  assert.throws(
    () =>
      Agent.fromCredentials({ issuer: 'http://issuer.example', client_id: 'agt_test', jwk: secret.reveal() }),
    fault('invalid_request'),
  )
  agent.close()
})
