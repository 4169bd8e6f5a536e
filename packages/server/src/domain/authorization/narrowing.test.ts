// Tokens with authorization details are contained in the grants that they rest on (RFC 9396 §6, property 1, threat C29).
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { AuthorizationDetail } from '@writ/sdk/protocol/details/detail'
import { containsDetails } from '@writ/sdk/protocol/details/index'
import type { AgentId, GrantId, ResourceId } from '@writ/sdk/protocol/identifier'
import fc from 'fast-check'
import type { Grant } from '../grant.ts'
import { leavesOf, type Resource } from '../resource.ts'
import { type Asked, isRefused, narrow } from './narrowing.ts'

const now = 1_000
const identifier = 'https://shop.example'

const scope = (name: string, sensitive = false, includes: readonly string[] = []) => ({
  ...{ name, description: '', includes },
  sensitive,
})

const resource: Resource = {
  id: 'res_1' as ResourceId,
  identifier,
  name: 'shop',
  scopes: [scope('read'), scope('write'), scope('erase', true), scope('all', false, ['read', 'write'])],
  introspectionClients: [],
  bearerAllowed: false,
  createdAt: 0,
  updatedAt: 0,
}

const tool = (name: string, max?: number): AuthorizationDetail => ({
  ...{ type: 'mcp_tool', server: identifier, tool: name },
  ...(max === undefined ? {} : { arguments: { amount: { range: { max } } } }),
})

let count = 0
const grantOf = (given: Partial<Grant>): Grant => ({
  id: `grt_${++count}` as GrantId,
  agent: 'agt_1' as AgentId,
  resource: identifier,
  scopes: [],
  authorizationDetails: [],
  reason: 'test',
  expiresAt: null,
  createdAt: 0,
  createdBy: 'agt_0' as AgentId,
  revokedAt: null,
  ...given,
})

const budget = { unit: 'calls', currency: null, limit: 1, windowSeconds: 60, burst: 0 } as const

const detail = fc
  .tuple(fc.constantFrom('pay', 'list'), fc.constantFrom(undefined, 10, 100))
  .map(([name, max]) => tool(name, max))
const details = fc.uniqueArray(detail, { maxLength: 2, selector: one => JSON.stringify(one) })
const names = ['read', 'write', 'erase', 'all']
const grant = fc
  .record({
    scopes: fc.subarray(names, { maxLength: 2 }),
    authorizationDetails: details,
    expiresAt: fc.constantFrom(null, now, now + 5, now + 9),
    condition: fc.constantFrom(null, null, null, 'true'),
    resource: fc.constantFrom(identifier, identifier, identifier, 'https://other.example'),
  })
  .map(grantOf)
const grants = fc.array(grant, { maxLength: 5 })
const asked: fc.Arbitrary<Asked> = fc.record({
  scopes: fc.oneof(fc.constant(undefined), fc.subarray(names, { minLength: 1, maxLength: 2 })),
  details: fc.oneof(
    fc.constant(undefined),
    details.filter(list => list.length > 0),
  ),
})

const of = (given: Grant) => given.authorizationDetails ?? []
const kindOf = (given: Grant) => `${given.scopes.length > 0} ${of(given).length > 0}`

/** Checks a property of what is issued, and that it was issued often enough to say anything. */
function always(
  check: (result: Exclude<ReturnType<typeof narrow>, { refused: string }>, asked: Asked) => void,
) {
  let issued = 0
  fc.assert(
    fc.property(grants, asked, (given, wanted) => {
      const result = narrow(resource, given, wanted, now)
      if (isRefused(result)) return
      issued++
      check(result, wanted)
    }),
    { numRuns: 3_000 },
  )
  assert.ok(issued > 100, `${issued}`)
}

const granted = (result: ReturnType<typeof narrow>) => {
  assert.ok(!isRefused(result))
  return result
}

describe('a token with details', () => {
  it('has no detail that is not contained in one of a grant it rests on, or limits scopes that have none', () => {
    always(result => {
      const { details: issued, grants: used } = granted(result)
      for (const one of issued)
        assert.ok(used.some(given => of(given).length === 0 || containsDetails(of(given), [one])))
    })
  })

  it('has each detail of the request and no other, and each scope of the request and no other', () => {
    always((result, wanted) => {
      const { details: issued, scopes } = granted(result)
      if (wanted.details !== undefined) assert.deepEqual(issued, wanted.details)
      if (wanted.scopes !== undefined) assert.deepEqual(scopes, leavesOf(resource.scopes, wanted.scopes))
    })
  })

  it('rests on grants of one kind, and is limited wherever they are', () => {
    always(result => {
      const { details: issued, scopes, grants: used } = granted(result)
      assert.ok(new Set(used.map(kindOf)).size <= 1)
      for (const given of used) {
        if (of(given).length > 0) assert.ok(issued.length > 0)
        if (given.scopes.length > 0) assert.ok(scopes.length > 0)
      }
    })
  })

  it('has no sensitive scope that the request does not name', () => {
    always((result, wanted) => {
      if (wanted.scopes === undefined) assert.ok(!granted(result).scopes.includes('erase'))
    })
  })

  it('says that it needs decisions wherever a grant has more limits than scopes', () => {
    always(result => {
      const { grants: used, needsDecision, details: issued } = granted(result)
      const isLimited = used.some(given => of(given).length > 0 || given.condition !== null)
      assert.equal(needsDecision, isLimited || issued.length > 0)
    })
  })

  it('ends with the first of the grants that it rests on', () => {
    always(result => {
      const { grants: used, expiresAt } = granted(result)
      for (const given of used)
        if (given.expiresAt !== null) assert.ok(expiresAt !== null && expiresAt <= given.expiresAt)
    })
  })

  it('gives what it has, asked for again, and never more', () => {
    fc.assert(
      fc.property(grants, asked, (given, wanted) => {
        const first = narrow(resource, given, wanted, now)
        if (isRefused(first) || first.details.length === 0) return
        const again = narrow(
          resource,
          first.grants,
          { scopes: first.scopes.length === 0 ? undefined : first.scopes, details: first.details },
          now,
        )
        assert.deepEqual(granted(again).scopes.toSorted(), first.scopes.toSorted())
        assert.deepEqual(granted(again).details, first.details)
      }),
      { numRuns: 3_000 },
    )
  })
})

