// Grants: what an agent may ask for, given one by one and taken back at once.
import { Fault } from '@writ/sdk/protocol/fault'
import { newId } from '@writ/sdk/protocol/identifier'
import { canonicalResource } from '@writ/sdk/protocol/uri'
import { z } from 'zod'
import type { Ctx } from '../../context.ts'
import { budgetName } from '../../domain/authorization/budget.ts'
import type { Versioned } from '../../domain/change.ts'
import { type Grant, isGrantLive, mostGrants } from '../../domain/grant.ts'
import { leavesOf, type Resource } from '../../domain/resource.ts'
import { managementIdentifier } from '../access.ts'
import { detailsGiven } from '../activation/details.ts'
import { findAgent, mustBeFuture, mustHaveVersion, mustNotLockOut } from '../agents/agents.ts'
import { mustHold } from '../ceiling.ts'
import { operation, type Reads, readEvent } from '../operation.ts'
import { scopeToken } from '../resources/resources.ts'
import * as wire from '../wire.ts'
import { detailsFor } from './details.ts'
import {
  budgetsGiven,
  budgetsOf,
  conditionGiven,
  limitsShown,
  mustNameActions,
  showLimits,
} from './limits.ts'

export const grantShown = z
  .strictObject({
    id: wire.id('grt'),
    agent: wire.id('agt'),
    resource: z.string(),
    scopes: z.array(z.string()),
    authorization_details: z.array(z.looseObject({ type: z.string() })),
    ...limitsShown,
    reason: z.string(),
    status: z.enum(['active', 'expired', 'revoked']),
    expires_at: wire.shownInstant.nullable(),
    created_at: wire.shownInstant,
    created_by: z.string(),
    revoked_at: wire.shownInstant.nullable(),
  })
  .meta({ id: 'Grant' })

export function showGrant(grant: Grant, now: number, left?: readonly number[]): z.input<typeof grantShown> {
  const ended = grant.revokedAt === null ? ('expired' as const) : ('revoked' as const)
  return {
    id: grant.id,
    agent: grant.agent,
    resource: grant.resource,
    scopes: [...grant.scopes],
    authorization_details: [...(grant.authorizationDetails ?? [])],
    ...showLimits(grant, left),
    reason: grant.reason,
    status: isGrantLive(grant, now) ? 'active' : ended,
    expires_at: wire.rfc3339OrNull(grant.expiresAt),
    created_at: wire.rfc3339(grant.createdAt),
    created_by: grant.createdBy,
    revoked_at: wire.rfc3339OrNull(grant.revokedAt),
  }
}

/** Known to the contract and without force as yet: stored unenforced, it would promise a limit that nobody keeps. */
export const withoutForce = (what: string) =>
  z
    .unknown()
    .optional()
    .superRefine((value, context) => {
      if (value === undefined) return
      context.addIssue({
        code: 'custom',
        message: 'is not supported yet, and is never stored without being enforced',
        params: { code: 'unsupported_member' },
      })
    })
    .meta({ description: `${what}; refused until it is enforced` })

export async function findResource(ctx: Ctx, deps: Reads, text: string): Promise<Resource> {
  const identifier = canonicalResource(text)
  const resource =
    identifier === undefined ? undefined : await deps.store.resources.byIdentifier(ctx, identifier)
  if (resource === undefined) {
    throw new Fault('invalid_value', `The resource ${wire.shown(text)} is not registered.`, {
      kind: 'unknown_resource',
    })
  }
  return resource
}

export function mustKnow(resource: Resource, scopes: readonly string[]): void {
  const known = new Set(resource.scopes.map(scope => scope.name))
  const unknown = scopes.find(scope => !known.has(scope))
  if (unknown !== undefined) {
    throw new Fault('invalid_value', `The resource ${resource.identifier} has no scope ${unknown}.`, {
      kind: 'unknown_scope',
    })
  }
}

async function mustHaveRoom(ctx: Ctx, deps: Reads, agent: string, resource: string): Promise<void> {
  const page = await deps.store.grants.list(ctx, { limit: mostGrants }, { agent, resource, liveAt: ctx.now })
  if (page.items.length >= mostGrants) {
    throw new Fault(
      'conflict',
      `An agent has at most ${mostGrants} grants for a resource; put scopes together.`,
      {
        kind: 'too_many_grants',
      },
    )
  }
}

