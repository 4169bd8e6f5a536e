// The register of types, times and claims: nothing is taken for what it is not, and no odd number slips past a clock.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  audienceOf,
  checkTimes,
  isNumericDate,
  isTyp,
  parseClaims,
  stringOf,
  type TypName,
  typRow,
  typs,
} from './jwt.ts'

const runs = { numRuns: 2_000 }
const all = Object.keys(typs) as TypName[]

test('knows each type with and without its prefix, in any case, and as that type alone', () => {
  for (const name of all) {
    for (const text of [
      name,
      name.toUpperCase(),
      `application/${name}`,
      `Application/${name.toUpperCase()}`,
    ]) {
      assert.deepEqual(
        all.filter(other => isTyp(text, other)),
        [name],
      )
      assert.equal(typRow(text), typs[name])
    }
  }
})

test('knows nothing else', () => {
  const others = [
    undefined,
    null,
    1,
    ['at+jwt'],
    {},
    '',
    'at',
    'at+jwt ',
    ' at+jwt',
    'at+jwt;v=1',
    'x/at+jwt',
    'application/application/at+jwt',
    'application/',
    'at+jw\u0165',
    'constructor',
    '__proto__',
    'id+jwt',
    'to\u212Aen-introspection+jwt',
  ]
  for (const typ of others) {
    assert.equal(typRow(typ), undefined, String(typ))
    for (const name of all) assert.equal(isTyp(typ, name), false)
  }
})

test('lets only a proof of possession bring its key along', () => {
  assert.deepEqual(
    all.filter(name => typRow(name)?.carriesKey === true),
    ['dpop+jwt'],
  )
})

const now = 1_000_000
const lax = { skewSeconds: 5, maxLifeSeconds: 60 }

test('judges times at their exact borders', () => {
  const cases: [claims: Record<string, unknown>, problem: string | undefined][] = [
    [{}, 'no_expiry'],
    [{ exp: now + 60 }, undefined],
    [{ exp: now - 4 }, undefined],
    [{ exp: now - 5 }, 'expired'],
    [{ exp: now - 4.5 }, undefined],
    [{ exp: now + 30, nbf: now + 5 }, undefined],
    [{ exp: now + 30, nbf: now + 5.1 }, 'not_yet_valid'],
    [{ exp: now + 30, iat: now + 5 }, undefined],
    [{ exp: now + 30, iat: now + 6 }, 'issued_in_future'],
    [{ exp: now + 30, iat: now - 30 }, undefined],
    [{ exp: now + 30, iat: now - 31 }, 'life_too_long'],
    [{ exp: now + 65 }, undefined],
    [{ exp: now + 66 }, 'life_too_long'],
    [{ exp: now + 66, iat: now + 5 }, 'life_too_long'],
  ]
  for (const [claims, problem] of cases)
    assert.equal(checkTimes(claims, now, lax), problem, JSON.stringify(claims))
  assert.equal(checkTimes({ exp: now + 1e9 }, now, { skewSeconds: 0 }), undefined)
  assert.equal(checkTimes({ exp: now }, now, { skewSeconds: 0 }), 'expired')
})

test('refuses times that are no numbers, negative, endless or absurd', () => {
  for (const odd of [
    '1000000',
    null,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    -1,
    1e12,
    9_007_199_254_740_991,
    [now],
    { now },
    true,
  ]) {
    assert.equal(isNumericDate(odd), false)
    assert.equal(checkTimes({ exp: odd }, now, lax), 'malformed_time')
    for (const name of ['iat', 'nbf'])
      assert.equal(checkTimes({ exp: now + 30, [name]: odd }, now, lax), 'malformed_time')
  }
})

test('refuses everything by a clock that is no number', () => {
  assert.equal(checkTimes({ exp: now + 30 }, Number.NaN, lax), 'expired')
})

test('never accepts a token outside its time, whatever else it says', () => {
  const instant = fc.integer({ min: now - 200, max: now + 200 })
  const claims = fc.record({ exp: instant, iat: instant, nbf: instant }, { requiredKeys: ['exp'] })
  fc.assert(
    fc.property(claims, fc.nat(30), fc.nat(100), (given, skewSeconds, maxLifeSeconds) => {
      if (checkTimes(given, now, { skewSeconds, maxLifeSeconds }) !== undefined) return
      assert.ok(now < given.exp + skewSeconds)
      assert.ok(given.nbf === undefined || given.nbf <= now + skewSeconds)
      assert.ok(
        given.iat === undefined ||
          (given.iat <= now + skewSeconds && given.exp - given.iat <= maxLifeSeconds),
      )
      assert.ok(given.exp <= now + skewSeconds + maxLifeSeconds)
    }),
    runs,
  )
})

test('reads one audience or several different ones, and nothing else', () => {
  assert.deepEqual(audienceOf({ aud: 'a' }), ['a'])
  assert.deepEqual(audienceOf({ aud: ['a', 'b'] }), ['a', 'b'])
  for (const aud of [
    undefined,
    null,
    '',
    [],
    ['a', 'a'],
    ['a', 1],
    ['a', ''],
    [['a']],
    {},
    1,
    Array(17).fill(0).map(String),
  ]) {
    assert.equal(audienceOf({ aud }), undefined)
  }
  assert.equal(audienceOf({ aud: Array.from({ length: 17 }, (_, at) => `${at}`) }), undefined)
})

test('reads a string claim only from a string within its bounds', () => {
  assert.equal(stringOf({ sub: 'a' }, 'sub'), 'a')
  for (const sub of [undefined, null, '', 1, ['a'], {}, 'a'.repeat(9)])
    assert.equal(stringOf({ sub }, 'sub', 8), undefined)
})

test('ends for arbitrary payloads with an object or nothing', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.jsonValue().map(value => Buffer.from(JSON.stringify(value))),
      ),
      payload => {
        const claims = parseClaims({ payload })
        if (claims === undefined) return
        assert.equal(typeof claims, 'object')
        checkTimes(claims, now, lax)
        audienceOf(claims)
      },
    ),
    runs,
  )
})
