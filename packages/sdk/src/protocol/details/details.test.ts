// RFC 9396: the types of details hold what they say, and compare soundly.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { admits, type Constraint, containsConstraint, parseConstraint } from './constraint.ts'
import type { AuthorizationDetail, Operation } from './detail.ts'
import { containsDetails, coversOperation, detailTypes, leastDetail, parseDetails } from './index.ts'

const some = <T>(values: fc.Arbitrary<T>) => fc.uniqueArray(values, { minLength: 1, maxLength: 3 })

const scalar = fc.constantFrom<string | number | boolean | null>(
  ...['a', 'ab', 'b/c', ''],
  0,
  1,
  2.5,
  true,
  null,
)
const bound = fc.integer({ min: 0, max: 3 })
const constraint = fc
  .tuple(
    fc.oneof(
      fc.constant({ any: true }),
      fc.record({ exact: scalar }),
      fc.record({ one_of: some(scalar) }),
      fc.record({ subset: some(scalar) }),
      fc.tuple(bound, bound).map(([min, more]) => ({ range: { min, max: min + more } })),
      fc.record({ range: fc.oneof(fc.record({ min: bound }), fc.record({ max: bound })) }),
      fc.record({ prefix: fc.constantFrom('a', 'ab', 'b/') }),
      fc.record({ pattern: fc.constantFrom('a.*', 'ab?', '[a-c]/c') }),
    ),
    fc.boolean(),
  )
  .map(([one, optional]) => (optional ? { ...one, optional: true } : one) as unknown as Constraint)

const tool: fc.Arbitrary<AuthorizationDetail> = fc
  .record(
    {
      server: fc.constantFrom('https://a.example', 'https://b.example/mcp'),
      tool: fc.constantFrom('pay', '*'),
      arguments: fc.dictionary(fc.constantFrom('x', 'y'), constraint, { maxKeys: 2 }),
    },
    { requiredKeys: ['server', 'tool'] },
  )
  .map(members => ({ type: 'mcp_tool', ...members }))

const segment = fc.constantFrom('a', 'b', '{x}', '%20')
const http: fc.Arbitrary<AuthorizationDetail> = fc
  .record({
    host: fc.constantFrom('a.example', 'b.example'),
    methods: some(fc.constantFrom('GET', 'POST')),
    path: fc
      .tuple(fc.array(segment, { maxLength: 3 }), fc.constantFrom('', '/', '/{+rest}'))
      .map(([segments, end]) => segments.map(one => `/${one}`).join('') + end || '/'),
  })
  .map(members => ({ type: 'http', ...members }))

const sql: fc.Arbitrary<AuthorizationDetail> = fc
  .record({
    database: fc.constantFrom('shop', 'Shop'),
    schema: fc.constant('public'),
    tables: some(fc.constantFrom('orders', 'customers', 'keys')),
    verbs: some(fc.constantFrom('select', 'insert')),
  })
  .map(members => ({ type: 'sql', ...members }))

const value = fc.oneof(scalar, fc.array(scalar, { maxLength: 2 }), fc.constantFrom('ab', 'a/../b', 'b/c'))
const ofObject = (
  type: string,
  ids: readonly string[],
  actions: readonly string[],
): fc.Arbitrary<Operation> =>
  fc.record({
    action: fc.constantFrom(...actions),
    resource: fc.constantFrom('https://a.example', 'https://b.example/mcp'),
    object: fc.record({ type: fc.constant(type), id: fc.constantFrom(...ids) }),
    arguments: fc.dictionary(fc.constantFrom('x', 'y'), value, { maxKeys: 2 }),
  })

const operations: Readonly<Record<string, fc.Arbitrary<Operation>>> = {
  mcp_tool: ofObject('tool', ['pay', '*', 'PAY'], ['call']),
  http: ofObject('http', ['/', '/a', '/a/b', '/a/', '/{x}', '/A', '/a/b/a', '/a/%20'], ['get', 'post']),
  sql: ofObject(
    'sql',
    ['shop.public.orders', 'shop.public.keys', 'Shop.public.orders'],
    ['select', 'insert'],
  ),
}

/** What `parse` gives of a generated detail: all of them are right. */
function read(detail: AuthorizationDetail): readonly AuthorizationDetail[] {
  const parsed = parseDetails([detail])
  assert.ok(!('problem' in parsed), JSON.stringify(parsed))
  return parsed
}

const print = (value: unknown): string => JSON.stringify(value)

