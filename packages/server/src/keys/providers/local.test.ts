// The keys held in memory: what they sign, publish and show, and what happens when the store cannot be read.
import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { isFault } from '@writ/sdk/protocol/fault'
import { generateKeyPair, importPublic } from '@writ/sdk/protocol/jwk'
import { parseJws, verifyJws } from '@writ/sdk/protocol/jws'
import { Secret } from '@writ/sdk/protocol/secret'
import type { Versioned } from '../../domain/change.ts'
import { type IssuerKey, moveKey } from '../../domain/issuer-key.ts'
import { defaultTenant, type TenantId } from '../../domain/tenant.ts'
import { firstNonceKid, type Keys } from '../keys.ts'
import { aesGcmSealer, keyBytes } from './aes-gcm.ts'
import { type OpenKeysOptions, openKeys } from './local.ts'

const scope = { tenant: defaultTenant }
const start = 1_700_000_000

/** A provider over rows that the test changes at will. */
class Bench {
  rows: Versioned<IssuerKey>[] = []
  epoch = 1
  now = start
  steady = 50
  reads = 0
  fail: Error | undefined
  readonly sealer = aesGcmSealer(new Secret(new Uint8Array(randomBytes(keyBytes))))
  readonly keys: Keys

  constructor(options: Partial<OpenKeysOptions> = {}) {
    this.keys = openKeys({
      store: {
        issuerKeys: {
          list: async ({ tenant }) => {
            this.reads += 1
            if (this.fail) throw this.fail
            return tenant === defaultTenant ? [...this.rows] : []
          },
        },
        signals: { head: async () => this.epoch },
      },
      sealer: this.sealer,
      now: () => this.now,
      steadySeconds: () => this.steady,
      ...options,
    })
  }

  add(purpose: IssuerKey['purpose'], state: IssuerKey['state'] = 'active'): Versioned<IssuerKey> {
    const made = this.keys.stage(scope, purpose, { now: this.now, activatesAt: this.now })
    const row = { ...made, state, version: 1 }
    this.rows.push(row)
    return row
  }

  change(kid: string, members: Partial<IssuerKey>): void {
    this.rows = this.rows.map(row => (row.kid === kid ? { ...row, ...members } : row))
    this.epoch += 1
  }
}

const ready = async (options?: Partial<OpenKeysOptions>): Promise<Bench> => {
  const bench = new Bench(options)
  bench.add('token')
  bench.add('checkpoint')
  bench.add('nonce')
  await bench.keys.reload(scope)
  return bench
}

const faultOf =
  (code: string, kind: string) =>
  (error: unknown): boolean => {
    assert.ok(isFault(error), inspect(error))
    assert.deepEqual([error.code, error.why?.kind], [code, kind])
    return true
  }

const kidsOf = (keys: Keys): unknown[] => keys.published(scope).keys.map(key => key['kid'])

test('what the token key signs verifies with what is published, and with nothing else', async () => {
  for (const tokenAlg of ['ES256', 'Ed25519'] as const) {
    const { keys } = await ready({ tokenAlg })
    const signer = keys.signer(scope, 'token')
    assert.equal(signer.alg, tokenAlg)
    const header = Buffer.from(JSON.stringify({ alg: signer.alg, kid: signer.kid, typ: 'at+jwt' }))
    const input = `${header.toString('base64url')}.${Buffer.from('{}').toString('base64url')}`
    const signature = signer.sign(input)
    assert.ok(signature instanceof Uint8Array, 'no promise stands in the hot path')
    const jws = parseJws(`${input}.${Buffer.from(signature).toString('base64url')}`)
    const verifier = keys.verifier(scope, signer.kid)
    assert.ok(jws && verifier && verifyJws(jws, verifier))
    const published = keys.published(scope).keys.find(key => key['kid'] === signer.kid)
    assert.ok(published)
    assert.ok(verifyJws(jws, importPublic(published as never)))
    assert.ok(!verifyJws(jws, generateKeyPair(tokenAlg).verify))
  }
})

