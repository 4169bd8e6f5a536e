// Hostile requests at the management API: each ends in a registered error, and nothing is half done (threats C60, C64).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codes } from '@writ/sdk/protocol/fault'
import fc from 'fast-check'
import { type Authority, authority } from '../harness/authority.ts'
import { type Answer, answerOf } from '../harness/party.ts'

async function send(
  writ: Authority,
  token: string,
  body: BodyInit,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const url = `${writ.issuer}/api/v1/agents`
  const dpop = writ.operator.proof(url, { method: 'POST', accessToken: token })
  const sent = { authorization: `DPoP ${token}`, dpop, 'content-type': 'application/json', ...headers }
  return answerOf(
    await writ.fetch(url, { method: 'POST', headers: sent, body, duplex: 'half' } as RequestInit),
  )
}

const tokenOf = (writ: Authority) => writ.operator.token(`${writ.issuer}/api/v1`, 'writ:*')
const good = (writ: Authority) => JSON.stringify({ name: 'a', owner: writ.operator.clientId, purpose: 'x' })

test('a body that is no single strict JSON object is refused: duplicates anywhere, depth, other types (property 21)', async t => {
  const writ = await authority(t)
  const token = await tokenOf(writ)
  const text = good(writ)
  const bad = [
    '',
    'x',
    '[]',
    '"x"',
    'null',
    '{',
    `${text}${text}`,
    `${text},`,
    text.replace('{', '{"name":"b",'),
    text.replace('}', ',"n\\u0061me":"b"}'),
    text.replace('}', ',"labels":{"a":"1","a":"2"}}'),
    text.replace('}', ',"__proto__":{"status":"retired"}}'),
    text.replace('"a"', '"\\ud800"'),
    text.replace('}', `,"labels":${'['.repeat(100)}${']'.repeat(100)}}`),
    text.replace('}', `,"x":${'9'.repeat(400)}}`),
  ]
  for (const body of bad) {
    const answer = await send(writ, token, body)
    assert.deepEqual([answer.status, answer.body.code], [400, 'invalid_request'], body.slice(0, 60))
  }
  assert.equal((await send(writ, token, text)).status, 201)
  assert.equal((await writ.operator.manage('GET', '/agents')).body.items.length, 2)
})

test('a body of another type, in another encoding, too large or not in UTF-8 is refused before it is parsed', async t => {
  const writ = await authority(t)
  const token = await tokenOf(writ)
  const text = good(writ)
  const large = JSON.stringify({ ...JSON.parse(text), purpose: 'x'.repeat(70_000) })
  const stream = new ReadableStream({
    start(controller) {
      for (let at = 0; at < 100; at++) controller.enqueue(new Uint8Array(1024).fill(32))
      controller.close()
    },
  })
  const latin = new Uint8Array(
    [...Buffer.from(text.replace('"a"', '"?"'))].map(byte => (byte === 63 ? 0xe4 : byte)),
  )
  const expected: [answer: Answer, status: number][] = [
    [await send(writ, token, text, { 'content-type': 'text/plain' }), 415],
    [await send(writ, token, text, { 'content-type': 'application/x-www-form-urlencoded' }), 415],
    [await send(writ, token, text, { 'content-type': 'application/json, text/plain' }), 415],
    [await send(writ, token, text, { 'content-encoding': 'gzip' }), 415],
    [await send(writ, token, large, { 'content-length': String(large.length) }), 413],
    [await send(writ, token, large), 413],
    [await send(writ, token, stream), 413],
    [await send(writ, token, latin), 400],
  ]
  for (const [answer, status] of expected) assert.equal(answer.status, status, JSON.stringify(answer.body))
  const events = await writ.operator.manage('GET', '/events?type=agent.created')
  const refused = events.body.items.filter((entry: { outcome: string }) => entry.outcome === 'refused')
  assert.equal(refused.length, expected.length)
})

test('identifiers of the wrong kind or form name nothing, and cannot leave their place in the path', async t => {
  const writ = await authority(t)
  const id = writ.operator.clientId
  for (const wrong of [
    id.toUpperCase(),
    `${id} `,
    id.slice(0, -1),
    `${id}0`,
    id.replace('agt_', 'cli_'),
    `${id}%00`,
    `${id}%0a`,
    '%E0%A4%A',
    "'%20or%201=1",
    '%F0%9F%98%80',
    'null',
    '*',
  ]) {
    const answer = await writ.operator.manage('GET', `/agents/${wrong}`).catch(() => undefined)
    assert.ok(answer === undefined || [401, 404].includes(answer.status), `${wrong}: ${answer?.status}`)
  }
})

test('whatever JSON comes, the answer is registered, and what was refused changed nothing (property 23)', async t => {
  const writ = await authority(t)
  const token = await tokenOf(writ)
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.json({ maxDepth: 4 }), fc.string({ maxLength: 200 })), async body => {
      const answer = await send(writ, token, body)
      assert.ok(answer.status < 500, `${answer.status} ${body}`)
      if (answer.status !== 201) assert.ok(Object.hasOwn(codes, answer.body.code))
    }),
    { numRuns: 300 },
  )
  assert.equal((await writ.operator.manage('GET', '/agents')).body.items.length, 1)
})

test('whatever members a good request is joined by, it is refused by the name of one of them (threat C37)', async t => {
  const writ = await authority(t)
  const token = await tokenOf(writ)
  const known = new Set([
    'name',
    'owner',
    'purpose',
    'kind',
    'model',
    'provider',
    'version',
    'labels',
    'expires_at',
    'jwks',
  ])
  const name = fc.stringMatching(/^[a-z_]{1,16}$/).filter(text => !known.has(text) && text !== '__proto__')
  await fc.assert(
    fc.asyncProperty(
      name,
      fc.oneof(fc.string(), fc.boolean(), fc.nat(), fc.constant(null)),
      async (member, value) => {
        const answer = await send(writ, token, JSON.stringify({ ...JSON.parse(good(writ)), [member]: value }))
        assert.deepEqual([answer.status, answer.body.code], [400, 'invalid_request'])
        assert.ok(answer.body.detail.includes(member), answer.body.detail)
      },
    ),
    { numRuns: 100 },
  )
})
