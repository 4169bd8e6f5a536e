// Our evaluation beside the plain engine: all policies, the whole request, nothing sliced (properties 28, 29, 33).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { builtIns, checkPolicies } from '@writ/server/testing'
import fc from 'fast-check'
import { answerOf, askedOf, type Case } from './scene.ts'
import { type Plain, plain } from './whole.ts'

const principals = [
  'principal',
  ...['Agent', 'Person', 'Client', 'Subject'].map(type => `principal is Writ::${type}`),
  'principal == Writ::Agent::"a"',
  'principal == Writ::Agent::"b"',
  'principal == Writ::Subject::"user:alice"',
  'principal in Writ::Group::"pilots"',
  'principal is Writ::Person in Writ::Group::"cooks"',
  'principal in Writ::Person::"ada"',
]
const actions = [
  'action',
  'action == Writ::Action::"call"',
  'action in [Writ::Action::"call", Writ::Action::"get"]',
  'action in Writ::Action::"delete"',
]
const resources = [
  'resource',
  ...['Resource', 'Tool', 'Object', 'Foreign'].map(type => `resource is Writ::${type}`),
  'resource == Writ::Tool::"https://api.example#wipe"',
  'resource in Writ::Resource::"https://api.example"',
  'resource is Writ::Tool in Writ::Resource::"https://api.example"',
  'resource in Writ::Resource::"https://other.example"',
  'resource == Writ::Foreign::"record:1"',
]
const conditions = [
  '',
  'when { context.risk > 50 }',
  'unless { context has peer && context.peer.isInRange(ip("10.0.0.0/8")) }',
  'when { context.arguments.hasTag("amount") && context.arguments.getTag("amount") has number && context.arguments.getTag("amount").number > 10 }',
  // Fail: without the tag, and with any risk at all. So often, or hardly any case would see one.
  'when { context.arguments.getTag("amount").text == "5" }',
  'when { context.risk * 9223372036854775807 > 1 }',
  'when { context.arguments.getTag("amount").text == "5" }',
  'when { context.now.toTime() < duration("12h") }',
  'when { context.risk * 9223372036854775807 > 1 }',
  'when { context has person && context.person in Writ::Group::"pilots" }',
  'when { context.chain.contains(Writ::Agent::"a") }',
]

const policy = fc
  .tuple(
    fc.constantFrom('permit', 'forbid'),
    ...([principals, actions, resources, conditions] as const).map(texts => fc.constantFrom(...texts)),
  )
  .map(
    ([effect, principal, action, resource, condition]) =>
      `${effect} (${principal}, ${action}, ${resource}) ${condition};`,
  )

const given: fc.Arbitrary<Case> = fc.record(
  {
    who: fc.constantFrom(
      'agent a',
      'agent b',
      'person ada',
      'person bob',
      'client c',
      'user alice',
      'user bob',
    ),
    action: fc.constantFrom('call', 'get', 'delete', 'fly'),
    on: fc.constantFrom(
      'resource',
      'tool wipe',
      'tool look',
      'http /x',
      'foreign record 1',
      'foreign record 2',
    ),
    arguments: fc.constantFrom<Record<string, unknown>>({}, { amount: 5 }, { amount: 50 }, { amount: 'x' }),
    peer: fc.constantFrom('10.1.2.3', '192.0.2.1', '::ffff:10.0.0.1'),
    risk: fc.integer({ min: 0, max: 100 }),
    granted: fc.boolean(),
    groups: fc.subarray(['pilots', 'cooks']),
    for: fc.constantFrom('person ada', 'agent b'),
    at: fc.constantFrom('2026-11-25T10:00:00Z', '2026-11-25T14:00:00Z'),
  },
  { requiredKeys: ['who'] },
)

const named = (texts: readonly string[]): Record<string, string> =>
  Object.fromEntries(texts.map((text, at) => [`p${at}`, text]))

const sourceOf = (policies: Readonly<Record<string, string>>): string =>
  Object.entries(policies)
    .map(([id, text]) => `@id("${id}") ${text}`)
    .join('\n')

const plainly = (policies: Readonly<Record<string, string>>, asked: Case): Plain =>
  plain({ ...builtIns, ...policies })(askedOf(asked), asked.granted ?? true)

const policies = fc.array(policy, { maxLength: 8 })

test('agrees with the plain engine on a thousand sets and requests, on the answer, the reasons and the failures', () => {
  const seen = { allowed: 0, failed: 0 }
  fc.assert(
    fc.property(policies, given, (texts, asked) => {
      const set = named(texts)
      const { readsClock: _clock, ...ours } = answerOf(sourceOf(set), asked)
      assert.deepEqual(ours, plainly(set, asked))
      seen.allowed += ours.allowed ? 1 : 0
      seen.failed += ours.errors.length > 0 ? 1 : 0
    }),
    { numRuns: 1000 },
  )
  // A generator that never permits, or never fails, would agree about nothing.
  assert.ok(seen.allowed > 50 && seen.failed > 5, JSON.stringify(seen))
})

test('what is generated is what the schema accepts', () => {
  fc.assert(
    fc.property(policy, text => {
      const problems = checkPolicies(text, ['fly'])
      // Some scopes can never be met, one condition may fail, and ids are short here: that this is told is right.
      assert.ok(
        problems.every(({ say }) => /impossible|false|unable to guarantee safety|named by its id/.test(say)),
        JSON.stringify(problems),
      )
    }),
    { numRuns: 200 },
  )
})

test('denies by default, and no forbid makes a yes of a no (property 28)', () => {
  fc.assert(
    fc.property(policies, policy, given, (texts, one, asked) => {
      const before = answerOf(sourceOf(named(texts)), asked)
      const after = answerOf(sourceOf(named([...texts, one.replace(/^permit/, 'forbid')])), asked)
      assert.ok(before.allowed || !after.allowed)
      const permits = texts.filter(text => text.startsWith('permit'))
      const more = answerOf(sourceOf(named([...permits, one.replace(/^forbid/, 'permit')])), asked)
      // A permit that fails refuses too; apart from that it takes nothing away.
      if (answerOf(sourceOf(named(permits)), asked).allowed) assert.ok(more.allowed || more.errors.length > 0)
      if (!asked.who?.startsWith('agent')) assert.equal(answerOf('', asked).allowed, false)
    }),
    { numRuns: 200 },
  )
})

test('order, repetition and names of policies do not matter (property 29)', () => {
  fc.assert(
    fc.property(policies, given, (texts, asked) => {
      const { allowed, errors } = answerOf(sourceOf(named(texts)), asked)
      const backwards = answerOf(sourceOf(named(texts.toReversed())), asked)
      const twice = answerOf(sourceOf(named([...texts, ...texts])), asked)
      const renamed = Object.fromEntries(texts.map((text, at) => [`q${at}`, text]))
      const other = answerOf(sourceOf(renamed), asked)
      assert.deepEqual([backwards.allowed, twice.allowed, other.allowed], [allowed, allowed, allowed])
      assert.deepEqual(
        other.errors,
        errors.map(id => id.replace('p', 'q')),
      )
    }),
    { numRuns: 200 },
  )
})

test('an agent without a grant is refused, whatever a set permits', () => {
  fc.assert(
    fc.property(policies, given, (texts, asked) => {
      const who = 'agent a'
      assert.equal(answerOf(sourceOf(named(texts)), { ...asked, who, granted: false }).allowed, false)
    }),
    { numRuns: 200 },
  )
})
