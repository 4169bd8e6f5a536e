// When a key is due.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { generateKeyPair } from '../protocol/jwk.ts'
import { dueAt } from './rotation-schedule.ts'

const keys = Array.from({ length: 8 }, () => generateKeyPair('ES256').sign)
const anyKey = fc.constantFrom(...keys)

test('a key is due about two thirds into its window, always with a good part of it left', () => {
  fc.assert(
    fc.property(anyKey, fc.nat(2 ** 31), fc.integer({ min: 1, max: 10 ** 8 }), (key, notBefore, seconds) => {
      const share = (dueAt({ key, notBefore, expiresAt: notBefore + seconds }) - notBefore) / seconds
      assert.ok(share >= 0.6 && share <= 0.71, String(share))
    }),
  )
})

test('an age that is set brings it forward and never back, and a key without an end waits for nothing else', () => {
  fc.assert(
    fc.property(
      anyKey,
      fc.integer({ min: 1, max: 10 ** 8 }),
      fc.integer({ min: 1, max: 10 ** 8 }),
      (key, window, age) => {
        const acting = { key, notBefore: 1000, expiresAt: 1000 + window }
        assert.ok(dueAt(acting, age) <= Math.min(dueAt(acting), 1000 + age))
        assert.ok(dueAt({ ...acting, expiresAt: null }, age) <= 1000 + age)
        assert.equal(dueAt({ ...acting, expiresAt: null }), Number.POSITIVE_INFINITY)
      },
    ),
  )
})

test('instances that enrolled together do not rotate together', () => {
  const dues = new Set(keys.map(key => dueAt({ key, notBefore: 0, expiresAt: 604_800 })))
  assert.equal(dues.size, keys.length)
})
