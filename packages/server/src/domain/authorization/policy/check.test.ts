// Bad policies: what is too long, too deep, unknown, contradictory or not what it claims to be is refused, and says why.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkCondition, checkPolicies, unknownInCondition } from './check.ts'
import { policyBytes } from './set.ts'

const always = 'permit (principal, action, resource)'
const when = (body: string): string => `${always} when { ${body} };`
const says = (source: string, actions: readonly string[] = []): string =>
  checkPolicies(source, actions)
    .map(({ policy, line, say }) => `${policy}:${line}: ${say}`)
    .join('\n')

test('refuses ten megabytes before anything parses them', () => {
  const started = performance.now()
  assert.match(says(when('true').padEnd(10_000_000, ' ')), /at most 128 KiB/)
  assert.match(says('é'.repeat(policyBytes / 2 + 1)), /at most 128 KiB/)
  assert.ok(performance.now() - started < 500)
})

test('refuses what nests so deep that the engine would die of it, and lives on', () => {
  const deep: readonly string[] = [
    `${'('.repeat(5000)}true${')'.repeat(5000)}`,
    `${'['.repeat(5000)}1${']'.repeat(5000)} == [1]`,
    `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)} == 1`,
    `${'!('.repeat(5000)}true${')'.repeat(5000)}`,
    Array(5000).fill('context.granted').join(' || '),
    `${Array(5000).fill('1').join(' + ')} > 0`,
    `${Array(900).fill('1').join(' + ')} > 0`,
    `context${'.a'.repeat(900)}`,
    // Accesses by a text in brackets, and calls of what was called, nest without a bracket within another.
    `context${'["a"]'.repeat(5000)}`,
    `context${'["a"]//\n'.repeat(5000)}`,
    `ip${'(1)'.repeat(5000)}`,
    `${'if true then true else '.repeat(5000)}true`,
    `true }${' when { true }'.repeat(9000)} when { true`,
    // A carriage return ends a comment.
    `// x\r${'('.repeat(5000)}true${')'.repeat(5000)}`,
    // Brackets within strings and comments are none: they hide no others.
    `"${'('.repeat(40)}" == "" ${'//)\n'.repeat(40)} || ${'('.repeat(40)}true${')'.repeat(40)}`,
  ]
  for (const body of deep) assert.match(says(when(body)), /deep|operators|`if`|128 KiB/, body.slice(0, 30))
  assert.equal(says(when('context.granted')), '')
})

test('brackets in strings and comments are no nesting', () => {
  assert.equal(says(when(`principal is Writ::Agent && principal.name == "${'(['.repeat(100)}"`)), '')
  assert.equal(says(`// ${'('.repeat(100)}\n${when('context.granted')}`), '')
  assert.equal(says(`@id("a\\"${'('.repeat(10)}") ${when('context.granted')}`).includes('An id is'), true)
})

test('a set of many members is no problem, and one of too many is too long', () => {
  const members = (count: number) => Array.from({ length: count }, (_, at) => `"m${at}"`).join(',')
  assert.equal(says(when(`principal is Writ::Agent && [${members(5000)}].contains(principal.name)`)), '')
  assert.match(says(when(`[${members(30_000)}].contains("x")`)), /128 KiB/)
})

test('refuses patterns that a long text could be compared with for minutes', () => {
  const like = (pattern: string) => `principal is Writ::Agent && principal.name like "${pattern}"`
  const long = like(`*${'a'.repeat(256)}`)
  assert.match(says(when(long)), /policy0:1: A pattern of `like` has at most 256/)
  assert.match(checkCondition(long) ?? '', /at most 256/)
  assert.equal(says(when(like(`*${'a'.repeat(255)}`))), '')
  assert.match(says(`${when(like(`*${'a'.repeat(200)}`))}\n`.repeat(21)), /policy20:21: .* more than 4096/)
  // An escaped star is one letter, and a member that is called like the operator is none.
  assert.equal(says(when(like('\\*'.repeat(256)))), '')
  assert.equal(
    says(when(`{ "like": "${'a'.repeat(300)}" } == { "like": context.task }`)).includes('pattern'),
    false,
  )
})

