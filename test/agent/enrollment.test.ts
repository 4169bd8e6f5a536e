// Enrolment of an instance: once, with a key that never leaves it, through every way in which an answer can get lost.
import assert from 'node:assert/strict'
import { chmodSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Agent } from '@writ/sdk/agent'
import { isFault } from '@writ/sdk/protocol/fault'
import { enrollmentFor, freshDirectory, loadAgent } from './agents.ts'
import { startIssuer } from './issuer.ts'
import { listen } from './listening.ts'
import { fault } from './refusals.ts'

test('enrols on first use with a key that the issuer never sees the private half of', async () => {
  await using issuer = await startIssuer()
  const directory = freshDirectory()
  const agent = await loadAgent(issuer, { directory })
  assert.deepEqual([agent.issuer, agent.clientId, agent.instance], [issuer.url, 'agt_test', 'ins_1'])
  const known = issuer.keys.get(agent.key().thumbprint)
  assert.equal(known?.instance, 'ins_1')
  assert.equal(Object.hasOwn(known?.jwk ?? {}, 'd'), false)
  assert.equal(agent.key().expiresAt, known?.expiresAt)
})

test('starts again as the same instance, with the spent enrolment still set or without it', async () => {
  await using issuer = await startIssuer()
  const directory = freshDirectory()
  const enrollment = enrollmentFor(issuer)
  const first = await loadAgent(issuer, { directory, enrollment })
  for (const again of [await loadAgent(issuer, { directory, enrollment }), await Agent.load({ directory })]) {
    assert.equal(again.instance, first.instance)
    assert.equal(again.key().thumbprint, first.key().thumbprint)
    again.close()
  }
  assert.equal(issuer.asked.get('/enroll'), 1)
})

test('takes the token alone where the issuer is named beside it, also for an issuer with a path', async () => {
  for (const path of ['', '/tenant']) {
    await using issuer = await startIssuer({}, path)
    const agent = await loadAgent(issuer, { issuer: issuer.url, enrollment: issuer.enrollment() })
    assert.equal(agent.issuer, issuer.url)
  }
})

test('reads issuer and enrolment from the environment', async t => {
  await using issuer = await startIssuer()
  process.env['WRIT_ISSUER'] = issuer.url
  process.env['WRIT_ENROLLMENT'] = issuer.enrollment()
  process.env['WRIT_AGENT_DIRECTORY'] = freshDirectory()
  t.after(() => {
    for (const name of ['WRIT_ISSUER', 'WRIT_ENROLLMENT', 'WRIT_AGENT_DIRECTORY']) delete process.env[name]
  })
  const agent = await Agent.load()
  assert.equal(agent.instance, 'ins_1')
  agent.close()
})

test('never sends the fragment that carries the token, nor the token to anywhere but the issuer', async () => {
  await using issuer = await startIssuer()
  const urls: string[] = []
  const watched: typeof fetch = (input, init) => {
    urls.push(String(input))
    return fetch(input, init)
  }
  await loadAgent(issuer, { fetch: watched })
  assert.deepEqual(urls, [`${issuer.url}/enroll`])

  await using other = await startIssuer()
  await assert.rejects(
    loadAgent(issuer, { issuer: issuer.url, enrollment: `${other.url}/enroll#${issuer.enrollment()}` }),
    fault('invalid_enrollment', 'foreign_enrollment'),
  )
  assert.equal(other.asked.size, 0)
  await assert.rejects(
    loadAgent(issuer, { enrollment: `http://issuer.example/enroll#${issuer.enrollment()}` }),
    fault('invalid_enrollment', 'malformed_enrollment'),
  )
})

test('refuses an answer that makes it a member of another issuer', async () => {
  for (const issuerNamed of ['https://issuer.example', 'http://127.0.0.1', undefined, 7]) {
    await using impostor = await listen(async () =>
      Response.json(
        {
          client_id: 'agt_test',
          instance: 'ins_1',
          issuer: issuerNamed,
          key: { kid: 'k', not_before: '2026-01-01T00:00:00Z', expires_at: null },
        },
        { status: 201 },
      ),
    )
    const directory = freshDirectory()
    const enrollment = `${impostor.origin}/enroll#writ_enr_0123456789abcdef`
    await assert.rejects(Agent.load({ directory, enrollment }), fault('server_error', 'unusable_answer'))
    await assert.rejects(Agent.load({ directory }), fault('invalid_enrollment', 'not_enrolled'))
  }
})

