// Eligibilities: what an agent may have opened for a while, by whose approval. By itself an eligibility is no right.
import { Fault } from '@writ/sdk/protocol/fault'
import { newId, prefixOf } from '@writ/sdk/protocol/identifier'
import { canonicalResource } from '@writ/sdk/protocol/uri'
import { z } from 'zod'
import { mustBeAbout } from '../../approvals/activation.ts'
import { takenBack } from '../../approvals/judging.ts'
import type { Ctx } from '../../context.ts'
import { type Eligibility, isEligibilityLive, openedSubject } from '../../domain/authorization/eligibility.ts'
import type { Change, Versioned } from '../../domain/change.ts'
import { type Grant, isGrantLive, mostGrants } from '../../domain/grant.ts'
import { mustBeFuture, mustHaveVersion } from '../agents/agents.ts'
import { findResource, mustKnow } from '../grants/grants.ts'
import {
  budgetsGiven,
  budgetsOf,
  conditionGiven,
  limitsShown,
  mustNameActions,
  showLimits,
} from '../grants/limits.ts'
import { operation, type Reads, readEvent } from '../operation.ts'
import { scopeToken } from '../resources/resources.ts'
import * as wire from '../wire.ts'
import { detailsGiven, detailsOf } from './details.ts'
import { mustStandAbove, showReach } from './shown.ts'

const longestSeconds = 7 * 86_400

const eligibilityShown = z
  .strictObject({
    id: wire.id('elg'),
    agent: wire.id('agt'),
    resource: z.string(),
    scopes: z.array(z.string()),
    authorization_details: z.array(z.looseObject({ type: z.string() })),
    ...limitsShown,
    max_seconds: z.number(),
    approval: z.enum(['none', 'required']),
    approvers: z.array(z.string()),
    break_glass: z.boolean(),
    reason: z.string(),
    status: z.enum(['live', 'expired', 'revoked']),
    expires_at: wire.shownInstant.nullable(),
    created_at: wire.shownInstant,
    created_by: z.string(),
    revoked_at: wire.shownInstant.nullable(),
  })
  .meta({ id: 'Eligibility' })

function showEligibility(eligibility: Eligibility, now: number): z.input<typeof eligibilityShown> {
  const ended = eligibility.revokedAt === null ? ('expired' as const) : ('revoked' as const)
  return {
    id: eligibility.id,
    agent: eligibility.agent,
    resource: eligibility.resource,
    ...showReach(eligibility),
    ...showLimits(eligibility),
    max_seconds: eligibility.maxSeconds,
    approval: eligibility.approval,
    approvers: [...eligibility.approvers],
    break_glass: eligibility.breakGlass,
    reason: eligibility.reason,
    status: isEligibilityLive(eligibility, now) ? 'live' : ended,
    expires_at: wire.rfc3339OrNull(eligibility.expiresAt),
    created_at: wire.rfc3339(eligibility.createdAt),
    created_by: eligibility.createdBy,
    revoked_at: wire.rfc3339OrNull(eligibility.revokedAt),
  }
}