describe('constraints', () => {
  it('contain themselves', () => {
    fc.assert(fc.property(constraint, one => assert.ok(containsConstraint(one, one))))
  })

  it('contain what is contained in what they contain', () => {
    fc.assert(
      fc.property(constraint, constraint, constraint, (a, b, c) => {
        fc.pre(containsConstraint(a, b) && containsConstraint(b, c))
        assert.ok(containsConstraint(a, c))
      }),
      { numRuns: 200, maxSkipsPerRun: 1_000 },
    )
  })

  it('admit every value that one which they contain admits', () => {
    let held = 0
    fc.assert(
      fc.property(constraint, constraint, fc.oneof(value, fc.constant(undefined)), (a, b, given) => {
        if (!containsConstraint(a, b) || !admits(b, given)) return
        held++
        assert.ok(admits(a, given))
      }),
      { numRuns: 5_000 },
    )
    assert.ok(held > 20)
  })

  it('are read as what they print', () => {
    fc.assert(fc.property(constraint, one => assert.equal(print(parseConstraint(one)), print(one))))
  })
})

for (const [type, details] of Object.entries({ mcp_tool: tool, http, sql })) {
  describe(`details of type ${type}`, () => {
    it('contain themselves', () => {
      fc.assert(fc.property(details, one => assert.ok(containsDetails(read(one), read(one)))))
    })

    it('contain what is contained in what they contain', () => {
      fc.assert(
        fc.property(details, details, details, (a, b, c) => {
          fc.pre(containsDetails([a], [b]) && containsDetails([b], [c]))
          assert.ok(containsDetails([a], [c]))
        }),
        { numRuns: 100, maxSkipsPerRun: 5_000 },
      )
    })

    it('cover every operation that one which they contain covers', () => {
      let held = 0
      fc.assert(
        fc.property(details, details, operations[type] as fc.Arbitrary<Operation>, (a, b, asked) => {
          if (!containsDetails([a], [b]) || !coversOperation([b], asked)) return
          held++
          assert.ok(coversOperation([a], asked))
        }),
        { numRuns: 10_000 },
      )
      assert.ok(held > 2, `${held}`)
    })

    it('are read as what they print', () => {
      fc.assert(fc.property(details, one => assert.equal(print(read(one)), print([one]))))
    })

    it('are refused with a member that is unknown, and without one of theirs', () => {
      fc.assert(
        fc.property(details, fc.nat(), (one, at) => {
          assert.ok('problem' in parseDetails([{ ...one, privileges: ['admin'] }]))
          const names = Object.keys(one).filter(name => name !== 'arguments')
          const name = names[at % names.length] as string
          assert.ok('problem' in parseDetails([{ ...one, [name]: undefined }]))
          delete (one as Record<string, unknown>)[name]
          assert.ok('problem' in parseDetails([one]))
        }),
      )
    })
  })
}

describe('the least detail of an operation', () => {
  it('covers it, and is contained in everything that covers it', () => {
    let held = 0
    fc.assert(
      fc.property(fc.oneof(tool, http, sql), fc.oneof(...Object.values(operations)), (one, asked) => {
        const least = leastDetail(asked)
        if (least === undefined) return
        assert.ok(coversOperation([least], asked))
        // A detail that says nothing about arguments is told apart from one that forbids them all.
        if (!coversOperation([one], asked)) return
        held++
        assert.ok(containsDetails([one], [least]), JSON.stringify([one, least]))
      }),
      { numRuns: 10_000 },
    )
    assert.ok(held > 10)
  })
})

const at = (object: Operation['object'], action: string, given: Operation['arguments'] = {}): Operation => ({
  action,
  resource: 'https://a.example',
  object,
  arguments: given,
})

