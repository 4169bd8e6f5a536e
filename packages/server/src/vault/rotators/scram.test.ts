// Verifiers are held to the exchange of RFC 7677 §3.
import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { test } from 'node:test'
import { scramVerifier, verifierWith } from './scram.ts'

const exchange = [
  'n=user,r=rOprNGfwEbeRWgbNEkqO',
  'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
].join(',')
const proof = Buffer.from('dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=', 'base64')
const signature = '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='

test('a verifier proves the client and the server of the specification', async () => {
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
  const verifier = await verifierWith('pencil', salt, 4096)
  const [head, shown, keys = ''] = verifier.split('$')
  assert.deepEqual([head, shown], ['SCRAM-SHA-256', '4096:W22ZaJ0SNY7soEsUEjb6gQ=='])
  const [stored = Buffer.alloc(0), server = Buffer.alloc(0)] = keys
    .split(':')
    .map(key => Buffer.from(key, 'base64'))
  assert.equal(createHmac('sha256', server).update(exchange).digest('base64'), signature)
  // RFC 5802 §3: StoredKey is the hash of the ClientKey that the proof hides.
  const mask = createHmac('sha256', stored).update(exchange).digest()
  const clientKey = proof.map((byte, at) => byte ^ (mask[at] ?? 0))
  assert.deepEqual(createHash('sha256').update(clientKey).digest(), stored)
})

test('each verifier has a salt of its own', async () => {
  assert.notEqual(await scramVerifier('same'), await scramVerifier('same'))
})

test('a password that SASLprep might change is refused', async () => {
  for (const wrong of ['', 'pass word', 'p\u00e4ss', '\u2168', 'p\u0000', "p'"]) {
    await assert.rejects(scramVerifier(wrong), JSON.stringify(wrong))
  }
})