const create = operation({
  id: 'eligibilities.create',
  event: 'eligibility.created',
  method: 'POST',
  path: '/eligibilities',
  summary: 'Let an agent have rights opened for a while, with a reason and, where it is said, an approval',
  params: wire.noParams,
  query: wire.noQuery,
  body: z
    .strictObject({
      agent: wire.id('agt'),
      resource: z.string().min(1).max(512).meta({ description: 'The identifier of the resource' }),
      scopes: z.array(scopeToken).max(100).optional(),
      authorization_details: detailsGiven.optional(),
      condition: conditionGiven.nullable().optional(),
      budgets: budgetsGiven.optional().meta({
        description:
          'What may be spent: by each activation that somebody approved, and by all others together',
      }),
      max_seconds: z.int().min(1).max(longestSeconds).meta({ description: 'The longest activation' }),
      approval: z
        .enum(['none', 'required'])
        .meta({ description: 'Whether somebody has to approve each activation' }),
      approvers: z
        .array(z.string().max(64))
        .max(32)
        .optional()
        .meta({ description: 'Ids of agents or people: nobody else may approve; empty for whoever may' }),
      break_glass: z.boolean().optional().meta({
        description: 'Whether it may be opened unapproved in an emergency, to be reviewed afterwards',
      }),
      expires_at: wire.instant.nullable().optional(),
      reason: wire.reason,
    })
    .meta({ id: 'EligibilityCreate' }),
  status: 201,
  answer: eligibilityShown,
  async decide(ctx, deps, { body }, caller) {
    mustBeFuture(ctx, body.expires_at ?? null)
    const agent = await deps.store.agents.get(ctx, body.agent)
    if (agent === undefined || agent.status === 'retired')
      throw new Fault('invalid_value', 'The member agent must name an agent that is not retired.', {
        kind: 'no_agent',
      })
    const resource = await findResource(ctx, deps, body.resource)
    const scopes = [...new Set(body.scopes ?? [])]
    const authorizationDetails = detailsOf(body.authorization_details) ?? []
    mustKnow(resource, scopes)
    mustNameActions(resource, body.condition)
    mustBeAbout(resource, { authorizationDetails })
    if (scopes.length + authorizationDetails.length === 0)
      throw new Fault(
        'invalid_value',
        'Name scopes or authorization_details: without both nothing is meant.',
        {
          kind: 'no_reach',
        },
      )
    await mustStandAbove(ctx, deps, caller, { resource: resource.identifier, scopes })
    const eligibility: Eligibility = {
      id: newId('elg', deps.randomBytes),
      agent: agent.id,
      resource: resource.identifier,
      scopes,
      authorizationDetails,
      condition: body.condition ?? null,
      budgets: budgetsOf(body.budgets),
      maxSeconds: body.max_seconds,
      approval: body.approval,
      approvers: await approversOf(ctx, deps, body.approvers ?? [], agent.id),
      breakGlass: body.break_glass ?? false,
      reason: body.reason,
      expiresAt: body.expires_at ?? null,
      createdAt: ctx.now,
      createdBy: caller.id,
      revokedAt: null,
    }
    return {
      change: { puts: [{ put: 'eligibility', value: eligibility, ifVersion: 0 }] },
      restsOn: [agent.id, resource.identifier],
      about: aboutEligibility(eligibility, body.reason),
      answer: showEligibility(eligibility, ctx.now),
      location: `/eligibilities/${eligibility.id}`,
      version: 1,
    }
  },
})

/** Somebody who is not there could come to be later, as somebody else; and the agent itself never approves. */
async function approversOf(
  ctx: Ctx,
  { store }: Reads,
  named: readonly string[],
  agent: string,
): Promise<readonly string[]> {
  const ids = [...new Set(named)]
  const found = await Promise.all(
    ids.map(id => {
      const kind = prefixOf(id)
      if (kind === 'agt') return store.agents.get(ctx, id)
      return kind === 'usr' ? store.people.get(ctx, id) : undefined
    }),
  )
  const at = found.findIndex((one, index) => one === undefined || ids[index] === agent)
  if (at !== -1)
    throw new Fault(
      'invalid_value',
      `The approver ${wire.shown(ids[at] ?? '')} is nobody who could approve.`,
      {
        kind: 'no_approver',
      },
    )
  return ids
}

function aboutEligibility(eligibility: Eligibility, reason: string) {
  return {
    agent: eligibility.agent,
    resource: eligibility.resource,
    reason,
    facts: {
      eligibility: eligibility.id,
      scopes: eligibility.scopes,
      max_seconds: eligibility.maxSeconds,
      approval: eligibility.approval,
      approvers: eligibility.approvers,
      break_glass: eligibility.breakGlass,
      expires_at: wire.rfc3339OrNull(eligibility.expiresAt),
    },
  }
}

const list = operation({
  id: 'eligibilities.list',
  event: readEvent,
  method: 'GET',
  path: '/eligibilities',
  summary: 'List eligibilities in the order in which they were made',
  params: wire.noParams,
  query: z.strictObject({
    ...wire.paging,
    agent: wire.id('agt').optional(),
    resource: z.string().min(1).max(512).optional(),
  }),
  body: null,
  status: 200,
  answer: wire.listOf(eligibilityShown),
  async decide(ctx, deps, { query }) {
    const resource =
      query.resource === undefined ? undefined : (canonicalResource(query.resource) ?? query.resource)
    const filter = wire.given({ agent: query.agent as string | undefined, resource })
    const page = await deps.store.eligibilities.list(ctx, wire.pageOf(query), filter)
    return {
      about: query.agent === undefined ? {} : { agent: query.agent },
      answer: wire.shownPage(page, eligibility => showEligibility(eligibility, ctx.now)),
    }
  },
})

