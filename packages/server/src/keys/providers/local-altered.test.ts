// What somebody who can write to the database, but has not the sealing key, cannot make a node do.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import { Secret } from '@writ/sdk/protocol/secret'
import type { Versioned } from '../../domain/change.ts'
import type { IssuerKey } from '../../domain/issuer-key.ts'
import { defaultTenant, type TenantId } from '../../domain/tenant.ts'
import { aesGcmSealer, keyBytes } from '../aes-gcm.ts'
import type { Keys } from '../keys.ts'
import type { Sealer } from '../sealer.ts'
import { openKeys } from './local.ts'

type Rows = readonly Versioned<IssuerKey>[]

const scope = { tenant: defaultTenant }
const at = { now: 1_700_000_000, activatesAt: 1_700_000_000 }
const newSealer = (): Sealer => aesGcmSealer(new Secret(new Uint8Array(randomBytes(keyBytes))))

const nodeWith = (sealer: Sealer, rows: () => Rows): Keys =>
  openKeys({
    store: { issuerKeys: { list: async () => rows() }, signals: { head: async () => 1 } },
    sealer: () => sealer,
    now: () => at.now,
  })

const sealer = newSealer()
const maker = nodeWith(sealer, () => [])
const honest: Rows = await Promise.all(
  (['token', 'checkpoint', 'nonce'] as const).map(async purpose => ({
    ...(await maker.stage(scope, purpose, at)).key,
    state: 'active' as const,
    version: 1,
  })),
)
const [own, checkpoint] = honest as [Versioned<IssuerKey>, Versioned<IssuerKey>]

const theirs = generateKeyPair('ES256')
const planted = { ...own, kid: theirs.verify.jkt, jwk: theirs.verify.jwk }
const foreign = newSealer()
const sealedByThem = foreign.seal(
  new Secret<Uint8Array>(Buffer.from(JSON.stringify(theirs.secret.reveal()))),
  JSON.stringify(['issuer-key', 'default', 'token', planted.kid]),
)

const inOwnRow = (members: Partial<IssuerKey>): Rows =>
  honest.map(row => (row.kid === own.kid ? { ...row, ...members } : row))

const attempts: readonly (readonly [what: string, rows: Rows, kind: string])[] = [
  ['a new row with the seal of another', [...honest, { ...planted, state: 'staged' }], 'unopened'],
  ['a row sealed by another key', [...honest, { ...planted, sealed: sealedByThem }], 'unopened'],
  [
    'a row that claims our sealer',
    [...honest, { ...planted, sealed: sealedByThem.replace(foreign.id, sealer.id) }],
    'unopened',
  ],
  ['another public half in our row', inOwnRow({ jwk: theirs.verify.jwk }), 'altered'],
  ['another name on our row', inOwnRow({ kid: theirs.verify.jkt }), 'unopened'],
  ['another algorithm in our row', inOwnRow({ alg: 'none' }), 'altered'],
  ['no public half in our row', inOwnRow({ jwk: null }), 'altered'],
  [
    'the checkpoint key as a token key',
    [own, { ...checkpoint, purpose: 'token', state: 'staged' }],
    'unopened',
  ],
]

const refused =
  (kind: string) =>
  (error: unknown): boolean => {
    assert.ok(isFault(error), String(error))
    assert.deepEqual([error.code, error.why?.kind], ['server_error', `issuer_key_${kind}`])
    return true
  }

for (const [what, rows, kind] of attempts) {
  test(`${what} is refused by a node that starts`, async () => {
    const keys = nodeWith(sealer, () => rows)
    await assert.rejects(keys.reload(scope), refused(kind))
    assert.throws(() => keys.published(scope), /cannot sign now/)
  })

  test(`${what} changes nothing for a node that runs`, async () => {
    let stored = honest
    const keys = nodeWith(sealer, () => stored)
    await keys.reload(scope)
    const before = keys.published(scope)
    stored = rows
    await assert.rejects(keys.reload(scope), refused(kind))
    assert.equal(keys.published(scope), before)
    assert.equal(keys.verifier(scope, theirs.verify.jkt), undefined)
    assert.equal(keys.signer(scope, 'token').kid, own.kid)
  })
}

test('a key of one tenant opens for no other', async () => {
  const keys = nodeWith(sealer, () => honest)
  await keys.reload(scope)
  await assert.rejects(keys.reload({ tenant: 'other' as TenantId }), refused('unopened'))
})

test('the sentence about a key that does not open says which key file is needed', async () => {
  const keys = nodeWith(newSealer(), () => honest)
  await assert.rejects(keys.reload(scope), /start it with the key file of the node that made the database/)
})