test('names the policy and the line of every problem', () => {
  const source = `@id("fine")\n${always};\n@id("wrong")\n${always}\n  when { context.nope };`
  assert.match(says(source), /^wrong:5: .*`nope`/)
  assert.match(says(`${always};\n${always}\n when { context.risk = 1 };`), /:3: /)
})

test('refuses attributes that may be absent, that another type lacks, and conditions that never hold', () => {
  for (const body of [
    'context.peer.isLoopback()',
    'principal.purpose == "x"',
    'context.arguments.getTag("amount").text == "1"',
    'principal is Writ::Agent && principal.hasTag("m") && principal.getTag("m").number > 1',
    'context.risk > "1"',
    'context.risk > 50 && false',
  ])
    assert.notEqual(says(when(body)), '', body)
})

test('refuses actions that nobody knows, wherever they are named', () => {
  const fly = 'Writ::Action::"fly"'
  for (const source of [
    `permit (principal, action == ${fly}, resource);`,
    `permit (principal, action in [Writ::Action::"call", ${fly}], resource);`,
    when(`action == ${fly}`),
    when(`[Writ::Action::"call", ${fly}].contains(action)`),
  ]) {
    assert.match(says(source), /action or scope "fly"/)
    assert.equal(says(source, ['fly']), '')
  }
})

test('thousands of unknown actions beside thousands of known ones are refused without a look at each pair', () => {
  const unknown = Array.from({ length: 6000 }, (_, at) => `Writ::Action::"u${at.toString(36)}"`).join(',')
  const known = Array.from({ length: 5000 }, (_, at) => `${'Ä'.repeat(100)}${at}`)
  let looks = 0
  const counted = {
    *[Symbol.iterator]() {
      for (const one of known) {
        looks += 1
        yield one
      }
    },
  }
  const problems = checkPolicies(`permit (principal, action in [${unknown}], resource);`, counted)
  assert.deepEqual([problems.length, looks], [20, known.length])
})

test('the condition of a grant names actions that its resource has, in their one spelling', () => {
  const says = (text: string): string => unknownInCondition(text, ['orders:read']) ?? ''
  assert.equal(says('action == Writ::Action::"orders:read" || action == Writ::Action::"delete"'), '')
  assert.match(says('action != Writ::Action::"Delete"'), /"Delete": write "delete"/)
  assert.match(says('action != Writ::Action::"fly"'), /"fly": correct it/)
})

test('refuses names that nothing can have: the rule would never apply', () => {
  const ours = (type: string, id: string) => says(when(`principal == Writ::${type}::"${id}"`))
  assert.match(ours('Agent', 'reporter'), /:1: A Writ::Agent is named by its id, agt_…, not by "reporter"/)
  assert.match(ours('Person', 'ada'), /usr_…/)
  assert.match(ours('Client', 'dashboard'), /cli_…/)
  // A question makes a party of ours of these, and never a subject of others.
  for (const type of ['agent', 'Person', 'client'])
    assert.match(ours('Subject', `${type}:x`), /is one of ours/, type)
  assert.equal(ours('Subject', 'a%3Ab:x'), '')
  for (const type of ['a%3ab', 'a%']) assert.match(ours('Subject', `${type}:x`), /is written <type>:<id>/)
  assert.match(says(when('principal in Writ::Group::"pilots"')), /grp_…/)
  assert.match(checkCondition('principal == Writ::Agent::"AGT_00000000000000000000000001"') ?? '', /agt_…/)
  assert.equal(
    says(`permit (principal in Writ::Group::"grp_00000000000000000000000001", action, resource);`),
    '',
  )
  const resource = (id: string) => says(`permit (principal, action, resource in Writ::Resource::"${id}");`)
  for (const id of [
    'https://api.example/',
    'HTTPS://api.example',
    'https://api.example:443',
    'https://API.example',
  ])
    assert.match(resource(id), /is spelt "https:\/\/api.example" in every question/, id)
  assert.match(resource('API'), /named by its identifier/)
  assert.equal(resource('https://api.example/v1'), '')
  const tool = (id: string) => says(`permit (principal, action, resource == Writ::Tool::"${id}");`)
  for (const id of [
    'pay',
    'https://api.example',
    'https://api.example#',
    'https://api.example/#pay',
    'https://api.example#pay ',
  ])
    assert.notEqual(tool(id), '', id)
  for (const id of ['https://api.example#pay', 'https://api.example#a#b', 'https://api.example#\\"it\'s\\"'])
    assert.equal(tool(id), '', id)
  const object = (id: string) => says(`permit (principal, action, resource == Writ::Object::"${id}");`)
  for (const id of [
    'http:/a',
    'a#/b',
    '#HTTP:/a',
    '#http:/a/../b',
    '#http:/a%40b',
    '#http:a',
    '#tool:pay',
    '#http:',
  ])
    assert.notEqual(object(`https://api.example${id}`), '', id)
  for (const id of ['#http:/a', '#sql:shop.public.orders', '#invoice:17:4'])
    assert.equal(object(`https://api.example${id}`), '', id)
  assert.match(ours('Subject', 'alice'), /<type>:<id>/)
  assert.equal(ours('Subject', 'user:alice'), '')
})

