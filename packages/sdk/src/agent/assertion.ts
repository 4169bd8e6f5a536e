// The client assertion: RFC 7523 §2.2 with the audience rule of its revision: the issuer alone, as one string.
import { randomUUID } from 'node:crypto'
import type { SignKey } from '../protocol/jwk.ts'
import { signJws } from '../protocol/jws.ts'

export const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const lifetimeSeconds = 60

export interface AssertionSubject {
  readonly issuer: string
  readonly clientId: string
  readonly key: SignKey
  readonly kid: string
}

/**
 * An assertion for one request, made at the issuer's epoch second `now`. `successor`: the thumbprint of the key that it
 * hands the instance to, and to no other.
 */
export function createAssertion(
  { issuer, clientId, key, kid }: AssertionSubject,
  now: number,
  successor?: string,
): string {
  // RFC 7800 §3.1 with the member of RFC 9449 §6.1.
  const cnf = successor === undefined ? {} : { cnf: { jkt: successor } }
  return signJws(
    { typ: 'client-authentication+jwt', kid },
    // The URL of an endpoint as audience could be replayed at another server that claims it (threat C12).
    {
      iss: clientId,
      sub: clientId,
      aud: issuer,
      jti: randomUUID(),
      iat: now,
      exp: now + lifetimeSeconds,
      ...cnf,
    },
    key,
  )
}
