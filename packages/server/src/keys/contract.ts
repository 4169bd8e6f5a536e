// What every sealer and every provider of keys is held to, whoever writes it.
import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import { generateKeyPair, importForeign, importPublic } from '@writ/sdk/protocol/jwk'
import { parseJws, verifyJws } from '@writ/sdk/protocol/jws'
import { Secret } from '@writ/sdk/protocol/secret'
import type { Versioned } from '../domain/change.ts'
import type { IssuerKey } from '../domain/issuer-key.ts'
import { defaultTenant, type TenantId } from '../domain/tenant.ts'
import { firstNonceKid, type KeyReader, type Keys } from './keys.ts'
import type { Sealer } from './sealer.ts'

/** `open` makes a sealer with a key of its own at each call; `again` one with the key of the sealer it is given. */
export interface SealerSubject {
  open(): Sealer
  again(sealer: Sealer): Sealer
}

/** Registers the tests that an implementation of `Sealer` has to pass. */
export function sealerContract(name: string, subject: SealerSubject): void {
  const plain = (): Secret<Uint8Array> => new Secret(new Uint8Array(randomBytes(48)))
  const bytes = (opened: Secret<Uint8Array> | undefined): string | undefined =>
    opened && Buffer.from(opened.reveal()).toString('hex')

  test(`${name}: what was sealed for an identity opens for it, also on another node with the same key`, () => {
    const sealer = subject.open()
    for (const secret of [plain(), plain(), new Secret(new Uint8Array(0))]) {
      const sealed = sealer.seal(secret, 'record-1')
      assert.equal(bytes(sealer.open(sealed, 'record-1')), bytes(secret))
      assert.equal(bytes(subject.again(sealer).open(sealed, 'record-1')), bytes(secret))
    }
    assert.equal(subject.again(sealer).id, sealer.id)
  })

  test(`${name}: a sealed text moved to another record does not open`, () => {
    const sealer = subject.open()
    const first = sealer.seal(plain(), 'record-1')
    const second = sealer.seal(plain(), 'record-2')
    assert.equal(sealer.open(first, 'record-2'), undefined)
    assert.equal(sealer.open(second, 'record-1'), undefined)
    for (const near of ['', 'record-', 'record-11', 'Record-1', 'record-1 ', 'record-1\u0000']) {
      assert.equal(sealer.open(first, near), undefined, JSON.stringify(near))
    }
  })

  test(`${name}: a sealer with another key has another id and opens nothing`, () => {
    const [one, other] = [subject.open(), subject.open()]
    assert.notEqual(one.id, other.id)
    const sealed = one.seal(plain(), 'record-1')
    assert.equal(other.open(sealed, 'record-1'), undefined)
    // Also where the text is made to claim that it is the other's.
    assert.equal(other.open(sealed.replace(one.id, other.id), 'record-1'), undefined)
  })

  test(`${name}: no character of a sealed text can be changed, dropped or added`, () => {
    const sealer = subject.open()
    const sealed = sealer.seal(plain(), 'record-1')
    for (let at = 0; at < sealed.length; at += 1) {
      const other = sealed[at] === 'A' ? 'B' : 'A'
      const changed = sealed.slice(0, at) + other + sealed.slice(at + 1)
      assert.equal(sealer.open(changed, 'record-1'), undefined, `changed at ${at}`)
      const dropped = sealed.slice(0, at) + sealed.slice(at + 1)
      assert.equal(sealer.open(dropped, 'record-1'), undefined, `dropped at ${at}`)
      for (const added of ['A', '.', '=', '\n', ' ']) {
        const longer = sealed.slice(0, at) + added + sealed.slice(at)
        assert.equal(sealer.open(longer, 'record-1'), undefined, `added at ${at}`)
      }
    }
    for (const end of ['A', '=', '.', '\n']) assert.equal(sealer.open(sealed + end, 'record-1'), undefined)
    for (const nothing of ['', '.', '....', 'x'.repeat(100_000)]) {
      assert.equal(sealer.open(nothing, 'record-1'), undefined)
    }
  })

  test(`${name}: the halves of two sealed texts do not make a third`, () => {
    const sealer = subject.open()
    const [a, b] = [sealer.seal(plain(), 'record-1'), sealer.seal(plain(), 'record-1')]
    const [left, right] = [a.split('.'), b.split('.')]
    assert.equal(left.length, right.length)
    for (const at of left.keys()) {
      const mixed = left.with(at, right[at] ?? '').join('.')
      if (mixed !== a) assert.equal(sealer.open(mixed, 'record-1'), undefined, `part ${at}`)
    }
  })

  test(`${name}: sealing twice gives two texts, and no nonce comes twice`, () => {
    const sealer = subject.open()
    const secret = plain()
    const texts = Array.from({ length: 2000 }, () => sealer.seal(secret, 'record-1'))
    assert.equal(new Set(texts).size, texts.length)
  })

  test(`${name}: the sealed text names its sealer and shows nothing of what it holds`, () => {
    const sealer = subject.open()
    const secret = Buffer.from('a canary that must not be seen in any form of the sealed text')
    const sealed = sealer.seal(new Secret<Uint8Array>(secret), 'record-1')
    assert.ok(sealed.includes(sealer.id))
    const every = sealed.split('.').map(part => Buffer.from(part, 'base64url').toString('latin1'))
    for (const form of ['utf8', 'hex', 'base64', 'base64url'] as const) {
      for (const text of [sealed, ...every])
        assert.ok(!text.includes(secret.toString(form).slice(0, 12)), form)
    }
  })
}