describe('what a detail of a tool does not cover', () => {
  const [pay] = read({
    type: 'mcp_tool',
    server: 'https://a.example',
    tool: 'pay',
    arguments: { amount: { range: { max: 100 } }, folder: { prefix: '/reports/', optional: true } },
  }) as [AuthorizationDetail]
  const call = (given: Operation['arguments'], id = 'pay') =>
    coversOperation([pay], at({ type: 'tool', id }, 'call', given))

  it('covers what it names', () => {
    assert.ok(call({ amount: 100 }))
    assert.ok(call({ amount: 1, folder: '/reports/2026' }))
  })

  for (const [what, given] of Object.entries({
    'an argument beyond its range': { amount: 100.01 },
    'a number in quotes': { amount: '1' },
    'no number': { amount: Number.NaN },
    'a list of one number': { amount: [1] },
    'a missing argument, whose default may be anything': {},
    'an argument that is not named': { amount: 1, currency: 'EUR' },
    'an argument named by the prototype of objects': { amount: 1, constructor: 'x' },
    'a path that leads out of the folder': { amount: 1, folder: '/reports/../keys' },
    'a path that leads out of the folder at its end': { amount: 1, folder: '/reports/..' },
    'a path that leads out of the folder once it is decoded': { amount: 1, folder: '/reports/%2e%2e%2fkeys' },
    'a path that leads out of the folder once it is decoded twice': { amount: 1, folder: '/reports/%252e' },
    'a path with the other slash': { amount: 1, folder: '/reports/..\\keys' },
    'a path in other letters': { amount: 1, folder: '/Reports/2026' },
    'a path that ends for some at its middle': { amount: 1, folder: '/reports/a\u0000.pdf' },
  }))
    it(what, () => assert.equal(call(given), false))

  for (const id of ['*', 'PAY', 'pay ', 'payment', 'ｐay', 'a#pay'])
    it(`another name: ${id}`, () => assert.equal(call({ amount: 1 }, id), false))
})

describe('what a detail of a path does not cover', () => {
  const [files] = read({
    type: 'http',
    host: 'a.example',
    methods: ['GET'],
    path: '/users/{id}/files/{+rest}',
  }) as [AuthorizationDetail]
  const gets = (id: string, action = 'get') => coversOperation([files], at({ type: 'http', id }, action))

  it('covers what the template is filled in to', () => {
    assert.ok(gets('/users/7/files/a'))
    assert.ok(gets('/users/7/files/a/b/'))
    assert.ok(gets('/users/a@b/files/%C3%89t%C3%A9%20%7B1%7D'))
  })

  for (const id of [
    ...['/users/7/files', '/users/7/files/', '/users//files/a', '/USERS/7/files/a', '/users/7/8/files/a'],
    ...['/users/7/files/../keys', '/users/./files/a', '/users/7/files/a//b', '/users/7/files/%2e%2e/keys'],
    ...['/users/7/files/a%2Fb', '/users/%37/files/a', '/users/7/files/%c3%a9', '/users/7/files/a?admin=1'],
    ...[
      '/users/7/files/a\\b',
      '/users/7/files/a%40b',
      '/users/7/files/a%C0%AFb',
      '/users/7/files/cafe%CC%81',
      '/users/7/files/a|b',
      '/users/7/files/a#b',
      'users/7/files/a',
      '//users/7/files/a',
      '/users/{id}/files/{+rest}',
    ],
  ])
    it(id, () => assert.equal(gets(id), false))

  it('another method, and another spelling of its own', () => {
    assert.equal(gets('/users/7/files/a', 'delete'), false)
    assert.equal(gets('/users/7/files/a', 'GET'), false)
  })

  it('the same path at another host', () => {
    const there = {
      ...at({ type: 'http', id: '/users/7/files/a' }, 'get'),
      resource: 'https://a.example.evil.example',
    }
    assert.equal(coversOperation([files], there), false)
  })
})

