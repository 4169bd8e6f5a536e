// A small issuer that believes nothing: it verifies every assertion and proof, and can be told to misbehave.
import { randomUUID } from 'node:crypto'
import { checkProof, type ProofResult } from '@writ/sdk/protocol/dpop'
import { type Code, codes, Fault, isFault } from '@writ/sdk/protocol/fault'
import { importPublic, keyCache, type PublicJwk, parsePublicJwk, thumbprint } from '@writ/sdk/protocol/jwk'
import { parseJws, verifyJws } from '@writ/sdk/protocol/jws'
import { checkTimes, parseClaims } from '@writ/sdk/protocol/jwt'
import { parseScope } from '@writ/sdk/protocol/scope'
import { type Handler, listen } from './listening.ts'

export interface KnownKey {
  readonly jwk: PublicJwk
  readonly instance: string
  readonly notBefore: number
  expiresAt: number
  successor?: string
}

export interface KnownToken {
  readonly jkt: string | undefined
  readonly resource: string
  readonly scopes: readonly string[]
  readonly expiresAt: number
  isRevoked?: boolean
}

/** What a test may set at any time. */
export interface Conduct {
  nonces: 'required' | 'never good' | 'off'
  tokenSeconds: number
  keySeconds: number
  overlapSeconds: number
  /** Added to the issuer's clock. */
  skewMs: number
  isSuspended: boolean
  /** The scopes that the agent is granted, by resource; a resource that is not here is not known. */
  grants: Record<string, string[]>
  /** Changes a document before it is published. */
  publish: (document: Record<string, unknown>) => Record<string, unknown>
  /** Called with the path before anything is done, and after; `lose` breaks the connection then. */
  before: (path: string) => Promise<Response | 'lose' | undefined> | Response | 'lose' | undefined
  after: (path: string) => 'lose' | undefined
}

export interface TestIssuer extends AsyncDisposable {
  readonly url: string
  readonly conduct: Conduct
  readonly keys: Map<string, KnownKey>
  readonly tokens: Map<string, KnownToken>
  /** How often each path was asked. */
  readonly asked: Map<string, number>
  /** A new enrolment token. */
  enrollment(): string
  now(): number
}

const agent = 'agt_test'

const good: Conduct = {
  nonces: 'required',
  tokenSeconds: 300,
  keySeconds: 3600,
  overlapSeconds: 300,
  skewMs: 0,
  isSuspended: false,
  grants: {},
  publish: document => document,
  before: () => undefined,
  after: () => undefined,
}

