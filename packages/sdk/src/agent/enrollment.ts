// Enrolment: a single-use token and the proof of a key that was made here turn this process into one known instance.
import { hash } from 'node:crypto'
import { Fault } from '../protocol/fault.ts'
import type { JsonObject } from '../protocol/json.ts'
import { Secret } from '../protocol/secret.ts'
import { isSecureUrl } from '../protocol/uri.ts'
import { createDiscovery } from './discovery.ts'
import type { Acceptance, Held, HeldKey, Keystore } from './keystores/keystore.ts'
import { postProven, type Wire } from './wire.ts'

/** What an administrator hands to one instance. */
export interface Enrollment {
  readonly token: Secret<string>
  /** Where to show it; undefined where it came as a bare token, and the issuer is named elsewhere. */
  readonly uri: string | undefined
  /** Tells tokens apart without keeping them. */
  readonly digest: string
}

/**
 * `<enroll_uri>#<token>`, or the token alone. The token stands in the fragment, which no client ever sends, so that a
 * link that is opened or logged by mistake gives the place away and not the token. Throws `invalid_enrollment`.
 */
export function parseEnrollment(text: string): Enrollment {
  const at = text.indexOf('#')
  const uri = at === -1 ? undefined : text.slice(0, at)
  const token = text.slice(at + 1)
  if (!/^[A-Za-z0-9_-]{16,256}$/.test(token) || (uri !== undefined && !isSecureUrl(uri))) {
    throw new Fault(
      'invalid_enrollment',
      'An enrolment reads https://issuer.example/enroll#token, or the token alone.',
      {
        kind: 'malformed_enrollment',
      },
    )
  }
  return { token: new Secret(token), uri, digest: hash('sha256', `enrollment ${token}`, 'base64url') }
}

export interface EnrollmentDeps {
  readonly wire: Wire
  readonly keystore: Keystore
}

/**
 * Makes the keystore hold an enrolled instance, and returns what it holds. Can be cut off anywhere and done again: the
 * key is durable before the token is shown, and the issuer answers the same key again alike. An instance whose key has
 * ended is replaced; one that lives is not. Throws `invalid_enrollment`, `temporarily_unavailable`, or `conflict` where
 * the keystore is another instance's.
 */
export async function enroll(
  { wire, keystore }: EnrollmentDeps,
  enrollment: Enrollment,
  issuer?: string,
): Promise<Held> {
  const before = await keystore.read()
  // The usual start: nobody has to wait for the turn of anybody.
  if (before.member?.enrollment === enrollment.digest) return before
  return keystore.alone(async () => {
    const held = await keystore.read()
    if (held.member !== undefined && !mayReplace(held, enrollment, wire.clock())) return held
    const url = await placeOf(wire, enrollment, issuer)
    const key = await keystore.stage(`enrollment:${enrollment.digest}`)
    const answer = await postProven(wire, {
      url,
      proofKey: key,
      mediaType: 'application/json',
      body: () => JSON.stringify({ token: enrollment.token.reveal(), jwk: key.jwk }),
    })
    await keystore.activate(key.jkt, {
      ...membershipIn(answer, enrollment, { url, issuer }),
      ...acceptedKey(answer),
    })
    return keystore.read()
  })
}

/** Only a token that has not been used here, and only in place of a key that can prove nothing any more. */
function mayReplace({ member, active }: Held, { digest }: Enrollment, nowMs: number): boolean {
  if (member?.enrollment === digest) return false
  const hasEnded = active !== undefined && active.expiresAt !== null && active.expiresAt * 1000 <= nowMs
  if (hasEnded) return true
  // Two agents with one directory would be taken for one another, and the record would name the wrong one.
  throw new Fault(
    'conflict',
    'The keystore holds another instance, and the enrolment is not the one it came by. Give each instance a directory of its own, or remove this one.',
    { kind: 'other_enrollment', instance: member?.instance },
  )
}

async function placeOf(wire: Wire, { uri }: Enrollment, issuer: string | undefined): Promise<string> {
  if (uri === undefined && issuer === undefined) {
    throw new Fault(
      'invalid_enrollment',
      'Name the issuer: set WRIT_ISSUER, or use the enrolment with its URL.',
      {
        kind: 'no_issuer',
      },
    )
  }
  if (issuer === undefined || uri === undefined) {
    return uri ?? createDiscovery(wire, issuer as string).endpoint('enrollment_endpoint')
  }
  // The token is shown to the issuer that was configured, whatever the enrolment says.
  if (new URL(uri).origin !== new URL(issuer).origin) {
    throw new Fault('invalid_enrollment', 'The enrolment is for another issuer than the one configured.', {
      kind: 'foreign_enrollment',
      uri,
      issuer,
    })
  }
  return uri
}

function membershipIn(
  answer: Readonly<JsonObject>,
  { digest }: Enrollment,
  asked: { readonly url: string; readonly issuer: string | undefined },
): Omit<Acceptance, keyof HeldKey> {
  const { client_id: clientId, instance, issuer } = answer
  if (typeof clientId !== 'string' || typeof instance !== 'string' || typeof issuer !== 'string') {
    throw unusable('members')
  }
  // Whoever answers at the enrolment's URL speaks for the issuer there, and for no other (threat C08).
  const isOwn = asked.issuer === undefined ? asked.url.startsWith(`${issuer}/`) : issuer === asked.issuer
  if (!isOwn) throw unusable('issuer')
  return { issuer, clientId, instance, enrollment: digest }
}

/** The window of the key that was accepted, in an answer to an enrolment or a rotation. */
export function acceptedKey(answer: Readonly<JsonObject>): Omit<HeldKey, 'key'> {
  const kid = textIn(answer['key'], 'kid')
  const notBefore = instantIn(answer['key'], 'not_before')
  const expiresAt = instantIn(answer['key'], 'expires_at')
  if (kid === undefined || notBefore === undefined || notBefore === null || expiresAt === undefined)
    throw unusable('key')
  return { kid, notBefore, expiresAt }
}

/** An RFC 3339 instant in epoch seconds; null where there is none, undefined where the member is missing or no instant. */
export function instantIn(value: unknown, member: string): number | null | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  if ((value as JsonObject)[member] === null) return null
  const ms = Date.parse(textIn(value, member) ?? '')
  return Number.isNaN(ms) ? undefined : Math.floor(ms / 1000)
}

function textIn(value: unknown, member: string): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const text = (value as JsonObject)[member]
  return typeof text === 'string' ? text : undefined
}

function unusable(member: string): Fault {
  return new Fault('server_error', 'The issuer answered in a way that cannot be used.', {
    kind: 'unusable_answer',
    member,
  })
}
