// Issuer keys in this process: unsealed once from the store into memory, signed with in a few microseconds.
import { createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import type { AlgorithmName } from '@writ/sdk/protocol/algorithms'
import { Fault } from '@writ/sdk/protocol/fault'
import {
  bareJwk,
  generateKeyPairAside,
  importPrivate,
  importPublic,
  type PrivateJwk,
  type SignKey,
  type VerifyKey,
} from '@writ/sdk/protocol/jwk'
import { Secret } from '@writ/sdk/protocol/secret'
import type { Ctx } from '../../context.ts'
import type { Basis, Versioned } from '../../domain/change.ts'
import { activeOf, type IssuerKey, isPublished, type KeyPurpose } from '../../domain/issuer-key.ts'
import { sealerOf } from '../aes-gcm.ts'
import { firstNonceKid, type KeyReader, type Keys, type Signer, type SigningPurpose } from '../keys.ts'
import type { Sealer } from '../sealer.ts'
import { inTurn } from './in-turn.ts'

type Scope = Pick<Ctx, 'tenant'>
type PublishedKey = Readonly<Record<string, unknown>>

export interface OpenKeysOptions {
  readonly store: KeyReader
  /** What seals the keys of a tenant. */
  readonly sealer: (scope: Scope) => Sealer
  /** The clock, epoch seconds. */
  readonly now: () => number
  /** The algorithm of token keys for which none is asked for. */
  readonly tokenAlg?: AlgorithmName
  /** How long after the last reading of the store this node may still sign. */
  readonly freshSeconds?: number
  /** Seconds by a clock that is never set. */
  readonly steadySeconds?: () => number
}

/** A pair in memory. Both halves come out of the seal: what the database says is public is only compared with it. */
interface Pair {
  readonly purpose: KeyPurpose
  readonly sealed: string
  readonly sign: SignKey
  readonly verify: VerifyKey
  readonly published: PublishedKey
}

/** Everything of one tenant, as read at one epoch; never changed, only replaced. */
interface Holding {
  readonly epoch: number
  /** By the steady clock, when the reading began. */
  readonly readAt: number
  readonly rows: readonly Omit<IssuerKey, 'sealed'>[]
  /** Of the rows that are not gone, by kid. */
  readonly pairs: ReadonlyMap<string, Pair>
  /** Of the token keys among them alone: no other key ever verifies a token. */
  readonly verifiers: ReadonlyMap<string, VerifyKey>
  readonly signers: ReadonlyMap<SigningPurpose, Signer>
  readonly nonce: NonceKey | undefined
  readonly jwks: { readonly keys: readonly PublishedKey[] }
  /** Retired keys whose `retiresAt` the clock has not reached: they are published until it has. */
  readonly leaving: readonly Omit<IssuerKey, 'sealed'>[]
}

const nonceBytes = 32
const macsKept = 16

interface NonceKey {
  readonly sealed: string
  readonly key: KeyObject
  /** MACs that were made, by input. */
  readonly macs: Map<string, Uint8Array>
}

/**
 * The provider for keys that are sealed in the store. Nothing is read before the first `reload`, and until that has
 * succeeded every method that needs a key throws `temporarily_unavailable`.
 */
export function openKeys(options: OpenKeysOptions): Keys {
  const { store, sealer, now, tokenAlg = 'ES256', freshSeconds = 30 } = options
  const steadySeconds = options.steadySeconds ?? (() => performance.now() / 1000)
  const holdings = new Map<Scope['tenant'], Holding>()

  const holdingOf = (scope: Scope): Holding => {
    const holding = holdings.get(scope.tenant)
    if (holding === undefined) throw away('keys_not_read')
    return holding
  }

  const read = async ({ tenant }: Scope): Promise<void> => {
    const readAt = steadySeconds()
    // The head first: what the list shows is then at least as new as the epoch that is claimed for it.
    const epoch = await store.signals.head({ tenant })
    const rows = await store.issuerKeys.list({ tenant })
    holdings.set(
      tenant,
      hold({ tenant, epoch, readAt, rows, now: now() }, sealer({ tenant }), holdings.get(tenant)),
    )
  }

  return {
    signer(scope, purpose) {
      const holding = holdingOf(scope)
      // Another node may have superseded the key, and tokens signed here would outlive its place in the JWKS.
      if (steadySeconds() - holding.readAt > freshSeconds) throw away('keys_outdated')
      const signer = holding.signers.get(purpose)
      if (signer === undefined) throw away('no_active_key', { purpose })
      return signer
    },
    published(scope) {
      const { jwks, leaving, pairs } = holdingOf(scope)
      if (leaving.length === 0) return jwks
      const still = leaving
        .filter(row => isPublished(row, now()))
        .map(row => pairs.get(row.kid)?.published ?? {})
      return { keys: [...jwks.keys, ...still] }
    },
    verifier(scope, kid) {
      const { verifiers, leaving } = holdingOf(scope)
      const gone = leaving.find(row => row.kid === kid)
      return gone !== undefined && !isPublished(gone, now()) ? undefined : verifiers.get(kid)
    },
    states: scope => holdingOf(scope).rows.filter(row => row.purpose === 'token'),
    nonceMac(scope, input) {
      const { nonce } = holdingOf(scope)
      if (nonce === undefined) throw away('no_active_key', { purpose: 'nonce' })
      const known = nonce.macs.get(input)
      if (known !== undefined) return known
      const mac = createHmac('sha256', nonce.key).update(input).digest()
      // Inputs are windows of time, asked for with every request: two or three are in use at once.
      if (nonce.macs.size >= macsKept) nonce.macs.clear()
      nonce.macs.set(input, mac)
      return mac
    },
    async stage({ tenant }, purpose, { now: createdAt, activatesAt, alg = tokenAlg }) {
      const life = { state: 'staged', createdAt, activatesAt, retiresAt: null, stateAt: createdAt } as const
      const pair =
        purpose === 'nonce' ? undefined : await generateKeyPairAside(purpose === 'token' ? alg : 'Ed25519')
      // INVARIANT: what seals and what the change rests on are read together, after the pair was made: the change of a
      // key that was sealed by a former sealer must not rest on the next one, for nobody would seal it anew.
      const current = sealer({ tenant })
      const bases = basesOf(current)
      if (pair === undefined) {
        const secret = new Secret<Uint8Array>(randomBytes(nonceBytes))
        const sealed = current.seal(secret, identityOf(tenant, purpose, firstNonceKid))
        return { key: { kid: firstNonceKid, purpose, alg: 'HS256', jwk: null, sealed, ...life }, bases }
      }
      const { sign, secret } = pair
      const text = new Secret<Uint8Array>(Buffer.from(JSON.stringify(secret.reveal())))
      const sealed = current.seal(text, identityOf(tenant, purpose, sign.jkt))
      return { key: { kid: sign.jkt, purpose, alg: sign.alg.name, jwk: sign.jwk, sealed, ...life }, bases }
    },
    reseal({ tenant }, key) {
      const current = sealer({ tenant })
      if (sealerOf(key.sealed) === current.id) return undefined
      const identity = identityOf(tenant, key.purpose, key.kid)
      const opened = current.open(key.sealed, identity)
      if (opened === undefined) throw unopened(key.kid, current)
      return { ...key, sealed: current.seal(opened, identity) }
    },
    sealBases: scope => basesOf(sealer(scope)),
    reload: inTurn(scope => scope.tenant, read),
  }
}

function basesOf(sealer: Sealer): readonly Basis[] {
  const basis = sealer.basis?.()
  return basis === undefined ? [] : [basis]
}

interface Reading extends Scope, Pick<Holding, 'epoch' | 'readAt'> {
  readonly rows: readonly Versioned<IssuerKey>[]
  readonly now: number
}

/** What the rows hold, unsealed; what was unsealed before is kept. Throws where one row cannot be believed. */
function hold(reading: Reading, sealer: Sealer, before: Holding | undefined): Holding {
  const { tenant, epoch, rows, now } = reading
  const pairs = new Map<string, Pair>()
  const verifiers = new Map<string, VerifyKey>()
  const leaving: Omit<IssuerKey, 'sealed'>[] = []
  for (const row of rows) {
    if (row.purpose === 'nonce' || !isPublished(row, now)) continue
    const known = before?.pairs.get(row.kid)
    const same = known?.sealed === row.sealed && known.purpose === row.purpose
    const pair = same ? known : unsealPair(row, tenant, sealer)
    if (!isOf(row, pair)) throw altered(row.kid)
    pairs.set(row.kid, pair)
    if (row.purpose !== 'token') continue
    verifiers.set(row.kid, pair.verify)
    if (row.state === 'retired') leaving.push(openRow(row))
  }
  const signers = new Map<SigningPurpose, Signer>()
  for (const purpose of ['token', 'checkpoint'] as const) {
    const pair = pairs.get(activeOf(rows, purpose)?.kid ?? '')
    if (pair !== undefined) signers.set(purpose, signerOf(pair, epoch))
  }
  const staying = rows.filter(({ purpose, state }) => purpose === 'token' && state !== 'retired')
  return {
    epoch,
    readAt: reading.readAt,
    rows: rows.map(openRow),
    pairs,
    verifiers,
    signers,
    leaving,
    nonce: unsealNonce(rows, tenant, sealer, before),
    jwks: Object.freeze({ keys: staying.map(({ kid }) => pairs.get(kid)?.published ?? {}) }),
  }
}

/**
 * Opens one pair. Whoever can write to the database, but has not the sealing key, could otherwise plant a key of their
 * own and have every verifier believe it: so nothing is published that did not come out of the seal of its own row.
 */
function unsealPair(row: IssuerKey, tenant: string, sealer: Sealer): Pair {
  const opened = sealer.open(row.sealed, identityOf(tenant, row.purpose, row.kid))
  if (opened === undefined) throw unopened(row.kid, sealer)
  const text = Buffer.from(opened.reveal()).toString()
  const sign = importPrivate(new Secret(JSON.parse(text) as PrivateJwk), 'issuer')
  return {
    purpose: row.purpose,
    sealed: row.sealed,
    sign,
    verify: importPublic(sign.jwk),
    // RFC 7517 §4: the members that the row of the algorithm names, so that no other can ever slip in.
    published: Object.freeze({ kid: sign.jkt, ...bareJwk(sign.jwk), alg: sign.alg.name, use: 'sig' }),
  }
}

/** Whether the row says in clear what its seal holds: its name, its algorithm and its public half. */
function isOf({ kid, alg, jwk }: IssuerKey, { sign }: Pair): boolean {
  const same = Object.entries(bareJwk(sign.jwk)).every(([name, value]) => jwk?.[name as 'x'] === value)
  return same && kid === sign.jkt && alg === sign.alg.name
}

function unsealNonce(
  rows: readonly IssuerKey[],
  tenant: string,
  sealer: Sealer,
  before: Holding | undefined,
): Holding['nonce'] {
  const row = activeOf(rows, 'nonce')
  if (row === undefined) return undefined
  if (before?.nonce?.sealed === row.sealed) return before.nonce
  const opened = sealer.open(row.sealed, identityOf(tenant, 'nonce', row.kid))
  if (opened === undefined) throw unopened(row.kid, sealer)
  return { sealed: row.sealed, key: createSecretKey(opened.reveal()), macs: new Map() }
}

function signerOf({ sign: { alg, key, jkt, jwk } }: Pair, epoch: number): Signer {
  return {
    kid: jkt,
    alg: alg.name,
    jwk,
    epoch,
    signatureBytes: alg.signatureBytes(key),
    sign: input => alg.sign(Buffer.from(input), key),
  }
}

/** The record a sealed key belongs to. A list as JSON has one reading only, whatever its parts contain. */
export function identityOf(tenant: string, purpose: string, kid: string): string {
  return JSON.stringify(['issuer-key', tenant, purpose, kid])
}

function openRow({ sealed: _, ...row }: IssuerKey): Omit<IssuerKey, 'sealed'> {
  return row
}

function unopened(kid: string, sealer: Sealer): Fault {
  return new Fault(
    'server_error',
    `The issuer key ${kid} in the database does not open with the sealing key ${sealer.id} of this node: start it with the key file of the node that made the database, or restore the database if it was altered.`,
    { kind: 'issuer_key_unopened', kid, sealer: sealer.id },
  )
}

function altered(kid: string): Fault {
  return new Fault(
    'server_error',
    `The issuer key ${kid} in the database is not what was sealed in its row: the database was altered; restore it.`,
    { kind: 'issuer_key_altered', kid },
  )
}

function away(kind: string, facts?: Readonly<Record<string, string>>): Fault {
  return new Fault('temporarily_unavailable', 'The issuer cannot sign now; try again.', { kind, ...facts })
}
