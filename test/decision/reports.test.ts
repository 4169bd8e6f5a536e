// Reports of decisions given again: signed by who reports, taken once however often they come, an entry for each decision.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import { signJws } from '@writ/sdk/protocol/jws'
import { expect, newAgent } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import type { Party } from '../harness/party.ts'

const reportsOf = (writ: Authority) => `${writ.issuer}/access/v1/reports`

async function scene(t: TestContext) {
  const writ = await authority(t)
  const gate = await newAgent(writ)
  const management = `${writ.issuer}/api/v1`
  const grant = {
    agent: gate.clientId,
    resource: management,
    scopes: ['writ:decisions:evaluate'],
    reason: 'gate',
  }
  expect(await writ.operator.manage('POST', '/grants', grant), 201)
  const subject = await newAgent(writ)
  const token = await gate.token(management, 'writ:decisions:evaluate')
  return { writ, gate, subject, token }
}

const itemOf = (writ: Authority, subject: Party, more: Record<string, unknown> = {}) => ({
  subject: { type: 'agent', id: subject.clientId },
  action: { name: 'read' },
  resource: { type: 'invoice', id: 'https://api.example#17' },
  grants: ['grt_00000000000000000000000001'],
  decided_by: randomUUID(),
  count: 3,
  first_at: Math.floor(writ.nowMs() / 1000) - 5,
  last_at: Math.floor(writ.nowMs() / 1000),
  ...more,
})

const sign = (
  writ: Authority,
  by: Party,
  claims: Record<string, unknown>,
  header: Record<string, unknown> = {},
) =>
  signJws(
    { typ: 'decision-report+jwt', kid: by.key.jwk.kid ?? by.key.jkt, ...header },
    { iss: by.clientId, aud: writ.issuer, batch: randomUUID(), ...claims },
    by.key,
  )

const entriesAbout = async (writ: Authority, agent: string) =>
  expect(await writ.operator.manage('GET', `/events?agent=${agent}&type=decision.repeated`), 200).items

test('a report leaves an entry for each decision, found with everything else of its agent', async t => {
  const { writ, gate, subject, token } = await scene(t)
  const items = [itemOf(writ, subject), itemOf(writ, subject, { action: { name: 'pay' }, count: 1 })]
  const report = sign(writ, gate, { items })
  const answer = await gate.call('POST', reportsOf(writ), { token, body: { report } })
  assert.deepEqual(expect(answer, 200), { taken: 2, repeated: false })
  const entries = await entriesAbout(writ, subject.clientId)
  assert.deepEqual(
    entries.map((entry: Record<string, unknown>) => [entry['action'], entry['resource']]),
    [
      ['read', 'https://api.example#17'],
      ['pay', 'https://api.example#17'],
    ],
  )
  const [{ decision }] = entries
  assert.deepEqual([decision.count, decision.reported_by], [3, gate.clientId])
})

test('whatever can be decided can be reported: the longest names are, shortened in the log', async t => {
  const { writ, gate, subject, token } = await scene(t)
  const path = `https://api.example#${'/a.b'.repeat(500)}`
  const long = { resource: { type: 'http', id: path }, session: 's '.repeat(1000), task: 't '.repeat(1000) }
  const report = sign(writ, gate, { items: [itemOf(writ, subject, long)] })
  const answer = await gate.call('POST', reportsOf(writ), { token, body: { report } })
  assert.deepEqual(expect(answer, 200), { taken: 1, repeated: false })
  const [entry] = await entriesAbout(writ, subject.clientId)
  assert.equal(entry.resource, path.slice(0, 512))
})

test('the same batch is taken once, whatever it says the second time', async t => {
  const { writ, gate, subject, token } = await scene(t)
  const batch = randomUUID()
  const send = (items: unknown[]) =>
    gate.call('POST', reportsOf(writ), { token, body: { report: sign(writ, gate, { batch, items }) } })
  expect(await send([itemOf(writ, subject)]), 200)
  const again = await send([itemOf(writ, subject), itemOf(writ, subject)])
  assert.deepEqual(expect(again, 200), { taken: 0, repeated: true })
  assert.equal((await entriesAbout(writ, subject.clientId)).length, 1)
})