const create = operation({
  id: 'grants.create',
  event: 'grant.created',
  method: 'POST',
  path: '/grants',
  summary:
    'Give an agent the right to ask for scopes of a resource, for authorization details, or for both together',
  params: wire.noParams,
  query: wire.noQuery,
  body: z
    .strictObject({
      agent: wire.id('agt'),
      resource: z.string().min(1).max(512).meta({ description: 'The identifier of the resource' }),
      scopes: z
        .array(scopeToken)
        .min(1)
        .max(100)
        .optional()
        .meta({ description: 'May be left out where authorization_details say what is allowed' }),
      expires_at: wire.instant.nullable().optional(),
      reason: wire.reason,
      condition: conditionGiven.nullable().optional(),
      budgets: budgetsGiven.optional(),
      authorization_details: detailsGiven.min(1).optional(),
    })
    .superRefine(({ scopes, authorization_details: details }, context) => {
      if (scopes !== undefined || details !== undefined) return
      context.addIssue({ code: 'custom', message: 'is needed, or authorization_details', path: ['scopes'] })
    })
    .meta({ id: 'GrantCreate' }),
  status: 201,
  answer: grantShown,
  async decide(ctx, deps, { body }, caller) {
    mustBeFuture(ctx, body.expires_at ?? null)
    const agent = await deps.store.agents.get(ctx, body.agent)
    if (agent === undefined || agent.status === 'retired') {
      throw new Fault('invalid_value', 'The member agent must name an agent that is not retired.', {
        kind: 'no_agent',
      })
    }
    const resource = await findResource(ctx, deps, body.resource)
    const scopes = [...new Set(body.scopes ?? [])]
    const authorizationDetails = detailsFor(ctx, resource, body.authorization_details)
    mustKnow(resource, scopes)
    mustNameActions(resource, body.condition)
    // Who may give rights gives those of its own, and no higher (threat C60).
    if (resource.identifier === managementIdentifier(ctx)) mustHold(caller, leavesOf(resource.scopes, scopes))
    await mustHaveRoom(ctx, deps, agent.id, resource.identifier)
    const grant: Grant = {
      id: newId('grt', deps.randomBytes),
      agent: agent.id,
      resource: resource.identifier,
      scopes,
      authorizationDetails,
      condition: body.condition ?? null,
      budgets: budgetsOf(body.budgets),
      reason: body.reason,
      expiresAt: body.expires_at ?? null,
      createdAt: ctx.now,
      createdBy: caller.id,
      revokedAt: null,
    }
    return {
      change: {
        puts: [{ put: 'grant', value: grant, ifVersion: 0 }],
        signals: [{ subject: agent.id, kind: 'changed' }],
      },
      // A resource deleted or a scope removed meanwhile must not leave a right to it behind.
      restsOn: [agent.id, resource.identifier],
      about: aboutGrant(grant, grant.reason),
      answer: showGrant(grant, ctx.now),
      location: `/grants/${grant.id}`,
      version: 1,
    }
  },
})

function aboutGrant(grant: Grant, reason: string | null) {
  return {
    agent: grant.agent,
    resource: grant.resource,
    reason,
    facts: {
      grant: grant.id,
      ...(grant.budgets?.length ? { budgets: grant.budgets.map(budgetName) } : {}),
      scopes: grant.scopes,
      ...(grant.authorizationDetails?.length
        ? { authorization_details: grant.authorizationDetails.map(detail => JSON.stringify(detail)) }
        : {}),
      expires_at: wire.rfc3339OrNull(grant.expiresAt),
    },
  }
}

const list = operation({
  id: 'grants.list',
  event: readEvent,
  method: 'GET',
  path: '/grants',
  summary: 'List grants in the order in which they were given',
  params: wire.noParams,
  query: z.strictObject({
    ...wire.paging,
    agent: wire.id('agt').optional(),
    resource: z.string().min(1).max(512).optional(),
    status: z
      .literal('active')
      .optional()
      .meta({ description: 'Leaves out those that were revoked or have expired' }),
  }),
  body: null,
  status: 200,
  answer: wire.listOf(grantShown),
  async decide(ctx, deps, { query }) {
    const resource =
      query.resource === undefined ? undefined : (canonicalResource(query.resource) ?? query.resource)
    const liveAt = query.status === undefined ? undefined : ctx.now
    const filter = wire.given({ agent: query.agent as string | undefined, resource, liveAt })
    const page = await deps.store.grants.list(ctx, wire.pageOf(query), filter)
    return {
      about: query.agent === undefined ? {} : { agent: query.agent },
      answer: wire.shownPage(page, grant => showGrant(grant, ctx.now)),
    }
  },
})

const params = z.strictObject({ id: wire.id('grt') })

export async function findGrant(ctx: Ctx, deps: Reads, id: string): Promise<Versioned<Grant>> {
  const grant = await deps.store.grants.get(ctx, id)
  if (grant === undefined) throw new Fault('not_found', 'There is no such grant.', { kind: 'no_grant' })
  return grant
}

const get = operation({
  id: 'grants.get',
  event: readEvent,
  method: 'GET',
  path: '/grants/{id}',
  summary: 'See a grant',
  params,
  query: wire.noQuery,
  body: null,
  status: 200,
  answer: grantShown,
  async decide(ctx, deps, input) {
    const grant = await findGrant(ctx, deps, input.params.id)
    const left = await Promise.all(
      (grant.budgets ?? []).map(async budget => {
        const { left: rest } = await deps.store.budgets.left(ctx, grant.id, budget, ctx.now)
        return rest
      }),
    )
    return { about: { agent: grant.agent }, answer: showGrant(grant, ctx.now, left), version: grant.version }
  },
})

const remove = operation({
  id: 'grants.delete',
  event: 'grant.revoked',
  method: 'DELETE',
  path: '/grants/{id}',
  summary: 'Take a grant back at once, with every token that rests on it; the record stays for the audit',
  params,
  query: wire.noQuery,
  body: null,
  status: 204,
  answer: null,
  async decide(ctx, deps, input, caller) {
    const { version, ...grant } = await findGrant(ctx, deps, input.params.id)
    mustHaveVersion({ version }, input.ifVersion)
    if (grant.resource === managementIdentifier(ctx)) {
      const management = await deps.store.resources.byIdentifier(ctx, grant.resource)
      mustHold(caller, leavesOf(management?.scopes ?? [], grant.scopes))
      mustNotLockOut(await findAgent(ctx, deps, grant.agent), caller)
    }
    // Taken back before: asking again finds it done.
    if (grant.revokedAt !== null) return { about: aboutGrant(grant, 'already_revoked'), answer: undefined }
    return {
      change: {
        puts: [{ put: 'grant', value: { ...grant, revokedAt: ctx.now }, ifVersion: version }],
        signals: [
          { subject: grant.id, kind: 'narrowed' },
          { subject: grant.agent, kind: 'changed' },
        ],
      },
      about: aboutGrant(grant, null),
      answer: undefined,
    }
  },
})

export const grantOperations = [create, list, get, remove]
