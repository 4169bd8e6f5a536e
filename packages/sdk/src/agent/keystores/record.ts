// What a keystore keeps, as JSON, and its two moves as pure functions, so that every store makes them alike.
import { Fault } from '../../protocol/fault.ts'
import { parseJsonObject } from '../../protocol/json.ts'
import { generateKeyPair, importPrivate, type PrivateJwk, thumbprint } from '../../protocol/jwk.ts'
import { Secret } from '../../protocol/secret.ts'
import type { Acceptance, Held, HeldKey, Membership } from './keystore.ts'

type ActiveKey = Omit<HeldKey, 'key'> & { readonly jwk: PrivateJwk }
interface Staged {
  readonly purpose: string
  readonly jwk: PrivateJwk
}

/** Holds private keys: it is only ever written to the store itself. */
export interface KeystoreRecord {
  readonly version: 1
  readonly member: Membership | null
  readonly active: ActiveKey | null
  readonly staged: Staged | null
}

export const emptyRecord: KeystoreRecord = { version: 1, member: null, active: null, staged: null }

export function formatRecord(record: KeystoreRecord): string {
  return `${JSON.stringify(record, null, 2)}\n`
}

/** Throws `invalid_key` for anything that this version did not write. */
export function parseRecord(text: string): KeystoreRecord {
  const record = parseJsonObject(text)
  if (record === undefined || record['version'] !== 1) throw damaged('not_a_record')
  const { member, active, staged } = record as Record<string, unknown>
  if (member !== null && !hasTexts(member, ['issuer', 'clientId', 'instance', 'enrollment']))
    throw damaged('member')
  if (active !== null && !(hasTexts(active, ['kid']) && hasKey(active) && hasWindow(active)))
    throw damaged('active')
  if (staged !== null && !(hasTexts(staged, ['purpose']) && hasKey(staged))) throw damaged('staged')
  if ((member === null) !== (active === null)) throw damaged('half_enrolled')
  return record as unknown as KeystoreRecord
}

/** What leaves the store: the same with each private key imported, and out of reach. Throws `invalid_key`. */
export function heldIn({ member, active, staged }: KeystoreRecord): Held {
  return {
    member: member ?? undefined,
    active:
      active === null
        ? undefined
        : {
            key: importKey(active.jwk),
            kid: active.kid,
            notBefore: active.notBefore,
            expiresAt: active.expiresAt,
          },
    staged: staged === null ? undefined : { key: importKey(staged.jwk), purpose: staged.purpose },
  }
}

/** The record in which a key waits for this purpose: the same record where one does already. */
export function stageIn(
  record: KeystoreRecord,
  purpose: string,
): KeystoreRecord & { readonly staged: Staged } {
  const { staged } = record
  if (staged !== null && staged.purpose === purpose) return { ...record, staged }
  return { ...record, staged: { purpose, jwk: generateKeyPair('ES256').secret.reveal() } }
}

/** The record after the issuer accepted a key; the same record where it is in use already. Throws `conflict`. */
export function activateIn(record: KeystoreRecord, jkt: string, acceptance: Acceptance): KeystoreRecord {
  const { active, staged } = record
  if (active !== null && thumbprint(active.jwk) === jkt) return record
  if (staged === null || thumbprint(staged.jwk) !== jkt) {
    throw new Fault('conflict', 'Another process of this instance has gone on with another key.', {
      kind: 'not_staged',
    })
  }
  const { issuer, clientId, instance, enrollment, kid, notBefore, expiresAt } = acceptance
  return {
    version: 1,
    member: { issuer, clientId, instance, enrollment },
    active: { jwk: staged.jwk, kid, notBefore, expiresAt },
    staged: null,
  }
}

export function importKey(jwk: PrivateJwk): ReturnType<typeof importPrivate> {
  return importPrivate(new Secret(jwk))
}

function hasTexts(value: unknown, names: readonly string[]): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  return names.every(name => typeof (value as Record<string, unknown>)[name] === 'string')
}

function hasKey(value: Record<string, unknown>): boolean {
  return hasTexts(value['jwk'], ['kty', 'crv', 'x', 'd'])
}

function hasWindow({ notBefore, expiresAt }: Record<string, unknown>): boolean {
  return Number.isSafeInteger(notBefore) && (expiresAt === null || Number.isSafeInteger(expiresAt))
}

function damaged(kind: string): Fault {
  return new Fault(
    'invalid_key',
    'The keystore is damaged or of another version; enrol this instance again.',
    { kind },
  )
}