test('survives an answer that got lost: the repeated request shows the same key and makes no second instance', async () => {
  await using issuer = await startIssuer()
  let lost = 0
  issuer.conduct.after = path => (path === '/enroll' && lost++ < 2 ? 'lose' : undefined)
  const agent = await loadAgent(issuer)
  assert.equal(issuer.asked.get('/enroll'), 3)
  assert.deepEqual([...issuer.keys.keys()], [agent.key().thumbprint])
})

test('survives its own end between the durable key and the answer, with the token already spent', async () => {
  await using issuer = await startIssuer()
  const directory = freshDirectory()
  const enrollment = enrollmentFor(issuer)
  issuer.conduct.after = path => (path === '/enroll' ? 'lose' : undefined)
  await assert.rejects(
    loadAgent(issuer, { directory, enrollment }),
    fault('temporarily_unavailable', 'unreachable'),
  )
  const [spentWith] = issuer.keys.keys()
  issuer.conduct.after = () => undefined
  const agent = await loadAgent(issuer, { directory, enrollment })
  assert.equal(agent.key().thumbprint, spentWith)
  assert.equal(issuer.keys.size, 1)
})

test('is one instance when many processes of one directory start at once', async () => {
  await using issuer = await startIssuer()
  const directory = freshDirectory()
  const enrollment = enrollmentFor(issuer)
  const agents = await Promise.all(
    Array.from({ length: 8 }, () => loadAgent(issuer, { directory, enrollment })),
  )
  assert.equal(new Set(agents.map(agent => agent.key().thumbprint)).size, 1)
  assert.equal(issuer.asked.get('/enroll'), 1)
})

test('says what to do where the token is used up, or there is none', async () => {
  await using issuer = await startIssuer()
  const enrollment = enrollmentFor(issuer)
  await loadAgent(issuer, { enrollment })
  await assert.rejects(loadAgent(issuer, { enrollment }), fault('invalid_enrollment', 'issuer_refused'))
  await assert.rejects(
    Agent.load({ directory: freshDirectory() }),
    fault('invalid_enrollment', 'not_enrolled'),
  )
})

test('does not become another agent because its directory holds one', async () => {
  await using issuer = await startIssuer()
  const directory = freshDirectory()
  await loadAgent(issuer, { directory })
  await assert.rejects(loadAgent(issuer, { directory }), fault('conflict', 'other_enrollment'))
  await using other = await startIssuer()
  await assert.rejects(Agent.load({ directory, issuer: other.url }), fault('conflict', 'other_issuer'))
})

test('enrols anew over an instance whose key has ended', async () => {
  await using issuer = await startIssuer({ keySeconds: 100 })
  const directory = freshDirectory()
  const before = await loadAgent(issuer, { directory })
  before.close()
  const after = await loadAgent(issuer, { directory, clock: () => Date.now() + 200_000 })
  assert.notEqual(after.key().thumbprint, before.key().thumbprint)
  assert.equal(after.instance, 'ins_2')
})

test('does not use a keystore that others can read', async () => {
  await using issuer = await startIssuer()
  const directory = freshDirectory()
  await loadAgent(issuer, { directory })
  chmodSync(join(directory, 'keystore.json'), 0o640)
  await assert.rejects(Agent.load({ directory }), fault('invalid_key', 'file_readable'))
})

test('keeps the enrolment token out of its files and its errors', async () => {
  await using issuer = await startIssuer()
  const directory = freshDirectory()
  const token = issuer.enrollment()
  await loadAgent(issuer, { directory, enrollment: `${issuer.url}/enroll#${token}` })
  assert.equal(readFileSync(join(directory, 'keystore.json'), 'utf8').includes(token), false)
  const error = await loadAgent(issuer, { enrollment: `${issuer.url}/enroll#${token}` }).catch(
    caught => caught,
  )
  assert.ok(isFault(error))
  assert.equal(JSON.stringify([error.message, error.why, error.stack]).includes(token), false)
})

test('corrects a wrong clock by the answer, once', async () => {
  for (const skewMs of [-90_000, 90_000, 86_400_000]) {
    await using issuer = await startIssuer({ skewMs })
    const agent = await loadAgent(issuer)
    assert.equal(agent.instance, 'ins_1')
    assert.equal(issuer.asked.get('/enroll'), 2)
  }
})