test('nobody reports in the name of another, with another kind of token, or beyond the bounds', async t => {
  const { writ, gate, subject, token } = await scene(t)
  const items = [itemOf(writ, subject)]
  const one = 'grt_00000000000000000000000001'
  const stranger = writ.party(gate.clientId, generateKeyPair('ES256').secret.reveal() as never)
  const wrong: readonly [string, unknown][] = [
    ['a key that is not its own', sign(writ, stranger, { items })],
    ['the kid of its own and a key of another', sign(writ, stranger, { items }, { kid: gate.key.jkt })],
    ['the key of somebody else', sign(writ, subject, { items, iss: gate.clientId })],
    ['another issuer', sign(writ, gate, { items, iss: subject.clientId })],
    ['another authority', sign(writ, gate, { items, aud: 'https://other.example' })],
    ['an assertion', gate.assertion({ items, batch: randomUUID() })],
    ['no type', sign(writ, gate, { items }, { typ: 'JWT' })],
    ['no batch', sign(writ, gate, { items, batch: 'one' })],
    ['no items', sign(writ, gate, { items: [] })],
    ['too many items', sign(writ, gate, { items: Array.from({ length: 101 }, () => items[0]) })],
    ['a count that is none', sign(writ, gate, { items: [itemOf(writ, subject, { count: -1 })] })],
    ['a count of nothing', sign(writ, gate, { items: [itemOf(writ, subject, { count: 0 })] })],
    ['a count beyond all', sign(writ, gate, { items: [itemOf(writ, subject, { count: 2 ** 53 - 1 })] })],
    [
      'a grant that is none',
      sign(writ, gate, { items: [itemOf(writ, subject, { grants: ['everything'] })] }),
    ],
    ['a grant twice', sign(writ, gate, { items: [itemOf(writ, subject, { grants: [one, one] })] })],
    ['a future', sign(writ, gate, { items: [itemOf(writ, subject, { last_at: 9e9 })] })],
    [
      'an endless name',
      sign(writ, gate, { items: [itemOf(writ, subject, { action: { name: 'x'.repeat(3000) } })] }),
    ],
    ['no text', { report: 'x' }],
    ['nothing', undefined],
  ]
  for (const [name, report] of wrong) {
    const answer = await gate.call('POST', reportsOf(writ), { token, body: { report } })
    assert.equal(answer.status, 400, name)
  }
  assert.equal((await entriesAbout(writ, subject.clientId)).length, 0)
  const refused = await refusalsOf(writ, gate)
  assert.equal(refused.length, wrong.length, 'each of them is an entry')
  assert.deepEqual(refused.slice(0, 2).map(ruleOf), ['signature', 'signature'])
})

interface Refusal {
  readonly outcome: string
  readonly reason: string
  readonly decision: Readonly<Record<string, unknown>>
}

const ruleOf = ({ decision }: Refusal) => decision['rule']

const refusalsOf = async (writ: Authority, { clientId }: Party): Promise<readonly Refusal[]> => {
  const path = `/events?agent=${clientId}&type=decision.reported&limit=200`
  const { items } = expect(await writ.operator.manage('GET', path), 200)
  return items.filter(({ outcome }: Refusal) => outcome === 'refused')
}

test('a report that is refused before it is read is an entry too, and a proof that was used before is nobody', async t => {
  const { writ, gate, subject, token } = await scene(t)
  const report = sign(writ, gate, { items: [itemOf(writ, subject)] })
  const url = reportsOf(writ)
  const raw = (body: string, headers: Record<string, string> = {}) =>
    writ.fetch(url, {
      method: 'POST',
      headers: {
        authorization: `DPoP ${token}`,
        dpop: gate.proof(url, { accessToken: token }),
        'content-type': 'application/json',
        ...headers,
      },
      body,
    })
  assert.equal((await raw('{')).status, 400)
  assert.equal((await raw(JSON.stringify({ report, more: 1 }))).status, 400)
  assert.equal((await raw('x', { 'content-type': 'text/plain' })).status, 415)
  assert.equal((await raw(JSON.stringify({ report: 'x'.repeat(300_000) }))).status, 413)
  const dpop = gate.proof(url, { accessToken: token })
  assert.equal((await raw(JSON.stringify({ report }), { dpop })).status, 200)
  // What its report is worth, and that it was taken, is told to nobody who holds no key.
  assert.equal((await raw(JSON.stringify({ report }), { dpop })).status, 401)
  assert.equal((await raw('{', { dpop })).status, 401)
  const refused = await refusalsOf(writ, gate)
  assert.deepEqual(refused.map(ruleOf), [
    'malformed_json',
    'unknown_member',
    'media_type',
    'body_too_large',
    'proof_replayed',
    'proof_replayed',
  ])
  assert.ok(refused.every(({ reason }) => reason.length > 0))
  assert.equal((await entriesAbout(writ, subject.clientId)).length, 1)
})

test('a report needs the right to ask for decisions', async t => {
  const { writ, subject } = await scene(t)
  const token = await writ.operator.token(`${writ.issuer}/api/v1`, 'writ:agents:read')
  const report = sign(writ, writ.operator, { items: [itemOf(writ, subject)] })
  assert.equal((await writ.operator.call('POST', reportsOf(writ), { token, body: { report } })).status, 403)
  const [refused, ...others] = await refusalsOf(writ, writ.operator)
  assert.deepEqual([refused?.decision['code'], others], ['insufficient_scope', []])
  const bare = await writ.fetch('/access/v1/reports', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ report }),
  })
  assert.equal(bare.status, 401)
})
