// The keys held in memory: the contract of providers, and what this one promises beyond it.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { importForeign } from '@writ/sdk/protocol/jwk'
import { parseJws, verifyJws } from '@writ/sdk/protocol/jws'
import { Secret } from '@writ/sdk/protocol/secret'
import type { Versioned } from '../../domain/change.ts'
import { type IssuerKey, moveKey } from '../../domain/issuer-key.ts'
import { defaultTenant } from '../../domain/tenant.ts'
import { aesGcmSealer, keyBytes, sealerOf } from '../aes-gcm.ts'
import { keysContract } from '../contract.ts'
import type { Keys } from '../keys.ts'
import type { Sealer } from '../sealer.ts'
import { type OpenKeysOptions, openKeys } from './local.ts'

const scope = { tenant: defaultTenant }
const at = { now: 1_700_000_000, activatesAt: 1_700_000_000 }
const newSealer = (): Sealer => aesGcmSealer(new Secret(new Uint8Array(randomBytes(keyBytes))))

const sealer = newSealer()
keysContract('local keys, ES256', given => openKeys({ ...given, sealer: () => sealer, freshSeconds: 30 }))
keysContract('local keys, Ed25519', given =>
  openKeys({ ...given, sealer: () => sealer, freshSeconds: 30, tokenAlg: 'Ed25519' }),
)

interface Filled {
  readonly keys: Keys
  readonly rows: Versioned<IssuerKey>[]
}

/** A provider with one active key of each purpose. */
const filled = async (options: Pick<OpenKeysOptions, 'sealer' | 'tokenAlg'>): Promise<Filled> => {
  const rows: Versioned<IssuerKey>[] = []
  const store = { issuerKeys: { list: async () => [...rows] }, signals: { head: async () => 1 } }
  const keys = openKeys({ store, now: () => at.now, ...options })
  for (const purpose of ['token', 'checkpoint', 'nonce'] as const) {
    rows.push({ ...(await keys.stage(scope, purpose, at)).key, state: 'active', version: 1 })
  }
  await keys.reload(scope)
  return { keys, rows }
}

const publicMembers = {
  ES256: ['crv', 'kty', 'x', 'y'],
  Ed25519: ['crv', 'kty', 'x'],
  PS256: ['e', 'kty', 'n'],
  'ML-DSA-44': ['kty', 'pub'],
} as const

for (const [alg, members] of Object.entries(publicMembers)) {
  test(`a key of ${alg} signs in its one length, and is published with its public members alone`, async () => {
    const tokenAlg = alg as keyof typeof publicMembers
    const { keys, rows } = await filled({ sealer: () => sealer, tokenAlg })
    const signer = keys.signer(scope, 'token')
    assert.equal(signer.alg, alg)
    const input = `${Buffer.from(JSON.stringify({ alg, typ: 'at+jwt' })).toString('base64url')}.e30`
    const signature = await signer.sign(input)
    assert.equal(signature.length, signer.signatureBytes)
    const jws = parseJws(`${input}.${Buffer.from(signature).toString('base64url')}`)
    const [published] = keys.published(scope).keys
    const verifier = importForeign(published, 'issuer')
    assert.ok(jws !== undefined && verifyJws(jws, verifier))
    assert.equal(verifier.jkt, rows[0]?.kid)
    assert.deepEqual(Object.keys(published ?? {}).sort(), [...members, 'alg', 'kid', 'use'].sort())
  })
}

test('an algorithm that is asked for goes before the configured one', async () => {
  const { keys } = await filled({ sealer: () => sealer })
  assert.equal((await keys.stage(scope, 'token', { ...at, alg: 'PS256' })).key.alg, 'PS256')
  // C2SP signed-note: checkpoints are signed with Ed25519, whatever was asked for.
  assert.equal((await keys.stage(scope, 'checkpoint', { ...at, alg: 'PS256' })).key.alg, 'Ed25519')
})

test('new token keys have the configured algorithm', async () => {
  for (const tokenAlg of ['ES256', 'Ed25519'] as const) {
    const { keys } = await filled({ sealer: () => sealer, tokenAlg })
    assert.equal(keys.signer(scope, 'token').alg, tokenAlg)
  }
  const { keys } = await filled({ sealer: () => sealer })
  assert.equal(keys.signer(scope, 'token').alg, 'ES256')
})

test('signing is synchronous, so that no promise stands in the hot path', async () => {
  const { keys } = await filled({ sealer: () => sealer })
  assert.ok(keys.signer(scope, 'token').sign('input') instanceof Uint8Array)
})

test('no private half is in any row, any answer or any printed form', async () => {
  const { keys, rows } = await filled({ sealer: () => sealer })
  const secrets = rows.map(({ sealed, purpose, kid }) => {
    const opened = sealer.open(sealed, JSON.stringify(['issuer-key', 'default', purpose, kid]))
    const text = Buffer.from(opened?.reveal() ?? []).toString(purpose === 'nonce' ? 'base64url' : 'utf8')
    return purpose === 'nonce' ? text : (JSON.parse(text) as { d: string }).d
  })
  const shown = [
    JSON.stringify(rows),
    JSON.stringify([keys.published(scope), keys.states(scope)]),
    inspect([keys, keys.signer(scope, 'token'), keys.published(scope)], { depth: 10 }),
  ].join('\n')
  for (const secret of secrets) {
    assert.ok(secret.length >= 43)
    assert.ok(!shown.includes(secret))
    assert.ok(!shown.includes(Buffer.from(secret, 'base64url').toString('hex')))
  }
})

test('each key is unsealed once, however often the store is read', async () => {
  let opened = 0
  const inner = newSealer()
  const counting: Sealer = {
    ...inner,
    open: (sealed, identity) => {
      opened += 1
      return inner.open(sealed, identity)
    },
  }
  const { keys, rows } = await filled({ sealer: () => counting })
  assert.equal(opened, 3)
  await keys.reload(scope)
  const first = rows[0] as Versioned<IssuerKey>
  rows[0] = { ...moveKey(first, 'supersede', at.now), retiresAt: at.now + 305, version: 2 }
  await keys.reload(scope)
  assert.equal(opened, 3)
})

test('making a key that takes long keeps nobody waiting', async () => {
  const { keys } = await filled({ sealer: () => sealer })
  let isMade = false
  const making = keys.stage(scope, 'token', { ...at, alg: 'PS256' }).finally(() => {
    isMade = true
  })
  let turns = 0
  for (; !isMade; turns += 1) await new Promise(setImmediate)
  await making
  // One that blocks lets nobody else have a turn before it is done.
  assert.ok(turns > 10, `${turns} turns`)
})

test('a key rests on what sealed it, also where another sealer took over while the pair was made', async () => {
  const restingOn = (subject: string): Sealer => ({
    ...newSealer(),
    basis: () => ({ epoch: 1, subjects: [subject] }),
  })
  const next = restingOn('next')
  let current = restingOn('former')
  const { keys } = await filled({ sealer: () => current })
  const making = keys.stage(scope, 'token', { ...at, alg: 'PS256' })
  current = next
  const { key, bases } = await making
  assert.equal(sealerOf(key.sealed), next.id)
  assert.deepEqual(bases, [next.basis?.()])
})