/** `path` makes it an issuer with a path, such as `/tenant`. */
export async function startIssuer(settings: Partial<Conduct> = {}, path = ''): Promise<TestIssuer> {
  const conduct: Conduct = { ...good, ...settings }
  const keys = new Map<string, KnownKey>()
  const tokens = new Map<string, KnownToken>()
  const enrollments = new Map<string, { jkt?: string }>()
  const used = new Set<string>()
  const asked = new Map<string, number>()
  const proofKeys = keyCache(64)
  const now = (): number => Math.floor((Date.now() + conduct.skewMs) / 1000)
  let issuer = ''

  // Only tokens need a nonce: to enrol or to rotate costs one round trip.
  const isGoodNonce = (request: Request, given: string | undefined): boolean =>
    conduct.nonces !== 'never good' &&
    (conduct.nonces === 'off' || given === 'first' || !request.url.endsWith('/token'))
  const prove = (request: Request): ProofResult => {
    const proof = checkProof({
      proof: request.headers.get('dpop') ?? '',
      method: request.method,
      uri: request.url,
      now: now(),
      keys: proofKeys,
      nonce: given => (isGoodNonce(request, given) ? 'ok' : 'missing'),
    })
    if (used.has(proof.replayKey)) throw new Fault('invalid_dpop_proof', 'Replayed.')
    used.add(proof.replayKey)
    return proof
  }

  const authenticate = (assertion: string): KnownKey => {
    const refuse = (why: string): Fault =>
      new Fault('invalid_client', 'The client could not be authenticated.', { kind: why })
    const jws = parseJws(assertion)
    const claims = jws && parseClaims(jws)
    if (jws === undefined || claims === undefined) throw refuse('malformed')
    if (jws.header.typ !== 'client-authentication+jwt') throw refuse('typ')
    if (claims['iss'] !== agent || claims['sub'] !== agent || claims['aud'] !== issuer) throw refuse('claims')
    if (checkTimes(claims, now(), { skewSeconds: 5, maxLifeSeconds: 60 }) !== undefined) throw refuse('time')
    const known = [...keys.values()].find(({ jwk }) => thumbprint(jwk) === jws.header.kid)
    if (known === undefined || now() >= known.expiresAt) throw refuse('key')
    if (!verifyJws(jws, importPublic(known.jwk))) throw refuse('signature')
    if (used.has(String(claims['jti']))) throw refuse('replayed')
    used.add(String(claims['jti']))
    if (conduct.isSuspended) throw refuse('suspended')
    return known
  }

  const addKey = (jwk: PublicJwk, instance: string): KnownKey => {
    const known = { jwk, instance, notBefore: now(), expiresAt: now() + conduct.keySeconds }
    keys.set(thumbprint(jwk), known)
    return known
  }

  const enroll = async (request: Request): Promise<Response> => {
    const { token, jwk } = (await request.json()) as { token: string; jwk: unknown }
    const key = parsePublicJwk(jwk)
    const { jkt } = prove(request)
    const enrollment = enrollments.get(token)
    if (jkt !== thumbprint(key)) throw new Fault('invalid_dpop_proof', 'Another key.')
    if (enrollment === undefined || (enrollment.jkt !== undefined && enrollment.jkt !== jkt)) {
      throw new Fault(
        'invalid_enrollment',
        'The enrolment token is unknown, used or expired; ask for a new one.',
      )
    }
    enrollment.jkt = jkt
    const known = keys.get(jkt) ?? addKey(key, `ins_${enrollments.size}`)
    return Response.json(
      { client_id: agent, instance: known.instance, issuer, key: said(known) },
      { status: 201 },
    )
  }

  const rekey = async (request: Request): Promise<Response> => {
    const body = (await request.json()) as { client_assertion: string; jwk: unknown }
    const key = parsePublicJwk(body.jwk)
    const { jkt } = prove(request)
    if (jkt !== thumbprint(key)) throw new Fault('invalid_dpop_proof', 'Another key.')
    const old = authenticate(body.client_assertion)
    if (old.successor !== undefined && old.successor !== jkt)
      throw new Fault('conflict', 'This key has a successor already.')
    if (old.successor === undefined) {
      old.successor = jkt
      old.expiresAt = Math.min(old.expiresAt, now() + conduct.overlapSeconds)
    }
    const known = keys.get(jkt) ?? addKey(key, old.instance)
    const previous = { kid: thumbprint(old.jwk), expires_at: at(old.expiresAt) }
    return Response.json({ client_id: agent, instance: known.instance, issuer, key: said(known), previous })
  }

  const token = async (request: Request): Promise<Response> => {
    const form = new URLSearchParams(await request.text())
    const proof = request.headers.has('dpop') ? prove(request) : undefined
    authenticate(form.get('client_assertion') ?? '')
    const resource = form.get('resource') ?? ''
    const granted = conduct.grants[resource]
    if (granted === undefined) throw new Fault('invalid_target', 'The resource is not registered here.')
    const scopes = form.has('scope') ? (parseScope(form.get('scope') ?? '') ?? []) : granted
    const missing = scopes.find(scope => !granted.includes(scope))
    if (missing !== undefined)
      throw new Fault('invalid_scope', `The scope ${missing} is not granted for this resource.`)
    const accessToken = randomUUID()
    tokens.set(accessToken, { jkt: proof?.jkt, resource, scopes, expiresAt: now() + conduct.tokenSeconds })
    return Response.json({
      access_token: accessToken,
      token_type: proof === undefined ? 'Bearer' : 'DPoP',
      expires_in: conduct.tokenSeconds,
      ...(scopes.length > 0 ? { scope: scopes.join(' ') } : {}),
    })
  }

  const documents: Record<string, () => Record<string, unknown>> = {
    [`/.well-known/oauth-authorization-server${path}`]: () => ({
      issuer,
      token_endpoint: `${issuer}/token`,
      token_endpoint_auth_methods_supported: ['private_key_jwt'],
      dpop_signing_alg_values_supported: ['ES256', 'Ed25519'],
    }),
    [`/.well-known/writ-configuration${path}`]: () => ({
      issuer,
      enrollment_endpoint: `${issuer}/enroll`,
      key_rotation_endpoint: `${issuer}/rekey`,
    }),
  }
  const endpoints: Record<string, (request: Request) => Promise<Response>> = {
    [`${path}/enroll`]: enroll,
    [`${path}/rekey`]: rekey,
    [`${path}/token`]: token,
  }

  const handler: Handler = async request => {
    const { pathname } = new URL(request.url)
    asked.set(pathname, (asked.get(pathname) ?? 0) + 1)
    const early = await conduct.before(pathname)
    if (early !== undefined) return early === 'lose' ? 'lost' : early
    const document = documents[pathname]
    if (document !== undefined) return Response.json(conduct.publish(document()))
    const endpoint = endpoints[pathname]
    if (endpoint === undefined) return new Response('nothing here', { status: 404 })
    const answer = await endpoint(request).catch(error => refusal(error, pathname.endsWith('/token')))
    return conduct.after(pathname) === 'lose' ? 'lost' : answer
  }
  const listening = await listen(handler, () => Date.now() + conduct.skewMs)
  issuer = listening.origin + path
  return {
    url: issuer,
    conduct,
    keys,
    tokens,
    asked,
    now,
    enrollment() {
      const made = `writ_enr_${randomUUID()}`
      enrollments.set(made, {})
      return made
    },
    [Symbol.asyncDispose]: () => listening[Symbol.asyncDispose](),
  }
}

const at = (seconds: number): string => new Date(seconds * 1000).toISOString()

const said = ({ jwk, notBefore, expiresAt }: KnownKey) => ({
  kid: thumbprint(jwk),
  not_before: at(notBefore),
  expires_at: at(expiresAt),
})

function refusal(error: unknown, isOauth: boolean): Response {
  if (!isFault(error)) throw error
  const code: Code = error.code
  const headers = code === 'use_dpop_nonce' ? { 'dpop-nonce': 'first' } : {}
  const body = isOauth ? { error: code, error_description: error.message } : { code, detail: error.message }
  return Response.json(body, { status: codes[code].status, headers })
}