test('the JWKS shows public members alone, of token keys alone', async () => {
  const bench = await ready()
  const { keys } = bench.keys.published(scope)
  assert.equal(keys.length, 1)
  assert.deepEqual(Object.keys(keys[0] ?? {}).sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'])
  assert.equal(keys[0]?.['use'], 'sig')
  assert.deepEqual(kidsOf(bench.keys), [bench.keys.signer(scope, 'token').kid])
})

test('the JWKS is the same object until something changes', async () => {
  const bench = await ready()
  const first = bench.keys.published(scope)
  assert.equal(bench.keys.published(scope), first)
  bench.add('token', 'staged')
  await bench.keys.reload(scope)
  assert.notEqual(bench.keys.published(scope), first)
  assert.equal(bench.keys.published(scope), bench.keys.published(scope))
})

test('staged, active and retiring keys are published and verify; only the active one signs', async () => {
  const bench = await ready()
  const active = bench.keys.signer(scope, 'token').kid
  const staged = bench.add('token', 'staged').kid
  const retiring = bench.add('token', 'retiring').kid
  const retired = bench.add('token', 'retired').kid
  await bench.keys.reload(scope)
  assert.deepEqual(kidsOf(bench.keys), [active, staged, retiring])
  for (const kid of [active, staged, retiring]) assert.equal(bench.keys.verifier(scope, kid)?.jkt, kid)
  assert.equal(bench.keys.verifier(scope, retired), undefined)
  assert.equal(bench.keys.verifier(scope, ''), undefined)
  assert.equal(bench.keys.signer(scope, 'token').kid, active)
})

test('the checkpoint and nonce keys verify no token', async () => {
  const bench = await ready()
  for (const row of bench.rows.filter(({ purpose }) => purpose !== 'token')) {
    assert.equal(bench.keys.verifier(scope, row.kid), undefined, row.purpose)
  }
})

test('a retired key is back in the JWKS while the clock is before its end', async () => {
  const bench = await ready()
  const gone = bench.add('token', 'retired').kid
  bench.change(gone, { retiresAt: start + 100 })
  bench.now = start + 99
  await bench.keys.reload(scope)
  assert.ok(kidsOf(bench.keys).includes(gone))
  assert.ok(bench.keys.verifier(scope, gone))
  bench.now = start + 100
  assert.ok(!kidsOf(bench.keys).includes(gone))
  assert.equal(bench.keys.verifier(scope, gone), undefined)
})

test('a reload takes over the new key and drops the old one', async () => {
  const bench = await ready()
  const before = bench.keys.signer(scope, 'token')
  const next = bench.add('token', 'staged')
  bench.change(before.kid, { state: 'retiring', retiresAt: start + 305 })
  bench.change(next.kid, { state: 'active' })
  await bench.keys.reload(scope)
  const after = bench.keys.signer(scope, 'token')
  assert.equal(after.kid, next.kid)
  assert.ok(after.epoch > before.epoch)
  assert.equal(after.epoch, bench.epoch)
})

test('which key signs is the stored state and not a guess from its instants', async () => {
  const bench = await ready()
  const active = bench.keys.signer(scope, 'token').kid
  bench.add('token', 'staged')
  bench.now = start + 1_000_000
  await bench.keys.reload(scope)
  assert.equal(bench.keys.signer(scope, 'token').kid, active)
})

test('a reading that fails leaves what was read before, and signing ends when that has become old', async () => {
  const bench = await ready({ freshSeconds: 30 })
  const kid = bench.keys.signer(scope, 'token').kid
  bench.fail = new Error('the database went away')
  await assert.rejects(bench.keys.reload(scope), /went away/)
  bench.steady += 30
  assert.equal(bench.keys.signer(scope, 'token').kid, kid)
  bench.steady += 1
  for (const purpose of ['token', 'checkpoint'] as const) {
    assert.throws(
      () => bench.keys.signer(scope, purpose),
      faultOf('temporarily_unavailable', 'keys_outdated'),
    )
  }
  // What others verify with is no less true for being old.
  assert.deepEqual(kidsOf(bench.keys), [kid])
  assert.ok(bench.keys.verifier(scope, kid))
  bench.fail = undefined
  await bench.keys.reload(scope)
  assert.equal(bench.keys.signer(scope, 'token').kid, kid)
})

test('nothing signs and nothing is published before the first reading', () => {
  const { keys } = new Bench()
  const unread = faultOf('temporarily_unavailable', 'keys_not_read')
  assert.throws(() => keys.signer(scope, 'token'), unread)
  assert.throws(() => keys.published(scope), unread)
  assert.throws(() => keys.verifier(scope, 'x'), unread)
  assert.throws(() => keys.nonceMac(scope, 'x'), unread)
})

test('nobody signs where no key or more than one is active', async () => {
  const bench = await ready()
  const kid = bench.keys.signer(scope, 'token').kid
  bench.change(kid, { state: 'staged' })
  await bench.keys.reload(scope)
  assert.throws(() => bench.keys.signer(scope, 'token'), faultOf('temporarily_unavailable', 'no_active_key'))
  bench.change(kid, { state: 'active' })
  bench.add('token')
  await bench.keys.reload(scope)
  assert.throws(() => bench.keys.signer(scope, 'token'), faultOf('temporarily_unavailable', 'no_active_key'))
})

const readerOf = (rows: readonly Versioned<IssuerKey>[]): OpenKeysOptions['store'] => ({
  issuerKeys: { list: async () => rows },
  signals: { head: async () => 1 },
})

test('the states list the token keys, oldest first, without the sealed half', async () => {
  const bench = await ready()
  const staged = bench.add('token', 'staged')
  await bench.keys.reload(scope)
  const states = bench.keys.states(scope)
  assert.deepEqual(
    states.map(({ kid, state }) => [kid, state]),
    [
      [bench.rows[0]?.kid, 'active'],
      [staged.kid, 'staged'],
    ],
  )
  assert.ok(states.every(row => !('sealed' in row)))
})

test('all nodes with the same nonce key make the same MAC, and another tenant has none', async () => {
  const bench = await ready()
  const twin = openKeys({ store: readerOf(bench.rows), sealer: bench.sealer, now: () => start })
  await twin.reload(scope)
  const mac = Buffer.from(bench.keys.nonceMac(scope, 'window-1'))
  assert.equal(mac.length, 32)
  assert.deepEqual(Buffer.from(twin.nonceMac(scope, 'window-1')), mac)
  assert.notDeepEqual(Buffer.from(bench.keys.nonceMac(scope, 'window-2')), mac)
  assert.notDeepEqual(createHmac('sha256', '').update('window-1').digest(), mac)
  assert.throws(() => bench.keys.nonceMac({ tenant: 'other' as TenantId }, 'window-1'))
})

test('a staged key is new, sealed and named by its thumbprint', () => {
  const { keys, sealer } = new Bench()
  const at = { now: start, activatesAt: start + 120 }
  const [a, b] = [keys.stage(scope, 'token', at), keys.stage(scope, 'token', at)]
  assert.notEqual(a.kid, b.kid)
  assert.ok(a.jwk)
  assert.equal(a.kid, importPublic(a.jwk).jkt)
  assert.deepEqual(
    [a.state, a.createdAt, a.activatesAt, a.retiresAt, a.stateAt, a.alg],
    ['staged', start, start + 120, null, start, 'ES256'],
  )
  assert.ok(a.sealed.includes(sealer.id))
  assert.equal(keys.stage(scope, 'checkpoint', at).alg, 'Ed25519')
  const nonce = keys.stage(scope, 'nonce', at)
  assert.deepEqual([nonce.kid, nonce.jwk], [firstNonceKid, null])
})

test('no private half is in any row, any answer or any printed form', async () => {
  const bench = await ready()
  const secrets = bench.rows.map(({ sealed, purpose, kid }) => {
    const opened = bench.sealer.open(sealed, JSON.stringify(['issuer-key', 'default', purpose, kid]))
    const text = Buffer.from(opened?.reveal() ?? []).toString(purpose === 'nonce' ? 'base64url' : 'utf8')
    return purpose === 'nonce' ? text : (JSON.parse(text) as { d: string }).d
  })
  const shown = [
    JSON.stringify(bench.rows),
    JSON.stringify([bench.keys.published(scope), bench.keys.states(scope)]),
    inspect([bench.keys, bench.keys.signer(scope, 'token'), bench.keys.published(scope)], { depth: 10 }),
  ].join('\n')
  for (const secret of secrets) {
    assert.ok(secret.length >= 43)
    assert.ok(!shown.includes(secret))
    assert.ok(!shown.includes(Buffer.from(secret, 'base64url').toString('hex')))
  }
})

test('a reload during a reload sees what changed after the first had read', async () => {
  let finish = (): void => undefined
  const rows: Versioned<IssuerKey>[] = []
  let reads = 0
  const bench = new Bench({
    store: {
      issuerKeys: {
        list: async () => {
          reads += 1
          const seen = [...rows]
          if (reads === 1) {
            await new Promise<void>(resolve => {
              finish = resolve
            })
          }
          return seen
        },
      },
      signals: { head: async () => 1 },
    },
  })
  const first = bench.keys.reload(scope)
  while (reads === 0) await new Promise(setImmediate)
  rows.push({ ...bench.keys.stage(scope, 'token', { now: start, activatesAt: start }), version: 1 })
  const later = [bench.keys.reload(scope), bench.keys.reload(scope), bench.keys.reload(scope)]
  finish()
  await first
  assert.deepEqual(kidsOf(bench.keys), [])
  await Promise.all(later)
  assert.deepEqual(kidsOf(bench.keys), [rows[0]?.kid])
  assert.equal(reads, 2)
})

test('the epoch of a signer is never newer than what was read', async () => {
  let head = 7
  const bench = new Bench({
    store: {
      issuerKeys: {
        list: async () => {
          // Between the head and the list another node commits.
          head = 8
          return bench.rows
        },
      },
      signals: { head: async () => head },
    },
  })
  bench.add('token')
  await bench.keys.reload(scope)
  assert.equal(bench.keys.signer(scope, 'token').epoch, 7)
})

test('each key is unsealed once, however often the store is read', async () => {
  let opened = 0
  const inner = aesGcmSealer(new Secret(new Uint8Array(randomBytes(keyBytes))))
  const sealer = {
    ...inner,
    open: (sealed: string, identity: string) => {
      opened += 1
      return inner.open(sealed, identity)
    },
  }
  const bench = await ready({ sealer })
  assert.equal(opened, 3)
  await bench.keys.reload(scope)
  const kid = bench.keys.signer(scope, 'token').kid
  const row = bench.rows.find(each => each.kid === kid)
  assert.ok(row)
  bench.change(kid, { ...moveKey(row, 'supersede', start), retiresAt: start + 305 })
  await bench.keys.reload(scope)
  assert.equal(opened, 3)
})
