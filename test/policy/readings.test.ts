// What policies read, in every form there is, reaches them: ours beside the plain engine with the whole request (properties 28, 33).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as cedar from '@cedar-policy/cedar-wasm/nodejs'
import {
  builtIns,
  compilePolicies,
  conditionHolds,
  evaluate,
  type PolicyAnswer,
  schemaWith,
} from '@writ/server/testing'
import fc from 'fast-check'
import { readings } from './expressions.ts'
import { askedOf, type Case } from './scene.ts'
import { plain, wholeRequest } from './whole.ts'

/** A request with everything in it; what is claimed is called like what is registered. */
const full: Case = {
  action: 'call',
  on: 'tool wipe',
  arguments: { amount: 5, on: true, list: ['a', 'b'], filter: { year: 2026 }, next: 'amount', gone: null },
  peer: '::ffff:10.0.0.1',
  at: '2026-11-25T10:00:00Z',
  risk: 70,
  keyAge: 90,
  authenticationAge: 30,
  task: 'amount',
  session: 'ses_1',
  claims: { model: 'm-2', team: 'blue', amount: 5, next: 'team', on: false },
  attested: { region: 'eu' },
  record: { model: 'm-1', labels: { team: 'red' } },
  groups: ['pilots', 'cooks'],
  instance: 'i',
  amounts: { calls: 2, rows: 7 },
  object: { amount: 50, team: 'red', next: 'on' },
  context: { amount: 'x', team: 'green', next: 'amount', on: true },
  approved: true,
}

/** They differ in who stands where, what is known, and what of it is claimed. */
const cases: readonly Case[] = [
  { ...full, for: ['person ada', 'agent b'] },
  {},
  { ...full, who: 'person ada', on: 'http /x', action: 'get', at: '2026-11-25T14:00:00Z' },
  { ...full, who: 'agent b', for: ['person bob', 'agent a'], about: 1, groups: ['cooks'], task: 'team' },
  { ...full, for: ['person ada', 'agent b'], about: 0, approved: false },
  { ...full, who: 'user alice', on: 'foreign record 1', arguments: {}, granted: false },
  { ...full, for: 'agent a', granted: false },
  { for: 'person ada', on: 'http /x', groups: ['cooks'], claims: { amount: 50 }, amounts: { rows: 1 } },
  { ...full, who: 'client c', on: 'resource', action: 'delete', peer: '192.0.2.1' },
  // From here on for what is generated alone.
  full,
  { ...full, for: ['person ada', 'agent b'], about: 1 },
  { ...full, who: 'agent b', for: ['person bob', 'agent a'], groups: [], risk: 10 },
  { ...full, who: 'person ada', for: 'agent b', on: 'resource', groups: [] },
  { who: 'person ada', groups: ['pilots'] },
  { who: 'user bob', on: 'foreign record 2', task: 'team', peer: '10.0.0.1', keyAge: 1 },
  { for: 'person ada', about: 0, on: 'tool look', action: 'fly', context: { team: 'red' }, session: 'ses_2' },
]
const scenes = cases.map(given => ({ asked: askedOf(given), granted: given.granted ?? true }))
type Scene = (typeof scenes)[number]
const chosen = scenes.slice(0, 9)

function ours(
  policies: Readonly<Record<string, string>>,
): (scene: Scene) => Omit<PolicyAnswer, 'readsClock'> {
  const source = Object.entries(policies)
    .map(([id, text]) => `@id("${id}") ${text}`)
    .join('\n')
  return ({ asked, granted }) => {
    const { readsClock: _, ...answer } = evaluate(compilePolicies({ source, digest: source }), asked, granted)
    return answer
  }
}

