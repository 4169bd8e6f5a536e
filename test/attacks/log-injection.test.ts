// Texts of others in the log: they make no line of their own, turn none around, and claim nothing (threats C33, C63).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readJson } from '@writ/sdk/protocol/json'
import { api, expect, newAgent, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { enrolled } from './instances.ts'

/** What a screen, a pager or a spreadsheet may act upon. */
const dangerous = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u

const forgery = '"}\r\n{"id":"evt_0","type":"agent.created","outcome":"allowed"}'
const texts = [
  forgery,
  'a\u202eb\u2066c\u2069',
  'a\u009b31mred\u0085next\u2028line\u2029para',
  'a\u001b[2J\u0007',
  'a\u200bb\ufeffc\u00ad',
  '\u{e0041}\u{e007f}',
  '\u0000\u0001\u007f',
  `${'x'.repeat(511)}😀`,
  `${'x'.repeat(127)}😀`,
  '\\ud83d',
]

/** The lines of the log as they are exported, byte for byte. */
async function linesOf(writ: Authority): Promise<readonly string[]> {
  const url = `${writ.issuer}/api/v1/audit/entries`
  const token = await writ.operator.token(`${writ.issuer}/api/v1`, 'writ:events:read')
  const { body } = await writ.operator.call('GET', url, { token })
  return String(body).trimEnd().split('\n')
}

test('whatever a caller sends, its entry is one line of strict JSON without anything unseen in it', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const agent = await newAgent(writ, { scopes: ['read'] })
  const { operator } = writ
  for (const text of texts) {
    await agent.tokenRequest({ resource: text })
    await agent.tokenRequest({ resource: api, scope: text })
    await agent.tokenRequest({ resource: api, scope: 'read', state: text, client_id: text })
    await agent.post('/token', { grant_type: text, [text]: text })
    const inPath = encodeURIComponent(text.toWellFormed())
    await operator.manage('GET', `/agents/${inPath}`)
    await operator.manage('GET', `/events/${inPath}/why`)
    await operator.manage('GET', `/agents?name=${inPath}`)
    await operator.manage('GET', `/events?request_id=${inPath}&type=${inPath}`)
    await operator.manage('GET', `/audit/entries?from=${inPath}`)
    await operator.manage('POST', '/agents', {
      name: text,
      owner: text,
      purpose: text,
      kind: text,
      [text]: text,
    })
    await operator.manage('POST', '/grants', { agent: text, resource: text, scopes: [text], reason: text })
    await operator.manage('POST', `/agents/${agent.clientId}/suspend`, { reason: text })
    await operator.manage('POST', '/resources', { identifier: text, name: text, scopes: [] })
    await operator.manage('POST', '/people', { login: text, name: text, password: text })
    const headers = {
      'user-agent': text.replace(/[^\x20-\x7e]/g, ''),
      'x-request-id': 'forged',
      traceparent: `00-${'0'.repeat(31)}g-0123456789abcdef-01`,
      tracestate: 'evil=1',
      'idempotency-key': 'visible',
    }
    await operator.manage('POST', '/agents', { name: 'a', owner: operator.clientId, purpose: 'x' }, headers)
  }
  for (const [at, line] of (await linesOf(writ)).entries()) {
    assert.ok(!dangerous.test(line), JSON.stringify(line))
    const read = readJson(line)
    assert.ok('value' in read, `${'problem' in read && read.problem} ${line}`)
    const entry = read.value as Record<string, unknown>
    assert.equal(entry['index'], at)
    assert.match(String(entry['request_id']), /^[0-9a-f-]{36}$/)
    assert.equal(entry['trace_id'], null)
    assert.match(String(entry['type']), /^[a-z_]+\.[a-z_]+$/)
  }
})

test('the name of a key stands in the log without what a screen would act upon', async t => {
  const writ = await authority(t)
  const { clientId } = await newAgent(writ)
  const kid = `\u202e${forgery}\u009b2J\u2028`
  const { pair } = await enrolled(writ, clientId, ({ verify }) => ({ ...verify.jwk, kid }))
  const path = `/agents/${clientId}/keys/${encodeURIComponent(kid)}/revoke`
  expect(await writ.operator.manage('POST', path, { reason: 'test' }), 200)
  const lines = await linesOf(writ)
  for (const line of lines) assert.ok(!dangerous.test(line), JSON.stringify(line))
  const entry = lines.map(line => JSON.parse(line)).find(({ type }) => type === 'key.revoked')
  // Nothing is lost: what is escaped is read as what was sent.
  assert.equal(entry.decision.kid, kid)
  assert.equal(entry.decision.thumbprint, pair.sign.jkt)
})

test('a trace id is kept where it is one, and nothing else gets into the log by it', async t => {
  const writ = await authority(t)
  const trace = '0af7651916cd43dd8448eb211c80319c'
  const kept = { traceparent: `00-${trace}-b7ad6b7169203331-01` }
  expect(await writ.operator.manage('GET', '/agents', undefined, kept), 200)
  for (const traceparent of [
    `00-${trace.toUpperCase()}-b7ad6b7169203331-01`,
    `00-${trace}-b7ad6b7169203331-01-extra`,
    `ff-${trace}-b7ad6b7169203331-01`,
    `00-${trace}`,
    `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
    '"><script>',
  ]) {
    expect(await writ.operator.manage('GET', '/agents', undefined, { traceparent }), 200)
  }
  const ids = (await linesOf(writ)).map(line => JSON.parse(line).trace_id).filter(id => id !== null)
  assert.deepEqual(ids, [trace])
})