const scope = { tenant: defaultTenant }
const start = 1_700_000_000

/** What a provider is opened over: a store and two clocks, all of which the tests move. */
export interface KeysGiven {
  readonly store: KeyReader
  /** Epoch seconds. */
  now(): number
  steadySeconds(): number
}

/** A provider over rows that a test changes at will. */
class Bench {
  rows: Versioned<IssuerKey>[] = []
  epoch = 1
  now = start
  steady = 50
  fail: Error | undefined
  readonly given: KeysGiven
  readonly keys: Keys

  constructor(open: (given: KeysGiven) => Keys, store?: KeyReader) {
    const stored: KeyReader = {
      issuerKeys: {
        list: async ({ tenant }) => {
          if (this.fail) throw this.fail
          return tenant === defaultTenant ? [...this.rows] : []
        },
      },
      signals: { head: async () => this.epoch },
    }
    this.given = { store: store ?? stored, now: () => this.now, steadySeconds: () => this.steady }
    this.keys = open(this.given)
  }

  async add(
    purpose: IssuerKey['purpose'],
    state: IssuerKey['state'] = 'active',
  ): Promise<Versioned<IssuerKey>> {
    const { key } = await this.keys.stage(scope, purpose, { now: this.now, activatesAt: this.now })
    const row = { ...key, state, version: 1 }
    this.rows.push(row)
    return row
  }

  change(kid: string, members: Partial<IssuerKey>): void {
    this.rows = this.rows.map(row => (row.kid === kid ? { ...row, ...members } : row))
    this.epoch += 1
  }
}

const unavailable = (error: unknown): boolean => isFault(error) && error.code === 'temporarily_unavailable'

const kidsOf = (keys: Keys): unknown[] => keys.published(scope).keys.map(key => key['kid'])

/**
 * Registers the tests that an implementation of `Keys` has to pass. All that `open` makes seal with one key, and sign
 * until 30 seconds after their last reading.
 */
