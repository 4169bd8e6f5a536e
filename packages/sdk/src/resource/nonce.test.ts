// DPoP nonces without storage: ours, fresh, the same on every process that shares the secret, nobody else's.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '../protocol/secret.ts'
import { createNonces } from './nonce.ts'

const secret = new Secret<Uint8Array>(new Uint8Array(32).fill(7))

test('accepts its nonces for two to four minutes, and those of a process that shares the secret', () => {
  const here = createNonces('https://api.example', secret)
  const there = createNonces('https://api.example', secret)
  const nonce = here.current(120_000)
  assert.match(nonce, /^[\w-]{32}$/)
  assert.equal(there.accepts(nonce, 120_000), true)
  assert.equal(there.accepts(nonce, 120_239), true)
  assert.equal(there.accepts(nonce, 120_240), false)
  assert.equal(there.accepts(nonce, 119_999), true, 'a process whose clock is a little ahead')
  assert.equal(there.accepts(nonce, 119_879), false)
  assert.notEqual(here.current(120_120), nonce)
})

test('refuses the nonces of another resource, of another secret, and nonsense', () => {
  const ours = createNonces('https://api.example', secret)
  assert.equal(ours.accepts(createNonces('https://other.example', secret).current(0), 0), false)
  assert.equal(ours.accepts(createNonces('https://api.example').current(0), 0), false)
  assert.equal(ours.accepts('', 0), false)
  assert.throws(() => createNonces('x', new Secret<Uint8Array>(new Uint8Array(31))), RangeError)
})