const params = z.strictObject({ id: wire.id('elg') })

async function findEligibility(ctx: Ctx, deps: Reads, id: string): Promise<Versioned<Eligibility>> {
  const eligibility = await deps.store.eligibilities.get(ctx, id)
  if (eligibility === undefined)
    throw new Fault('not_found', 'There is no such eligibility.', { kind: 'no_eligibility' })
  return eligibility
}

const get = operation({
  id: 'eligibilities.get',
  event: readEvent,
  method: 'GET',
  path: '/eligibilities/{id}',
  summary: 'See an eligibility',
  params,
  query: wire.noQuery,
  body: null,
  status: 200,
  answer: eligibilityShown,
  async decide(ctx, deps, input) {
    const eligibility = await findEligibility(ctx, deps, input.params.id)
    return {
      about: { agent: eligibility.agent },
      answer: showEligibility(eligibility, ctx.now),
      version: eligibility.version,
    }
  },
})

const revoke = operation({
  id: 'eligibilities.revoke',
  event: 'eligibility.revoked',
  method: 'POST',
  path: '/eligibilities/{id}/revoke',
  summary: 'End an eligibility at once, with everything that was opened from it',
  insists: true,
  params,
  query: wire.noQuery,
  body: z.strictObject({ reason: wire.reason }).meta({ id: 'EligibilityRevoke' }),
  status: 200,
  answer: eligibilityShown,
  async decide(ctx, deps, input, caller) {
    const { version, ...eligibility } = await findEligibility(ctx, deps, input.params.id)
    mustHaveVersion({ version }, input.ifVersion)
    await mustStandAbove(ctx, deps, caller, eligibility)
    if (eligibility.revokedAt !== null)
      throw new Fault('conflict', 'This eligibility was revoked already.', { kind: 'already_revoked' })
    const revoked: Eligibility = { ...eligibility, revokedAt: ctx.now }
    const opened = await endOpened(ctx, deps, eligibility)
    return {
      change: {
        puts: [{ put: 'eligibility', value: revoked, ifVersion: version }, ...opened.puts],
        signals: [{ subject: eligibility.id, kind: 'narrowed' }, ...opened.signals],
      },
      restsOn: [openedSubject(eligibility.id)],
      about: withEnded(aboutEligibility(revoked, input.body.reason), opened.ended),
      answer: showEligibility(revoked, ctx.now),
      version: version + 1,
    }
  },
})

/** The live grants that were opened from it, each of them: those that raced to be opened are more than one may have. */
async function endOpened(
  ctx: Ctx,
  { store }: Reads,
  { id, agent, resource }: Eligibility,
): Promise<Required<Pick<Change, 'puts' | 'signals'>> & { readonly ended: readonly string[] }> {
  const opened: Versioned<Grant>[] = []
  for (let after: string | undefined, isLast = false; !isLast; ) {
    const asked = { limit: mostGrants, ...(after === undefined ? {} : { after }) }
    const page = await store.grants.list(ctx, asked, { agent, resource, liveAt: ctx.now })
    opened.push(...page.items.filter(grant => grant.activation != null && isGrantLive(grant, ctx.now)))
    isLast = page.next === null
    after = page.next ?? undefined
  }
  const approvals = await Promise.all(opened.map(grant => store.approvals.get(ctx, grant.activation ?? '')))
  const ended = opened.filter((_grant, at) => approvals[at]?.asked.eligibility === id)
  const parts = ended.map(grant => takenBack(grant, ctx.now))
  return {
    puts: parts.flatMap(({ puts }) => puts),
    signals: parts.flatMap(({ signals }) => signals),
    ended: ended.map(grant => grant.id),
  }
}

/** Without it the log would not tell that these grants have ended. */
function withEnded<A extends { readonly facts: object }>(about: A, ended: readonly string[]): A {
  return ended.length === 0 ? about : { ...about, facts: { ...about.facts, ended_grants: ended } }
}

export const eligibilityOperations = [create, list, get, revoke]
