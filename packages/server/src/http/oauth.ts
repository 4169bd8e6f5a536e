// The OAuth endpoints: evidence out of requests, answers into responses. They translate; they never decide.
import { Fault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../context.ts'
import { currentNonce } from '../protocol/binding/dpop.ts'
import { type Evidence, type Form, one } from '../protocol/evidence.ts'
import { introspect } from '../protocol/introspection.ts'
import { revoke } from '../protocol/revocation.ts'
import { token } from '../protocol/token/endpoint.ts'
import { grantTypes } from '../protocol/token/grants.ts'
import { readBody } from './body.ts'
import { parseForm } from './form.ts'
import { type FaceDeps, json, published, type Route } from './route.ts'

const form = 'application/x-www-form-urlencoded'

export async function evidenceOf(
  ctx: Ctx,
  deps: FaceDeps,
  request: Request,
  site: { path: string; repeatable: (name: string, form: Form) => boolean },
): Promise<Evidence> {
  const body = await readBody(request, form, deps.config.maxBodyBytes)
  return {
    method: request.method,
    uri: published(ctx.issuer, site.path),
    form: parseForm(body, site.repeatable),
    authorization: request.headers.get('authorization') ?? undefined,
    dpop: singleProof(request),
  }
}

/** RFC 9449 §4.3 step 1: not more than one DPoP header field; several arrive joined by a comma. */
export function singleProof(request: Request): string | undefined {
  const proof = request.headers.get('dpop') ?? undefined
  if (proof?.includes(','))
    throw new Fault('invalid_dpop_proof', 'The DPoP proof is not valid.', { kind: 'several_proofs' })
  return proof
}

const tokenRoute: Route = {
  name: 'token',
  method: 'POST',
  path: '/token',
  face: 'oauth',
  cors: true,
  publishedAs: { oauth: 'token_endpoint' },
  async handle(ctx, deps, request) {
    const evidence = await evidenceOf(ctx, deps, request, { path: this.path, repeatable: isRepeatable })
    const issued = await token(ctx, deps, evidence)
    const answer = json({
      access_token: issued.accessToken,
      token_type: issued.tokenType,
      expires_in: issued.expiresInSeconds,
      ...(issued.scopes.length === 0 ? {} : { scope: issued.scopes.join(' ') }),
      // RFC 9396 §7: those that were granted, which are not always those that were asked for.
      ...(issued.authorizationDetails.length === 0
        ? {}
        : { authorization_details: issued.authorizationDetails }),
      // Ours: the holder is asked to replace its key within so many seconds.
      ...(issued.isKeyRotationAsked ? { key_rotation_within: deps.config.rotationSpreadSeconds } : {}),
    })
    if (evidence.dpop !== undefined) answer.headers.set('dpop-nonce', currentNonce(ctx, deps))
    return answer
  },
}

function isRepeatable(name: string, given: Form): boolean {
  const grant = grantTypes.find(({ type }) => type === one(given, 'grant_type'))
  return grant?.repeatable.includes(name) ?? false
}

const introspectionRoute: Route = {
  name: 'introspection',
  method: 'POST',
  path: '/introspect',
  face: 'oauth',
  cors: false,
  publishedAs: { oauth: 'introspection_endpoint' },
  async handle(ctx, deps, request) {
    const evidence = await evidenceOf(ctx, deps, request, { path: this.path, repeatable: () => false })
    return json(await introspect(ctx, deps, evidence))
  },
}

const revocationRoute: Route = {
  name: 'revocation',
  method: 'POST',
  path: '/revoke',
  face: 'oauth',
  cors: true,
  publishedAs: { oauth: 'revocation_endpoint' },
  async handle(ctx, deps, request) {
    const evidence = await evidenceOf(ctx, deps, request, { path: this.path, repeatable: () => false })
    await revoke(ctx, deps, evidence)
    return json({})
  },
}

const jwksRoute: Route = {
  name: 'jwks',
  method: 'GET',
  path: '/jwks',
  face: 'oauth',
  cors: true,
  publishedAs: { oauth: 'jwks_uri', authzen: 'jwks_uri' },
  whileSealed: true,
  handle(ctx, deps) {
    return json(deps.keys.published(ctx), deps.config.jwksCacheSeconds)
  },
}

export const oauthRoutes: readonly Route[] = [tokenRoute, introspectionRoute, revocationRoute, jwksRoute]
