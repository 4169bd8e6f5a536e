// Access tokens: RFC 9068 claims, the OIDC-A agent claims, and what of ours makes a token revocable in every part.
import type { AuthorizationDetail } from './details/detail.ts'
import { Fault } from './fault.ts'

/** The member `writ` of a token: what it rests on, beyond the registered claims. */
export interface Roots {
  /** The epoch of the issuer's feed of signals at which everything the token rests on was known to hold. */
  readonly epoch: number
  /** RFC 7638 thumbprint of the key that authenticated the client. */
  readonly key: string
  /** The grants that its scopes rest on. */
  readonly grants: readonly string[]
  /**
   * Set where a grant has details, a condition or budgets: the token is worth nothing without a decision about each
   * operation, and a resource that asks for none refuses it, so that no limit is silently without force.
   */
  readonly decide?: true
}

export interface AccessTokenClaims {
  readonly iss: string
  readonly sub: string
  readonly aud: string
  readonly client_id: string
  readonly jti: string
  readonly iat: number
  readonly exp: number
  /** Space-separated leaves; absent where the token carries no right beyond being somebody. */
  readonly scope?: string
  readonly cnf?: { readonly jkt: string }
  /** RFC 9396 §9.1. */
  readonly authorization_details?: readonly AuthorizationDetail[]
  readonly agent_instance_id?: string
  /** The session of the instance that the token belongs to. */
  readonly sid?: string
  /** OIDC-A §2.3: what the instance says that it works on. */
  readonly agent_context_id?: string
  readonly agent_type?: string
  readonly agent_model?: string
  readonly agent_version?: string
  readonly agent_provider?: string
  readonly writ: Roots
}

/**
 * Everything whose end ends the token. A token is dead if and only if a signal `narrowed` after `writ.epoch` names
 * one of these: one rule for the server and for every verifier.
 */
export function subjectsOf(claims: AccessTokenClaims): readonly string[] {
  const subjects = [
    // The whole tenant may be halted.
    claims.iss,
    claims.client_id,
    claims.aud,
    `key:${claims.writ.key}`,
    `token:${claims.jti}`,
    ...claims.writ.grants,
  ]
  // Whom the call is for may be halted, suspended, gone.
  if (claims.sub !== claims.client_id) subjects.push(claims.sub)
  if (claims.agent_instance_id !== undefined) subjects.push(claims.agent_instance_id)
  if (claims.sid !== undefined) subjects.push(claims.sid)
  if (claims.cnf !== undefined && claims.cnf.jkt !== claims.writ.key) subjects.push(`key:${claims.cnf.jkt}`)
  return subjects
}

const invalid = (kind: string, facts?: Record<string, unknown>): Fault =>
  new Fault('invalid_token', 'The access token is not valid here.', { kind, ...facts })

/** What the verifier expects; times in epoch seconds. */
export interface Expected {
  readonly issuer: string
  readonly audience: string
  readonly now: number
  /** Tolerance for clocks that disagree, at both ends; 0 where the issuer judges by its own clock. */
  readonly skewSeconds: number
}

/**
 * The claims of a token whose signature and `typ` have been verified. Throws `invalid_token` with one dull sentence,
 * whatever is wrong, so that probing learns nothing (RFC 9068 §4, RFC 8725 §3.8 to §3.12).
 */
export function checkAccessToken(
  payload: Readonly<Record<string, unknown>>,
  expected: Expected,
): AccessTokenClaims {
  const { iss, sub, aud, client_id, jti, iat, exp, nbf, scope, cnf, writ } = payload as Record<
    string,
    unknown
  >
  if (iss !== expected.issuer) throw invalid('issuer', { iss })
  // RFC 9068 §4: the audience is this resource; one string, as this issuer writes it. A list is nobody's token here.
  if (aud !== expected.audience) throw invalid('audience', { aud })
  if (typeof sub !== 'string' || typeof client_id !== 'string' || typeof jti !== 'string')
    throw invalid('claims')
  if (!isInstant(iat) || !isInstant(exp)) throw invalid('times')
  if (exp <= expected.now - expected.skewSeconds) throw invalid('expired', { exp })
  if (iat > expected.now + expected.skewSeconds) throw invalid('issued_in_future', { iat })
  if (nbf !== undefined && (!isInstant(nbf) || nbf > expected.now + expected.skewSeconds))
    throw invalid('not_yet')
  if (scope !== undefined && typeof scope !== 'string') throw invalid('scope')
  if (cnf !== undefined && !isConfirmation(cnf)) throw invalid('confirmation')
  if (!isRoots(writ)) throw invalid('roots')
  // What is not understood is a limit that nobody would keep.
  if (!isDetails(payload['authorization_details'])) throw invalid('authorization_details')
  const instance = payload['agent_instance_id']
  if (instance !== undefined && typeof instance !== 'string') throw invalid('claims')
  const { sid, agent_context_id: context } = payload
  if (![sid, context].every(text => text === undefined || typeof text === 'string')) throw invalid('claims')
  return payload as unknown as AccessTokenClaims
}

function isInstant(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

// RFC 9449 §6.1. A confirmation method that is not understood must not be taken for none (RFC 7800 §3.1).
function isConfirmation(value: unknown): value is { jkt: string } {
  if (typeof value !== 'object' || value === null) return false
  const names = Object.keys(value)
  return names.length === 1 && names[0] === 'jkt' && typeof (value as { jkt: unknown }).jkt === 'string'
}

function isRoots(value: unknown): value is Roots {
  if (typeof value !== 'object' || value === null) return false
  const { epoch, key, grants, decide } = value as Record<string, unknown>
  return (
    isInstant(epoch) &&
    (decide === undefined || decide === true) &&
    typeof key === 'string' &&
    Array.isArray(grants) &&
    grants.length <= 64 &&
    grants.every(grant => typeof grant === 'string')
  )
}

function isDetails(value: unknown): boolean {
  if (value === undefined) return true
  return (
    Array.isArray(value) &&
    value.every(detail => typeof detail === 'object' && detail !== null && typeof detail['type'] === 'string')
  )
}
