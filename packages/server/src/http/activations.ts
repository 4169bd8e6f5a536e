// Activations that an agent asks for itself, and what becomes of them: JSON in, JSON out.
import { Fault } from '@writ/sdk/protocol/fault'
import { parseId } from '@writ/sdk/protocol/identifier'
import { z } from 'zod'
import { detailsGiven, detailsOf } from '../admin/activation/details.ts'
import { check } from '../admin/input.ts'
import { scopeToken } from '../admin/resources/resources.ts'
import * as wire from '../admin/wire.ts'
import type { Ctx } from '../context.ts'
import type { Approval } from '../domain/authorization/approval.ts'
import { activate, cancelActivation, followActivation, type Showing } from '../protocol/activation.ts'
import { readJson } from './body.ts'
import { singleProof } from './oauth.ts'
import { type FaceDeps, json, published, type Route } from './route.ts'

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const longestSeconds = 7 * 86_400

const proof = {
  client_assertion_type: z.literal(assertionType),
  client_assertion: z.string().min(1).max(8192),
}

const wishGiven = z.strictObject({
  ...proof,
  eligibility: wire.id('elg'),
  reason: wire.reason,
  seconds: z.int().min(1).max(longestSeconds),
  scopes: z.array(scopeToken).min(1).max(100).optional(),
  authorization_details: detailsGiven.min(1).optional(),
  break_glass: z.boolean().optional(),
})
const followGiven = z.strictObject(proof)
const cancelGiven = z.strictObject({ ...proof, reason: wire.reason })

/** What the agent hears: its own request and what it got, and of the approver no more than the reason. */
function shown(approval: Approval, now: number): Record<string, unknown> {
  const { asked, approved } = approval
  const { scopes, authorizationDetails, seconds } = approved ?? asked
  return {
    activation: approval.id,
    state: approval.state === 'pending' && now >= approval.expiresAt ? 'expired' : approval.state,
    eligibility: asked.eligibility,
    resource: asked.resource,
    scopes,
    authorization_details: authorizationDetails,
    seconds,
    break_glass: approval.breakGlass,
    reason: approval.decisionReason,
    grant: approval.grant,
    ends_at: wire.rfc3339OrNull(approval.approvedUntil),
    expires_at: wire.rfc3339(approval.expiresAt),
  }
}

interface Asked<B> {
  readonly body: B
  readonly showing: Showing
  readonly text: string
}

async function askedOf<S extends z.ZodType<{ client_assertion: string }>>(
  ctx: Ctx,
  deps: FaceDeps,
  request: Request,
  schema: S,
): Promise<Asked<z.output<S>>> {
  const given = await readJson(request, deps.config.maxBodyBytes)
  const body = check(schema, given, 'member') as z.output<S>
  const { client_assertion: assertion } = body
  const { pathname } = new URL(request.url)
  const showing = {
    assertion,
    proof: singleProof(request),
    method: request.method,
    // Scheme and host as we publish them (RFC 9449 §11.1).
    uri: new URL(ctx.issuer).origin + pathname,
  }
  // A retry shows a new assertion, and asks for the same.
  const { client_assertion: _shown, ...asked } = given
  return { body, showing, text: JSON.stringify(asked) }
}

function idIn(request: Request) {
  const id = parseId('apr', new URL(request.url).pathname.split('/').at(-2))
  if (id === undefined)
    throw new Fault('not_found', 'This agent has no such request.', { kind: 'malformed_identifier' })
  return id
}

const about = { method: 'POST', face: 'problem', cors: false } as const

const activateRoute: Route = {
  ...about,
  name: 'activate',
  path: '/activations',
  publishedAs: { writ: 'activation_endpoint' },
  async handle(ctx, deps, request) {
    const { body, showing, text } = await askedOf(ctx, deps, request, wishGiven)
    const approval = await activate(ctx, deps, showing, {
      wish: {
        eligibility: body.eligibility,
        reason: body.reason,
        seconds: body.seconds,
        scopes: body.scopes && [...new Set(body.scopes)],
        authorizationDetails: detailsOf(body.authorization_details),
        breakGlass: body.break_glass ?? false,
      },
      idempotencyKey: request.headers.get('idempotency-key') ?? undefined,
      asked: text,
    })
    const answer = json(shown(approval, ctx.now), 'never', 201)
    answer.headers.set('location', published(ctx.issuer, `/activations/${approval.id}`))
    return answer
  },
}

const followRoute: Route = {
  ...about,
  name: 'activation-status',
  path: '/activations/:id/status',
  async handle(ctx, deps, request) {
    const { showing } = await askedOf(ctx, deps, request, followGiven)
    return json(shown(await followActivation(ctx, deps, showing, idIn(request)), ctx.now))
  },
}

const cancelRoute: Route = {
  ...about,
  name: 'activation-cancel',
  path: '/activations/:id/cancel',
  async handle(ctx, deps, request) {
    const { body, showing } = await askedOf(ctx, deps, request, cancelGiven)
    const named = { id: idIn(request), reason: body.reason }
    return json(shown(await cancelActivation(ctx, deps, showing, named), ctx.now))
  },
}

export const activationRoutes: readonly Route[] = [activateRoute, followRoute, cancelRoute]