export function keysContract(name: string, open: (given: KeysGiven) => Keys): void {
  const ready = async (): Promise<Bench> => {
    const bench = new Bench(open)
    for (const purpose of ['token', 'checkpoint', 'nonce'] as const) await bench.add(purpose)
    await bench.keys.reload(scope)
    return bench
  }

  test(`${name}: what the token key signs verifies with what is published, and with nothing else`, async () => {
    const { keys } = await ready()
    const signer = keys.signer(scope, 'token')
    const header = Buffer.from(JSON.stringify({ alg: signer.alg, kid: signer.kid, typ: 'at+jwt' }))
    const input = `${header.toString('base64url')}.${Buffer.from('{}').toString('base64url')}`
    const jws = parseJws(`${input}.${Buffer.from(await signer.sign(input)).toString('base64url')}`)
    const verifier = keys.verifier(scope, signer.kid)
    assert.ok(typeof jws === 'object' && verifier && verifyJws(jws, verifier))
    const published = keys.published(scope).keys.find(key => key['kid'] === signer.kid)
    assert.ok(verifyJws(jws, importForeign(published)))
    assert.ok(!verifyJws(jws, generateKeyPair('ES256').verify))
  })

  test(`${name}: the JWKS shows public members alone, of token keys alone`, async () => {
    const bench = await ready()
    const { keys } = bench.keys.published(scope)
    assert.equal(keys.length, 1)
    const members = Object.keys(keys[0] ?? {}).filter(member => member !== 'y')
    assert.deepEqual(members.sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x'])
    assert.equal(keys[0]?.['use'], 'sig')
    assert.deepEqual(kidsOf(bench.keys), [bench.keys.signer(scope, 'token').kid])
  })

  test(`${name}: the JWKS is the same object until something changes`, async () => {
    const bench = await ready()
    const first = bench.keys.published(scope)
    assert.equal(bench.keys.published(scope), first)
    await bench.add('token', 'staged')
    await bench.keys.reload(scope)
    assert.notEqual(bench.keys.published(scope), first)
    assert.equal(bench.keys.published(scope), bench.keys.published(scope))
  })

  test(`${name}: staged, active and retiring keys are published and verify; only the active one signs`, async () => {
    const bench = await ready()
    const active = bench.keys.signer(scope, 'token').kid
    const staged = (await bench.add('token', 'staged')).kid
    const retiring = (await bench.add('token', 'retiring')).kid
    const retired = (await bench.add('token', 'retired')).kid
    await bench.keys.reload(scope)
    assert.deepEqual(kidsOf(bench.keys), [active, staged, retiring])
    for (const kid of [active, staged, retiring]) assert.equal(bench.keys.verifier(scope, kid)?.jkt, kid)
    assert.equal(bench.keys.verifier(scope, retired), undefined)
    assert.equal(bench.keys.verifier(scope, ''), undefined)
    assert.equal(bench.keys.signer(scope, 'token').kid, active)
  })

  test(`${name}: the checkpoint and nonce keys verify no token`, async () => {
    const bench = await ready()
    for (const row of bench.rows.filter(({ purpose }) => purpose !== 'token')) {
      assert.equal(bench.keys.verifier(scope, row.kid), undefined, row.purpose)
    }
  })

  test(`${name}: a retired key is back in the JWKS while the clock is before its end`, async () => {
    const bench = await ready()
    const gone = (await bench.add('token', 'retired')).kid
    bench.change(gone, { retiresAt: start + 100 })
    bench.now = start + 99
    await bench.keys.reload(scope)
    assert.ok(kidsOf(bench.keys).includes(gone))
    assert.ok(bench.keys.verifier(scope, gone))
    bench.now = start + 100
    assert.ok(!kidsOf(bench.keys).includes(gone))
    assert.equal(bench.keys.verifier(scope, gone), undefined)
  })

  test(`${name}: a reload takes over the new key and drops the old one`, async () => {
    const bench = await ready()
    const before = bench.keys.signer(scope, 'token')
    const next = await bench.add('token', 'staged')
    bench.change(before.kid, { state: 'retiring', retiresAt: start + 305 })
    bench.change(next.kid, { state: 'active' })
    await bench.keys.reload(scope)
    const after = bench.keys.signer(scope, 'token')
    assert.equal(after.kid, next.kid)
    assert.ok(after.epoch > before.epoch)
    assert.equal(after.epoch, bench.epoch)
  })

  test(`${name}: which key signs is the stored state and not a guess from its instants`, async () => {
    const bench = await ready()
    const active = bench.keys.signer(scope, 'token').kid
    await bench.add('token', 'staged')
    bench.now = start + 1_000_000
    await bench.keys.reload(scope)
    assert.equal(bench.keys.signer(scope, 'token').kid, active)
  })

  test(`${name}: a reading that fails leaves what was read before, and signing ends when that has become old`, async () => {
    const bench = await ready()
    const kid = bench.keys.signer(scope, 'token').kid
    bench.fail = new Error('the database went away')
    await assert.rejects(bench.keys.reload(scope), /went away/)
    bench.steady += 30
    assert.equal(bench.keys.signer(scope, 'token').kid, kid)
    bench.steady += 1
    for (const purpose of ['token', 'checkpoint'] as const) {
      assert.throws(() => bench.keys.signer(scope, purpose), unavailable)
    }
    // What others verify with is no less true for being old.
    assert.deepEqual(kidsOf(bench.keys), [kid])
    assert.ok(bench.keys.verifier(scope, kid))
    bench.fail = undefined
    await bench.keys.reload(scope)
    assert.equal(bench.keys.signer(scope, 'token').kid, kid)
  })

  test(`${name}: nothing signs and nothing is published before the first reading`, () => {
    const { keys } = new Bench(open)
    assert.throws(() => keys.signer(scope, 'token'), unavailable)
    assert.throws(() => keys.published(scope), unavailable)
    assert.throws(() => keys.verifier(scope, 'x'), unavailable)
    assert.throws(() => keys.nonceMac(scope, 'x'), unavailable)
  })

  test(`${name}: nobody signs where no key or more than one is active`, async () => {
    const bench = await ready()
    const kid = bench.keys.signer(scope, 'token').kid
    bench.change(kid, { state: 'staged' })
    await bench.keys.reload(scope)
    assert.throws(() => bench.keys.signer(scope, 'token'), unavailable)
    bench.change(kid, { state: 'active' })
    await bench.add('token')
    await bench.keys.reload(scope)
    assert.throws(() => bench.keys.signer(scope, 'token'), unavailable)
  })

  test(`${name}: the states list the token keys, oldest first, without the sealed half`, async () => {
    const bench = await ready()
    const staged = await bench.add('token', 'staged')
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

  test(`${name}: all nodes with the same nonce key make the same MAC, and another tenant has none`, async () => {
    const bench = await ready()
    const twin = open(bench.given)
    await twin.reload(scope)
    const mac = Buffer.from(bench.keys.nonceMac(scope, 'window-1'))
    assert.equal(mac.length, 32)
    assert.deepEqual(Buffer.from(twin.nonceMac(scope, 'window-1')), mac)
    assert.notDeepEqual(Buffer.from(bench.keys.nonceMac(scope, 'window-2')), mac)
    assert.notDeepEqual(createHmac('sha256', '').update('window-1').digest(), mac)
    assert.throws(() => bench.keys.nonceMac({ tenant: 'other' as TenantId }, 'window-1'))
  })

  test(`${name}: a staged key is new, sealed and named by its thumbprint`, async () => {
    const { keys } = new Bench(open)
    const at = { now: start, activatesAt: start + 120 }
    const [{ key: a }, { key: b }] = await Promise.all([
      keys.stage(scope, 'token', at),
      keys.stage(scope, 'token', at),
    ])
    assert.notEqual(a.kid, b.kid)
    assert.ok(a.jwk)
    assert.equal(a.kid, importPublic(a.jwk).jkt)
    assert.deepEqual(
      [a.state, a.createdAt, a.activatesAt, a.retiresAt, a.stateAt],
      ['staged', start, start + 120, null, start],
    )
    // C2SP signed-note: checkpoints are signed with Ed25519, whatever signs tokens.
    assert.equal((await keys.stage(scope, 'checkpoint', at)).key.alg, 'Ed25519')
    const { key: nonce } = await keys.stage(scope, 'nonce', at)
    assert.deepEqual([nonce.kid, nonce.jwk], [firstNonceKid, null])
  })

  test(`${name}: a reload during a reload sees what changed after the first had read`, async () => {
    let finish = (): void => undefined
    const rows: Versioned<IssuerKey>[] = []
    let reads = 0
    const bench = new Bench(open, {
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
    })
    const first = bench.keys.reload(scope)
    while (reads === 0) await new Promise(setImmediate)
    const { key } = await bench.keys.stage(scope, 'token', { now: start, activatesAt: start })
    rows.push({ ...key, version: 1 })
    const later = [bench.keys.reload(scope), bench.keys.reload(scope), bench.keys.reload(scope)]
    finish()
    await first
    assert.deepEqual(kidsOf(bench.keys), [])
    await Promise.all(later)
    assert.deepEqual(kidsOf(bench.keys), [rows[0]?.kid])
    assert.equal(reads, 2)
  })

  test(`${name}: the epoch of a signer is never newer than what was read`, async () => {
    let head = 7
    const bench = new Bench(open, {
      issuerKeys: {
        list: async () => {
          // Between the head and the list another node commits.
          head = 8
          return bench.rows
        },
      },
      signals: { head: async () => head },
    })
    await bench.add('token')
    await bench.keys.reload(scope)
    assert.equal(bench.keys.signer(scope, 'token').epoch, 7)
  })
}