describe('what is asked for', () => {
  const plain = grantOf({ scopes: ['read'] })
  const limited = grantOf({ scopes: ['write'], authorizationDetails: [tool('pay', 100)] })
  const bare = grantOf({ authorizationDetails: [tool('list')] })
  const all = [limited, bare, plain]

  it('is by default what needs no details', () => {
    const { scopes, details: issued, grants: used } = granted(narrow(resource, all, {}, now))
    assert.deepEqual([scopes, issued, used], [['read'], [], [plain]])
  })

  it('is by default what has details, where there is nothing else', () => {
    assert.deepEqual(granted(narrow(resource, [limited], {}, now)).details, [tool('pay', 100)])
    assert.deepEqual(granted(narrow(resource, [bare], {}, now)).details, [tool('list')])
  })

  it('comes with the details of its grant', () => {
    const { scopes, details: issued } = granted(narrow(resource, all, { scopes: ['write'] }, now))
    assert.deepEqual([scopes, issued], [['write'], [tool('pay', 100)]])
  })

  it('is refused where one scope has details and another has none', () => {
    assert.ok('refused' in narrow(resource, all, { scopes: ['read', 'write'] }, now))
  })

  it('may be less than a detail, and no more', () => {
    const pay = (max?: number) =>
      narrow(resource, all, { scopes: ['write'], details: [tool('pay', max)] }, now)
    assert.deepEqual(granted(pay(10)).details, [tool('pay', 10)])
    assert.ok('refusedDetails' in pay(101))
    assert.ok('refusedDetails' in pay())
  })

  it('may limit scopes that have no details', () => {
    const result = granted(narrow(resource, all, { scopes: ['read'], details: [tool('find')] }, now))
    assert.deepEqual([result.scopes, result.details, result.needsDecision], [['read'], [tool('find')], true])
    const elsewhere = { ...tool('find'), server: 'https://other.example' }
    assert.ok('refusedDetails' in narrow(resource, all, { scopes: ['read'], details: [elsewhere] }, now))
  })

  it('is never a detail alone that would limit a sensitive scope', () => {
    const erase = grantOf({ scopes: ['erase'] })
    assert.ok('scopeNeeded' in narrow(resource, [erase], { details: [tool('pay')] }, now))
    const eraseLimited = grantOf({ scopes: ['erase'], authorizationDetails: [tool('pay')] })
    assert.ok('scopeNeeded' in narrow(resource, [eraseLimited], { details: [tool('pay')] }, now))
  })

  it('comes from the grants of several details together, without what one of them contains', () => {
    const narrower = grantOf({ authorizationDetails: [tool('list', 10)], expiresAt: now + 1 })
    const other = grantOf({ authorizationDetails: [tool('pay', 10)] })
    const result = granted(narrow(resource, [narrower, bare, other], {}, now))
    assert.deepEqual(result.details, [tool('list'), tool('pay', 10)])
    assert.equal(result.expiresAt, null)
  })

  it('comes from all the grants that have further limits, where none does without', () => {
    const limited = { condition: 'context.risk < 50' }
    for (const reach of [{ scopes: ['write'] }, { authorizationDetails: [tool('pay')] }]) {
      const spent = grantOf({ ...reach, budgets: [budget], expiresAt: now + 9 })
      const second = grantOf({ ...reach, budgets: [budget], expiresAt: now + 5 })
      const other = grantOf({ ...reach, ...limited })
      const wanted = 'scopes' in reach ? { scopes: ['write'] } : { details: [tool('pay', 10)] }
      const result = granted(narrow(resource, [second, spent, other], wanted, now))
      assert.deepEqual(result.grants, [other, spent, second])
      assert.deepEqual([result.expiresAt, result.needsDecision], [now + 5, true])
      const free = grantOf({ ...reach, expiresAt: now + 7 })
      const rid = granted(narrow(resource, [second, free, spent], wanted, now))
      assert.deepEqual(rid.grants, [free])
    }
  })
})
