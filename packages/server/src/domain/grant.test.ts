// What is issued is never more than what was granted and asked for (properties 1 and 17).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AgentId, GrantId, ResourceId } from '@writ/sdk/protocol/identifier'
import fc from 'fast-check'
import { type Asked, narrow as narrowTo } from './authorization/narrowing.ts'
import { type Grant, isGrantLive } from './grant.ts'
import { checkScopes, leavesOf, type Resource, type Scope } from './resource.ts'

const now = 1_000_000

const narrow = (resource: Resource, given: readonly Grant[], scopes: Asked['scopes'], at: number) =>
  narrowTo(resource, given, { scopes }, at)
const identifier = 'https://api.example'
const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']

// Members come later in the list than the bundle, so every generated hierarchy is free of cycles.
const scopes: fc.Arbitrary<readonly Scope[]> = fc
  .array(fc.record({ includes: fc.subarray(names), sensitive: fc.boolean() }), {
    minLength: names.length,
    maxLength: names.length,
  })
  .map(rows =>
    rows.map((row, index) => ({
      name: names[index] as string,
      description: '',
      sensitive: row.sensitive,
      includes: row.includes.filter(name => names.indexOf(name) > index + 1),
    })),
  )

const resourceOf = (list: readonly Scope[]): Resource => ({
  id: 'res_1' as ResourceId,
  identifier,
  name: 'api',
  scopes: list,
  introspectionClients: [],
  bearerAllowed: false,
  createdAt: 0,
  updatedAt: 0,
})

let count = 0
const grants: fc.Arbitrary<readonly Grant[]> = fc.array(
  fc
    .record({
      scopes: fc.subarray(names, { minLength: 1 }),
      expiresAt: fc.oneof(fc.constant(null), fc.integer({ min: now - 5, max: now + 5 })),
      revokedAt: fc.oneof(
        { weight: 4, arbitrary: fc.constant(null) },
        { weight: 1, arbitrary: fc.constant(now - 1) },
      ),
      resource: fc.oneof(
        { weight: 4, arbitrary: fc.constant(identifier) },
        { weight: 1, arbitrary: fc.constant('https://other.example') },
      ),
    })
    .map(given => ({
      ...given,
      id: `grt_${++count}` as GrantId,
      agent: 'agt_1' as AgentId,
      reason: 'test',
      createdAt: 0,
      createdBy: 'agt_0' as AgentId,
    })),
  { maxLength: 5 },
)

const asked = fc.oneof(fc.constant(undefined), fc.subarray(names))

/** The rights as a set, computed the slow way: every leaf that some live grant for this resource stands for. */
function held(resource: Resource, list: readonly Grant[]): Set<string> {
  return new Set(
    list
      .filter(grant => grant.resource === resource.identifier && isGrantLive(grant, now))
      .flatMap(grant => leavesOf(resource.scopes, grant.scopes)),
  )
}

test('never issues a leaf that no live grant for this resource stands for', () => {
  fc.assert(
    fc.property(scopes, grants, asked, (list, given, wanted) => {
      const resource = resourceOf(list)
      const result = narrow(resource, given, wanted, now)
      if (!('grants' in result)) return
      const rights = held(resource, given)
      for (const leaf of result.scopes) assert.ok(rights.has(leaf), leaf)
    }),
    { numRuns: 2000 },
  )
})

test('never issues a leaf that the request did not name', () => {
  fc.assert(
    fc.property(scopes, grants, fc.subarray(names), (list, given, wanted) => {
      const resource = resourceOf(list)
      const result = narrow(resource, given, wanted, now)
      if (!('grants' in result)) return
      assert.deepEqual(new Set(result.scopes), new Set(leavesOf(list, wanted)))
    }),
    { numRuns: 2000 },
  )
})

test('omitting scope never yields more than naming every scope, and nothing sensitive', () => {
  fc.assert(
    fc.property(scopes, grants, (list, given) => {
      const resource = resourceOf(list)
      const standard = narrow(resource, given, undefined, now)
      assert.ok('grants' in standard)
      const rights = held(resource, given)
      for (const leaf of standard.scopes) {
        assert.ok(rights.has(leaf))
        assert.equal(list.find(scope => scope.name === leaf)?.sensitive, false)
      }
    }),
    { numRuns: 2000 },
  )
})

test('refuses the whole request when one of its scopes is not granted', () => {
  fc.assert(
    fc.property(scopes, grants, fc.subarray(names, { minLength: 1 }), (list, given, wanted) => {
      const resource = resourceOf(list)
      const rights = held(resource, given)
      const covered = wanted.every(name => {
        const leaves = leavesOf(list, [name])
        return leaves.length > 0 && leaves.every(leaf => rights.has(leaf))
      })
      assert.equal('refused' in narrow(resource, given, wanted, now), !covered)
    }),
    { numRuns: 2000 },
  )
})

test('never outlives a grant that it rests on', () => {
  fc.assert(
    fc.property(scopes, grants, asked, (list, given, wanted) => {
      const result = narrow(resourceOf(list), given, wanted, now)
      if (!('grants' in result)) return
      for (const grant of result.grants) {
        assert.ok(isGrantLive(grant, now))
        if (grant.expiresAt !== null)
          assert.ok(result.expiresAt !== null && result.expiresAt <= grant.expiresAt)
      }
    }),
    { numRuns: 2000 },
  )
})

test('an agent without a grant gets no scope by default and none by name', () => {
  const resource = resourceOf([{ name: 'read', description: '', includes: [], sensitive: false }])
  const standard = narrow(resource, [], undefined, now)
  assert.deepEqual('scopes' in standard && standard.scopes, [])
  assert.deepEqual(narrow(resource, [], ['read'], now), { refused: 'read' })
})

test('a scope name is compared letter by letter: another case or form is another, unknown scope', () => {
  const resource = resourceOf([{ name: 'read', description: '', includes: [], sensitive: false }])
  const grant = {
    id: 'grt_1',
    agent: 'agt_1',
    resource: identifier,
    scopes: ['read'],
    reason: '',
    expiresAt: null,
    createdAt: 0,
    createdBy: 'agt_0',
    revokedAt: null,
  } as unknown as Grant
  for (const name of ['Read', 'READ', 'read ', 'ｒead', '__proto__', 'constructor']) {
    assert.deepEqual(narrow(resource, [grant], [name], now), { refused: name })
  }
})

test('finds what keeps scopes from being a hierarchy', () => {
  const scope = (name: string, ...includes: string[]): Scope => ({
    name,
    description: '',
    includes,
    sensitive: false,
  })
  assert.equal(checkScopes([scope('all', 'read', 'write'), scope('read'), scope('write')]), undefined)
  assert.deepEqual(checkScopes([scope('a', 'b'), scope('b', 'a')]), { kind: 'scope_cycle', scope: 'a' })
  assert.deepEqual(checkScopes([scope('a', 'a')]), { kind: 'scope_cycle', scope: 'a' })
  assert.deepEqual(checkScopes([scope('a', 'x')]), { kind: 'unknown_scope', scope: 'x', includedBy: 'a' })
  assert.deepEqual(checkScopes([scope('a'), scope('a')]), { kind: 'duplicate_scope', scope: 'a' })
})