const policiesOf = (texts: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(texts.map((text, at) => [`p${at}`, text]))

/** Under one effect alone, every policy that holds is among the reasons. */
const scopes = {
  forbid: 'forbid (principal, action, resource)',
  permit: 'permit (principal is Writ::Agent, action, resource)',
}

test('a policy holds and fails where the plain engine says so, whatever it reads and in which form', () => {
  const theirs = plain(policiesOf(readings.map(reading => `${scopes.forbid} when { ${reading} };`)))
  const answers = chosen.map(({ asked, granted }) => theirs(asked, granted))
  const seen = { held: 0, failed: 0 }
  for (const [at, reading] of readings.entries()) {
    const answer = ours({ [`p${at}`]: `${scopes.forbid} when { ${reading} };` })
    for (const [number, scene] of chosen.entries()) {
      const { reasons, errors } = answer(scene)
      const { reasons: held = [], errors: failed = [] } = answers[number] ?? {}
      const told = [reasons, errors].map(ids => ids.includes(`p${at}`))
      assert.deepEqual(told, [held.includes(`p${at}`), failed.includes(`p${at}`)], `${reading} in ${number}`)
      seen.held += Number(told[0])
      seen.failed += Number(told[1])
    }
  }
  // Readings that never hold, or never fail, would show nothing.
  assert.ok(seen.held > 500 && seen.failed > 500, JSON.stringify(seen))
})

test('the condition of a grant holds where the plain engine says so', () => {
  const agents = scenes.filter(({ asked }) => asked.party.kind === 'agent').slice(0, 4)
  const theirs = plain(policiesOf(readings.map(reading => `${scopes.permit} when { ${reading} };`)))
  const answers = agents.map(({ asked }) => theirs(asked, true))
  for (const [at, reading] of readings.entries()) {
    for (const [number, { asked }] of agents.entries()) {
      const { reasons = [], errors = [] } = answers[number] ?? {}
      const expected = errors.includes(`p${at}`) ? 'error' : reasons.includes(`p${at}`)
      assert.equal(conditionHolds(reading, asked), expected, `${reading} in ${number}`)
    }
  }
})

/** Readings within each other and beside each other: what one of them does not need, another does. */
const nested = fc.letrec<{ readonly any: string }>(tie => ({
  any: fc.oneof(
    { maxDepth: 2, depthSize: 'small', withCrossShrink: true },
    { weight: 3, arbitrary: fc.constantFrom(...readings) },
    fc
      .tuple(tie('any'), fc.constantFrom('&&', '||', '=='), tie('any'))
      .map(([a, by, b]) => `((${a}) ${by} (${b}))`),
    fc.tuple(tie('any'), tie('any'), tie('any')).map(([a, b, c]) => `(if (${a}) then (${b}) else (${c}))`),
    tie('any').map(one => `!(${one})`),
    fc.tuple(tie('any'), tie('any')).map(([a, b]) => `[${a}, true].contains(${b})`),
    // A member that is called like an operator hides nothing of what stands in it.
    tie('any').map(one => `{ "hasTag": ${one}, "left": 1 }.hasTag`),
  ),
})).any

const scope = fc.constantFrom(
  'principal, action, resource',
  'principal is Writ::Agent, action, resource',
  'principal in Writ::Group::"pilots", action, resource',
  'principal, action == Writ::Action::"call", resource in Writ::Resource::"https://api.example"',
  'principal == Writ::Agent::"a", action, resource is Writ::Tool',
)

test('policies beside each other answer as the plain engine does, one request after the other', () => {
  // Many that look at little: what their scopes need is handed over all the same.
  const little = fc.constantFrom('context.granted', 'context.risk > 50', 'true')
  const condition = fc.oneof(little, nested)
  const policy = fc
    .tuple(scope, condition, condition)
    .map(([given, first, second]) => `(${given}) when { ${first} } unless { ${second} };`)
  const sets = fc
    .tuple(
      fc.constantFrom(['forbid'], ['permit'], ['permit', 'forbid']),
      fc.array(policy, { minLength: 1, maxLength: 4 }),
    )
    .map(([effects, texts]) => policiesOf(texts.map((text, at) => `${effects[at % effects.length]} ${text}`)))
  const some = fc.shuffledSubarray(scenes, { minLength: 5, maxLength: 5 })
  const seen = { held: 0, failed: 0 }
  fc.assert(
    fc.property(sets, some, (set, asked) => {
      const [answer, theirs] = [ours(set), plain({ ...builtIns, ...set })]
      // What was made ready for one request must serve no other.
      for (const scene of asked) {
        const told = answer(scene)
        assert.deepEqual(told, theirs(scene.asked, scene.granted))
        seen.held += told.reasons.filter(id => id.startsWith('p')).length
        seen.failed += told.errors.length
      }
    }),
    { numRuns: 400 },
  )
  assert.ok(seen.held > 50 && seen.failed > 50, JSON.stringify(seen))
})

test('every request fits the schema that policies are validated against', () => {
  const schema = schemaWith(['call', 'get', 'delete', 'fly'])
  for (const { asked, granted } of scenes) {
    const answer = cedar.isAuthorized({
      ...wholeRequest(asked, granted),
      policies: { staticPolicies: builtIns },
      schema,
      validateRequest: true,
    })
    assert.equal(answer.type, 'success', JSON.stringify(answer))
  }
})
