// RFC 6749 §4.4 at the token endpoint: a client assertion, a DPoP proof, one resource (RFC 8707), details (RFC 9396).
import type { AuthorizationDetail } from '../protocol/details/detail.ts'
import { proofHeader } from '../protocol/dpop.ts'
import { Fault, isFault } from '../protocol/fault.ts'
import type { JsonObject } from '../protocol/json.ts'
import type { SignKey } from '../protocol/jwk.ts'
import type { PreparedHeader } from '../protocol/jws.ts'
import { formatScope, parseScope } from '../protocol/scope.ts'
import { Secret } from '../protocol/secret.ts'
import { assertionType, createAssertion } from './assertion.ts'
import type { Credentials } from './credentials.ts'
import type { Discovery } from './discovery.ts'
import { postProven, type Wire } from './wire.ts'

/** What a token is asked for. */
export interface Ask {
  readonly resource: string
  /** Undefined asks for the issuer's default, which is never more than naming it would yield. */
  readonly scopes: readonly string[] | undefined
  /** RFC 9396: what the token is limited to; undefined for whatever the grants limit it to. */
  readonly details?: readonly AuthorizationDetail[] | undefined
  /** The session that it belongs to and ends with; undefined for one that belongs to none. */
  readonly session?: string | undefined
  /** Without a key of its own: whoever holds it may use it. */
  readonly bearer?: boolean
}

export interface Token {
  readonly accessToken: Secret<string>
  readonly scopes: readonly string[]
  /** Those that were granted; empty where the scopes alone say it. */
  readonly details: readonly AuthorizationDetail[]
  /** The key it is bound to, which alone can use it; undefined for a bearer token. */
  readonly key: SignKey | undefined
  readonly proofHeader: PreparedHeader | undefined
  /** Epoch milliseconds of our own clock. */
  readonly obtainedAtMs: number
  readonly expiresAtMs: number
}

export interface TokenDeps {
  readonly wire: Wire
  readonly discovery: Discovery
  readonly credentials: Credentials
  /** Looks for a key that the issuer knows after it refused ours; false where there is no other. */
  readonly recover: () => Promise<boolean>
  /** The issuer asks for another key, within so many seconds. */
  readonly onAsked: (withinSeconds: number) => void
}

const maxTokenLength = 8_192

/**
 * A new token. Throws what the issuer refuses with; where it no longer knows our key because the key was rotated
 * meanwhile, by another process of this instance or just before a crash, asks once more with its successor.
 */
export async function requestToken(deps: TokenDeps, ask: Ask): Promise<Token> {
  try {
    return await requestWith(deps, ask)
  } catch (error) {
    if (!isFault(error) || error.code !== 'invalid_client' || !(await deps.recover())) throw error
    return requestWith(deps, ask)
  }
}

async function requestWith({ wire, discovery, credentials, onAsked }: TokenDeps, ask: Ask): Promise<Token> {
  const url = await discovery.tokenEndpoint()
  const subject = credentials.current()
  const { key } = subject
  const obtainedAtMs = wire.clock()
  const answer = await postProven(wire, {
    url,
    proofKey: ask.bearer ? undefined : key,
    mediaType: 'application/x-www-form-urlencoded',
    body: now =>
      new URLSearchParams({
        grant_type: 'client_credentials',
        resource: ask.resource,
        ...(ask.scopes === undefined ? {} : { scope: formatScope(ask.scopes) }),
        ...(ask.details === undefined ? {} : { authorization_details: JSON.stringify(ask.details) }),
        ...(ask.session === undefined ? {} : { session: ask.session }),
        client_assertion_type: assertionType,
        client_assertion: createAssertion(subject, now),
      }).toString(),
  })
  const asked = answer['key_rotation_within']
  if (typeof asked === 'number' && asked >= 0) onAsked(asked)
  return tokenIn(answer, ask, { key: ask.bearer ? undefined : key, obtainedAtMs })
}

/** RFC 6749 §5.1 and RFC 9449 §5. */
function tokenIn(
  answer: Readonly<JsonObject>,
  ask: Ask,
  made: { key: SignKey | undefined; obtainedAtMs: number },
): Token {
  const { access_token: accessToken, token_type: type, expires_in: seconds, scope } = answer
  if (typeof accessToken !== 'string' || !/^[A-Za-z0-9\-._~+/]+=*$/.test(accessToken))
    throw unusable('access_token')
  if (accessToken.length > maxTokenLength) throw unusable('access_token_length')
  // A token that came without the binding we asked for could be used by whoever sees it: it is not used at all.
  if (typeof type !== 'string' || type.toLowerCase() !== (made.key === undefined ? 'bearer' : 'dpop'))
    throw unusable('token_type')
  if (typeof seconds !== 'number' || !(seconds > 0)) throw unusable('expires_in')
  return {
    accessToken: new Secret(accessToken),
    scopes: grantedScopes(scope, ask),
    details: grantedDetails(answer['authorization_details'], ask),
    key: made.key,
    proofHeader: made.key === undefined ? undefined : proofHeader(made.key),
    obtainedAtMs: made.obtainedAtMs,
    expiresAtMs: made.obtainedAtMs + seconds * 1000,
  }
}

/** RFC 6749 §5.1: left out where it is what was asked for. */
function grantedScopes(scope: unknown, ask: Ask): readonly string[] {
  if (scope === undefined) return ask.scopes ?? []
  if (scope === '') return []
  const scopes = typeof scope === 'string' ? parseScope(scope) : undefined
  if (scopes === undefined) throw unusable('scope')
  return scopes
}

/** RFC 9396 §7: a token that was to be limited, and of which nobody says that it is, is not used at all. */
function grantedDetails(given: unknown, ask: Ask): readonly AuthorizationDetail[] {
  if (given === undefined && ask.details === undefined) return []
  if (!Array.isArray(given) || !given.every(one => typeof one?.type === 'string'))
    throw unusable('authorization_details')
  return given
}

function unusable(member: string): Fault {
  return new Fault('server_error', 'The issuer answered with a token that cannot be used.', {
    kind: 'unusable_token',
    member,
  })
}
