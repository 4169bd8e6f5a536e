// A resource that verifies every token and proof against the test issuer, and can be told to misbehave.
import { checkProof } from '@writ/sdk/protocol/dpop'
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import { keyCache } from '@writ/sdk/protocol/jwk'
import type { TestIssuer } from './issuer.ts'
import { listen } from './listening.ts'

export interface ApiConduct {
  nonces: 'off' | 'required' | 'never good'
  skewMs: number
  /** Path → the scopes it needs; a path that is not here needs none. */
  scopes: Record<string, string[]>
  /** Changes the RFC 9728 document. */
  publish: (document: Record<string, unknown>) => Record<string, unknown>
  /** The value of `resource_metadata` in challenges; none where undefined. */
  metadataUrl: string | undefined
  /** Answers instead of the resource. */
  before: (request: Request) => Response | undefined
}

export interface Seen {
  readonly path: string
  readonly authorization: string | null
  readonly status: number
  readonly body: string
}

export interface TestApi extends AsyncDisposable {
  readonly url: string
  readonly conduct: ApiConduct
  readonly seen: Seen[]
}

const metadataPath = '/.well-known/oauth-protected-resource'

export async function startApi(issuer: TestIssuer): Promise<TestApi> {
  const keys = keyCache(64)
  const used = new Set<string>()
  const seen: Seen[] = []
  let url = ''
  const conduct: ApiConduct = {
    nonces: 'off',
    skewMs: 0,
    scopes: {},
    publish: document => document,
    metadataUrl: undefined,
    before: () => undefined,
  }

  const verify = (request: Request): void => {
    const [scheme, accessToken = ''] = (request.headers.get('authorization') ?? '').split(' ')
    const known = issuer.tokens.get(accessToken)
    if (scheme !== 'DPoP' || known === undefined || known.isRevoked)
      throw new Fault('invalid_token', 'The access token is not valid here.')
    if (known.expiresAt <= issuer.now() || known.resource !== url)
      throw new Fault('invalid_token', 'The access token is not valid here.')
    // A key that has ended ends what was issued to it.
    const key = issuer.keys.get(known.jkt ?? '')
    if (key !== undefined && key.expiresAt <= issuer.now())
      throw new Fault('invalid_token', 'The access token is not valid here.')
    const proof = checkProof({
      proof: request.headers.get('dpop') ?? '',
      method: request.method,
      uri: request.url,
      now: Math.floor((Date.now() + conduct.skewMs) / 1000),
      accessToken,
      keys,
      nonce: given =>
        conduct.nonces === 'off' || (conduct.nonces === 'required' && given === 'api') ? 'ok' : 'missing',
    })
    if (proof.jkt !== known.jkt || used.has(proof.replayKey))
      throw new Fault('invalid_dpop_proof', 'The DPoP proof is not valid.')
    used.add(proof.replayKey)
    const needed = conduct.scopes[new URL(request.url).pathname] ?? []
    if (!needed.every(scope => known.scopes.includes(scope)))
      throw new Fault('insufficient_scope', 'The access token lacks a scope.')
  }

  const challenge = (request: Request, fault: Fault | undefined): Response => {
    const parameters = [
      ...(fault === undefined ? [] : [`error="${fault.code}"`]),
      ...(fault?.code === 'insufficient_scope'
        ? [`scope="${conduct.scopes[new URL(request.url).pathname]?.join(' ')}"`]
        : []),
      ...(conduct.metadataUrl === undefined ? [] : [`resource_metadata="${conduct.metadataUrl}"`]),
      'algs="ES256"',
    ]
    return new Response(null, {
      status: fault?.code === 'insufficient_scope' ? 403 : 401,
      headers: {
        'www-authenticate': `DPoP ${parameters.join(', ')}`,
        ...(fault?.code === 'use_dpop_nonce' ? { 'dpop-nonce': 'api' } : {}),
      },
    })
  }

  const answer = (request: Request, body: string): Response => {
    const { pathname } = new URL(request.url)
    if (pathname === metadataPath)
      return Response.json(conduct.publish({ resource: url, authorization_servers: [issuer.url] }))
    const early = conduct.before(request)
    if (early !== undefined) return early
    if (!request.headers.has('authorization')) return challenge(request, undefined)
    try {
      verify(request)
      return new Response(`${request.method} ${pathname} ${body}`.trim())
    } catch (error) {
      if (isFault(error)) return challenge(request, error)
      throw error
    }
  }

  const listening = await listen(
    async request => {
      const body = await request.clone().text()
      const given = answer(request, body)
      const { pathname } = new URL(request.url)
      seen.push({
        path: pathname,
        authorization: request.headers.get('authorization'),
        status: given.status,
        body,
      })
      return given
    },
    () => Date.now() + conduct.skewMs,
  )
  url = listening.origin
  conduct.metadataUrl = url + metadataPath
  return { url, conduct, seen, [Symbol.asyncDispose]: () => listening[Symbol.asyncDispose]() }
}