test('tells no more of a problem than somebody reads', () => {
  for (const body of [`principal is ${'A::'.repeat(30_000)}A`, `context.${'a'.repeat(90_000)}`])
    for (const { say } of checkPolicies(when(body), [])) assert.ok(say.length <= 400, `${say.length}`)
})

test('tells which action is meant where only its letters differ', () => {
  assert.match(says('permit (principal, action == Writ::Action::"GET", resource);'), /"GET": write "get"/)
})

test('refuses the arguments and claims of a call by any name but that of the context', () => {
  assert.match(
    says(when('Writ::Arguments::"call".hasTag("x")')),
    /:1: A Writ::Arguments has no names: write context.arguments/,
  )
  assert.match(
    checkCondition('[Writ::Claims::"call"].contains(context.claims)') ?? '',
    /write context.claims/,
  )
  assert.equal(says(when('context.arguments is Writ::Arguments && context.claims.hasTag("x")')), '')
})

test('ids are unique, bounded, and none of ours', () => {
  assert.match(says(`@id("a") ${always};\n@id("a") ${always};`), /^a:2: Another policy/)
  assert.match(says(`@id("policy1") ${always};\n${always};`), /^policy1:2: Another policy/)
  assert.match(says(`@id("writ.granted") ${always};`), /built in/)
  assert.match(says(`@id("WRIT.granted") ${always};`), /built in/)
  assert.match(says(`@id("a b") ${always};`), /An id is/)
  assert.match(says(`@id("__proto__") ${always};`), /An id is/)
})

test('refuses templates, other namespaces and what is no policy', () => {
  for (const source of [
    'permit (principal == ?principal, action, resource);',
    'permit (principal is Agent, action, resource);',
    'permit (principal == Evil::Agent::"a", action, resource);',
    'permit (principal, action == Action::"call", resource);',
    'permit (principal, action, resource)',
    '{"effect":"permit"}',
    'permit',
  ])
    assert.notEqual(says(source), '', source)
})

test('more than nine policies keep their order and their names', () => {
  const source = Array.from({ length: 12 }, (_, at) =>
    at === 10 ? when('context.nope') : `${always};`,
  ).join('\n')
  assert.match(says(source), /^policy10:11: /)
})

test('a condition is one expression: nothing in it ends the policy around it', () => {
  assert.equal(checkCondition('context.risk < 50'), undefined)
  assert.equal(checkCondition('principal.purpose like "weekly*" // why'), undefined)
  for (const text of [
    '',
    'true }; permit (principal, action, resource) when { true',
    'true } when { false',
    'true } unless { false',
    'true };',
    '}',
    'context.risk <',
    'context.risk',
    'context.nope',
    `${'('.repeat(500)}true${')'.repeat(500)}`,
    ' '.repeat(5000),
  ])
    assert.notEqual(checkCondition(text), undefined, text.slice(0, 40))
})