describe('details that are refused', () => {
  const toolOf = (members: object) => ({
    type: 'mcp_tool',
    server: 'https://a.example',
    tool: 'pay',
    ...members,
  })
  const httpOf = (members: object) => ({
    ...{ type: 'http', host: 'a.example', methods: ['GET'], path: '/' },
    ...members,
  })
  const sqlOf = (members: object) => ({
    ...{ type: 'sql', database: 'shop', schema: 'public', tables: ['orders'], verbs: ['select'] },
    ...members,
  })
  for (const [what, given] of Object.entries<unknown>({
    'no list': toolOf({}),
    'a list in a list': [[toolOf({})]],
    'nothing in a list': [null],
    'a type of another name': [{ ...toolOf({}), type: 'MCP_TOOL' }],
    'a type from the prototype of objects': [{ type: 'constructor' }],
    'a type that is a list': [{ type: ['mcp_tool'] }],
    'the same twice': [toolOf({}), toolOf({})],
    'a server in capitals': [toolOf({ server: 'https://A.example' })],
    'a server with its default port': [toolOf({ server: 'https://a.example:443' })],
    'a tool that turns its line around': [toolOf({ tool: 'pay\u202e' })],
    'a tool whose letters are composed otherwise': [toolOf({ tool: 'pa\u0301y' })],
    'arguments that are a list': [toolOf({ arguments: [] })],
    'arguments that are null': [toolOf({ arguments: null })],
    'an argument of the prototype': [toolOf({ arguments: JSON.parse('{"__proto__":{"any":true}}') })],
    'a constraint of two kinds': [toolOf({ arguments: { x: { exact: 1, any: true } } })],
    'a constraint of no kind': [toolOf({ arguments: { x: { optional: true } } })],
    'a constraint of an unknown kind': [toolOf({ arguments: { x: { glob: '*' } } })],
    'a constraint that may be optional': [toolOf({ arguments: { x: { any: true, optional: false } } })],
    'a range without ends': [toolOf({ arguments: { x: { range: {} } } })],
    'a range of no number': [toolOf({ arguments: { x: { range: { max: Number.NaN } } } })],
    'a range that is upside down': [toolOf({ arguments: { x: { range: { min: 2, max: 1 } } } })],
    'a range with a further member': [toolOf({ arguments: { x: { range: { max: 1, step: 1 } } } })],
    'a set of nothing': [toolOf({ arguments: { x: { one_of: [] } } })],
    'a set with the same twice': [toolOf({ arguments: { x: { one_of: [1, 1] } } })],
    'a prefix of nothing': [toolOf({ arguments: { x: { prefix: '' } } })],
    'a prefix that leads out': [toolOf({ arguments: { x: { prefix: '/a/../' } } })],
    'a pattern that is none': [toolOf({ arguments: { x: { pattern: '(a' } } })],
    'a host in capitals': [httpOf({ host: 'A.example' })],
    'a host with a path': [httpOf({ host: 'a.example/x' })],
    'a host of any name': [httpOf({ host: '*.example' })],
    'a host with a user': [httpOf({ host: 'a.example@evil.example' })],
    'a method in small letters': [httpOf({ methods: ['get'] })],
    'any method': [httpOf({ methods: ['*'] })],
    'no methods': [httpOf({ methods: [] })],
    'a path of a wildcard within a segment': [httpOf({ path: '/a{x}' })],
    'a rest that is not the end': [httpOf({ path: '/{+x}/a' })],
    'a template of another dialect': [httpOf({ path: '/{x*}' })],
    'a path with dot segments': [httpOf({ path: '/a/../b' })],
    'a path with an encoding that is not needed': [httpOf({ path: '/a%40b' })],
    'a path with an encoding of no character': [httpOf({ path: '/a%FF' })],
    'a path with an empty segment': [httpOf({ path: '//a' })],
    'any table': [sqlOf({ tables: ['*'] })],
    'a table with its schema': [sqlOf({ tables: ['public.orders'] })],
    'a table in quotes': [sqlOf({ tables: ['"orders"'] })],
    'a verb in capitals': [sqlOf({ verbs: ['SELECT'] })],
  }))
    it(what, () => assert.ok('problem' in parseDetails(given)))

  it('too many, and too long ones', () => {
    assert.ok('problem' in parseDetails(Array.from({ length: 65 }, (_, at) => toolOf({ tool: `t${at}` }))))
    const long = { x: { one_of: Array.from({ length: 64 }, (_, at) => `${at}${'x'.repeat(1_000)}`) } }
    assert.ok('problem' in parseDetails([toolOf({ arguments: long })]))
  })

  it('patterns that would make one call cost many', () => {
    const large = { pattern: '(\\w{0,64}){0,7}' }
    const given = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, at) => [`a${at}`, large]))
    assert.ok(!('problem' in parseDetails([toolOf({ arguments: given(2) })])))
    assert.ok('problem' in parseDetails([toolOf({ arguments: given(3) })]))
    // Spread over details, they cost as much.
    const details = Array.from({ length: 3 }, (_, at) => toolOf({ tool: `t${at}`, arguments: given(1) }))
    assert.ok('problem' in parseDetails(details))
    const small = { pattern: '[A-Z]{2}\\d{2}[A-Z0-9]{1,30}' }
    const many = Array.from({ length: 16 }, (_, at) => toolOf({ tool: `t${at}`, arguments: { iban: small } }))
    assert.ok(!('problem' in parseDetails(many)))
  })

  it('are of no type that was not written down', () => {
    assert.deepEqual(Object.keys(detailTypes), ['mcp_tool', 'http', 'sql'])
  })
})
