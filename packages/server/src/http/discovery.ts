// RFC 8414, OpenID Connect Discovery 1.0 and our own document: all made from the tables that route the requests.
import { algorithmsOf } from '@writ/sdk/protocol/algorithms'
import { detailTypes } from '@writ/sdk/protocol/details/index'
import { codes } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../context.ts'
import { limitsDocument } from '../limits.ts'
import { clientAuthMethods } from '../protocol/client-auth/methods.ts'
import { grantTypes } from '../protocol/token/grants.ts'
import { type FaceDeps, json, published, type Route } from './route.ts'

/** What agents and clients may sign with; the same list wherever we verify a signature of theirs. */
const signingAlgorithms = algorithmsOf('holder')

const agentClaims = ['agent_type', 'agent_model', 'agent_version', 'agent_provider', 'agent_instance_id']
const agentTypes = ['assistant', 'retrieval', 'coding', 'domain_specific', 'autonomous', 'supervised']

const metadataCacheSeconds = 60

function endpoints(
  ctx: Ctx,
  routes: readonly Route[],
  document: 'oauth' | 'writ' | 'authzen',
): Record<string, string> {
  const members: Record<string, string> = {}
  for (const route of routes) {
    const member = route.publishedAs?.[document]
    if (member !== undefined) members[member] = published(ctx.issuer, route.path)
  }
  return members
}

/** RFC 8414 §2. There is no authorization endpoint yet, so no response type is supported, and the list says so. */
function serverMetadata(ctx: Ctx, routes: readonly Route[]): Record<string, unknown> {
  const methods = clientAuthMethods.map(({ name }) => name)
  return {
    issuer: ctx.issuer,
    ...endpoints(ctx, routes, 'oauth'),
    response_types_supported: [],
    grant_types_supported: grantTypes.map(({ type }) => type),
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: methods,
    token_endpoint_auth_signing_alg_values_supported: signingAlgorithms,
    introspection_endpoint_auth_methods_supported: methods,
    introspection_endpoint_auth_signing_alg_values_supported: signingAlgorithms,
    revocation_endpoint_auth_methods_supported: methods,
    revocation_endpoint_auth_signing_alg_values_supported: signingAlgorithms,
    dpop_signing_alg_values_supported: signingAlgorithms,
    // RFC 9396 §10.
    authorization_details_types_supported: Object.keys(detailTypes),
    agent_claims_supported: agentClaims,
    agent_types_supported: agentTypes,
  }
}

/** The same values with the members that OpenID Connect Discovery §3 requires beside them. */
function openidMetadata(ctx: Ctx, deps: FaceDeps, routes: readonly Route[]): Record<string, unknown> {
  const algs = new Set(deps.keys.published(ctx).keys.map(key => key['alg']))
  return {
    ...serverMetadata(ctx, routes),
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [...algs],
  }
}

function writMetadata(ctx: Ctx, deps: FaceDeps, routes: readonly Route[]): Record<string, unknown> {
  const audit = (path: string): string => published(ctx.issuer, `/audit${path}`)
  return {
    issuer: ctx.issuer,
    management_api: published(ctx.issuer, '/api/v1'),
    openapi: published(ctx.issuer, '/api/v1/openapi.json'),
    vault: published(ctx.issuer, '/vault'),
    audit: {
      checkpoint: audit('/checkpoint'),
      tile: audit('/tile'),
      entries: audit('/entries'),
      public_key: deps.auditKey(ctx),
    },
    ...endpoints(ctx, routes, 'writ'),
  }
}

/** AuthZEN Authorization API 1.0 §9: the decision point is called by the issuer's identifier. */
function authzenMetadata(ctx: Ctx, routes: readonly Route[]): Record<string, unknown> {
  return {
    policy_decision_point: ctx.issuer,
    ...endpoints(ctx, routes, 'authzen'),
    capabilities: ['urn:openid:authzen:capability:access-request'],
  }
}

/** The discovery documents of these routes, in every place where clients look (RFC 8414 §3, §5; MCP authorization). */
export function discoveryRoutes(issuerPath: string, routes: readonly Route[]): readonly Route[] {
  const document = (
    name: string,
    path: string,
    make: (ctx: Ctx, deps: FaceDeps) => Record<string, unknown>,
  ): Route => ({
    name,
    method: 'GET',
    path,
    face: 'oauth',
    cors: true,
    whileSealed: true,
    handle: (ctx, deps) => json(make(ctx, deps), metadataCacheSeconds),
  })
  const forms = (wellKnown: string, make: (ctx: Ctx, deps: FaceDeps) => Record<string, unknown>): Route[] => {
    const inserted = document(`${wellKnown}`, `/.well-known/${wellKnown}${issuerPath}`, make)
    if (issuerPath === '') return [inserted]
    // The appended form lies below the issuer's own path.
    return [inserted, document(`${wellKnown} (appended)`, `${issuerPath}/.well-known/${wellKnown}`, make)]
  }
  return [
    ...forms('oauth-authorization-server', ctx => serverMetadata(ctx, routes)),
    ...forms('openid-configuration', (ctx, deps) => openidMetadata(ctx, deps, routes)),
    ...forms('writ-configuration', (ctx, deps) => writMetadata(ctx, deps, routes)),
    ...forms('authzen-configuration', ctx => authzenMetadata(ctx, routes)),
  ]
}

/** The documents that discovery points to besides the endpoints. */
export const documentRoutes: readonly Route[] = [
  {
    name: 'errors',
    method: 'GET',
    path: '/errors',
    face: 'problem',
    cors: true,
    publishedAs: { writ: 'error_reasons' },
    whileSealed: true,
    handle: () =>
      json(
        {
          errors: Object.entries(codes).map(([code, { status, title, spec }]) => ({
            code,
            status,
            title,
            spec,
          })),
        },
        300,
      ),
  },
  {
    name: 'limits',
    method: 'GET',
    path: '/limits',
    face: 'problem',
    cors: true,
    publishedAs: { writ: 'limits' },
    whileSealed: true,
    handle: (_ctx, deps) => json(limitsDocument(deps.config), 60),
  },
]
