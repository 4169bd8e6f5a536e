// Agents: create, list, see and change them. Status moves are in agent-moves.ts.
import { Fault } from '@writ/sdk/protocol/fault'
import { type AgentId, newId, type PersonId } from '@writ/sdk/protocol/identifier'
import { z } from 'zod'
import type { Ctx } from '../../context.ts'
import type { Agent } from '../../domain/agent.ts'
import type { Caller } from '../../domain/caller.ts'
import type { Put, Versioned } from '../../domain/change.ts'
import { loginKey, ownershipOf } from '../../domain/client.ts'
import { isOperator } from '../../domain/operator.ts'
import { mustReach } from '../ceiling.ts'
import { newKeys } from '../keys/instance-keys.ts'
import { operation, type Reads, readEvent } from '../operation.ts'
import * as wire from '../wire.ts'

/** OIDC-A §2.4.1: one of the six, or `vendor:type`. */
const kind = z
  .string()
  .max(128)
  .regex(
    /^(?:assistant|retrieval|coding|domain_specific|autonomous|supervised|[a-z0-9-]{1,63}:[A-Za-z0-9_.-]{1,64})$/,
    'is neither an OIDC-A agent type nor of the form vendor:type',
  )
export const labels = z
  .record(
    z.string().regex(/^[a-z0-9](?:[a-z0-9._/-]{0,61}[a-z0-9])?$/, 'is not a label name'),
    z
      .string()
      .max(128)
      .regex(/^[\x20-\x7e]*$/, 'is not printable ASCII'),
  )
  .refine(members => Object.keys(members).length <= 32, 'has more than 32 labels')

const described = {
  kind: kind.nullable().optional(),
  model: wire.name.nullable().optional(),
  provider: wire.name.nullable().optional(),
  version: wire.name.nullable().optional(),
  labels: labels.optional(),
  expires_at: wire.instant.nullable().optional(),
}

export const agentShown = z
  .strictObject({
    id: wire.id('agt'),
    name: z.string(),
    owner: z.string().meta({ description: 'The id of a person, or of the operator' }),
    purpose: z.string(),
    kind: z.string().nullable(),
    model: z.string().nullable(),
    provider: z.string().nullable(),
    version: z.string().nullable(),
    labels: z.record(z.string(), z.string()),
    status: z.enum(['active', 'suspended', 'retired']),
    status_reason: z.string().nullable(),
    status_at: wire.shownInstant,
    expires_at: wire.shownInstant.nullable(),
    created_at: wire.shownInstant,
    updated_at: wire.shownInstant,
  })
  .meta({ id: 'Agent' })

export function showAgent(agent: Agent): z.input<typeof agentShown> {
  return {
    id: agent.id,
    name: agent.name,
    owner: agent.owner,
    purpose: agent.purpose,
    kind: agent.kind,
    model: agent.model,
    provider: agent.provider,
    version: agent.softwareVersion,
    labels: agent.labels,
    status: agent.status,
    status_reason: agent.statusReason,
    status_at: wire.rfc3339(agent.statusAt),
    expires_at: wire.rfc3339OrNull(agent.expiresAt),
    created_at: wire.rfc3339(agent.createdAt),
    updated_at: wire.rfc3339(agent.updatedAt),
  }
}

/** Throws `not_found`: an agent of another tenant is as unknown as one that never was (threats C60, C61). */
export async function findAgent(ctx: Ctx, deps: Reads, id: string): Promise<Versioned<Agent>> {
  const agent = await deps.store.agents.get(ctx, id)
  if (agent === undefined) throw new Fault('not_found', 'There is no such agent.', { kind: 'no_agent' })
  return agent
}

/** The record again, to be written over the version that was read. */
export function putAgent({ version, ...agent }: Versioned<Agent>, change: Partial<Agent>): Put {
  return { put: 'agent', value: { ...agent, ...change }, ifVersion: version }
}

export function mustBeFuture(ctx: Ctx, at: number | null, member = 'expires_at'): void {
  if (at !== null && at <= ctx.now) {
    throw new Fault('invalid_value', `The member ${member} must be in the future.`, { kind: 'not_in_future' })
  }
}

export function mustHaveVersion(record: { readonly version: number }, ifVersion: number | null): void {
  if (ifVersion !== null && ifVersion !== record.version) {
    throw new Fault('conflict', 'This was changed since you read it; look again.', { kind: 'if_match' })
  }
}

/** A live person by id or login, or the operator's agent: somebody who answers for what the agent does. */
export async function findOwner(ctx: Ctx, deps: Reads, owner: string): Promise<PersonId | AgentId> {
  const { agents, people } = deps.store
  if (owner.startsWith('agt_')) {
    const agent = await agents.get(ctx, owner)
    if (agent !== undefined && isOperator(agent) && agent.status === 'active') return agent.id
    throw noOwner()
  }
  const person = owner.startsWith('usr_')
    ? await people.get(ctx, owner)
    : await people.byLogin(ctx, loginKey(owner))
  if (person === undefined || person.status !== 'active') throw noOwner()
  return person.id
}

function noOwner(): Fault {
  return new Fault('invalid_value', 'The member owner must name an active person, or the operator.', {
    kind: 'no_owner',
  })
}

export const owner = z
  .string()
  .min(1)
  .max(128)
  .meta({ description: 'The id or login of a person, or the id of the operator' })

const create = operation({
  id: 'agents.create',
  event: 'agent.created',
  method: 'POST',
  path: '/agents',
  summary: 'Create an agent; without a grant it can do nothing',
  params: wire.noParams,
  query: wire.noQuery,
  body: z
    .strictObject({
      name: wire.name,
      owner,
      purpose: wire.prose,
      ...described,
      jwks: z
        .strictObject({ keys: z.array(z.record(z.string(), z.unknown())).min(1).max(16) })
        .optional()
        .meta({ description: 'Public keys; each makes one instance' }),
    })
    .meta({ id: 'AgentCreate' }),
  status: 201,
  answer: agentShown,
  async decide(ctx, deps, { body }) {
    mustBeFuture(ctx, body.expires_at ?? null)
    const ownerId = await findOwner(ctx, deps, body.owner)
    const agent: Agent = {
      id: newId('agt', deps.randomBytes),
      name: body.name,
      owner: ownerId,
      purpose: body.purpose,
      kind: body.kind ?? null,
      model: body.model ?? null,
      provider: body.provider ?? null,
      softwareVersion: body.version ?? null,
      labels: body.labels ?? {},
      status: 'active',
      statusReason: null,
      statusAt: ctx.now,
      expiresAt: body.expires_at ?? null,
      createdAt: ctx.now,
      updatedAt: ctx.now,
    }
    const made = await newKeys(ctx, deps, { owner: agent.id, known: [], jwks: body.jwks?.keys ?? [] })
    return {
      change: {
        puts: [{ put: 'agent', value: agent, ifVersion: 0 }, ...made.puts],
        signals: [
          { subject: agent.id, kind: 'changed' },
          { subject: ownershipOf(ownerId), kind: 'narrowed' },
        ],
      },
      restsOn: [ownerId],
      about: {
        agent: agent.id,
        person: ownerId.startsWith('usr_') ? ownerId : null,
        facts: { name: agent.name, owner: ownerId, keys: made.thumbprints },
      },
      answer: showAgent(agent),
      location: `/agents/${agent.id}`,
      version: 1,
    }
  },
})

const list = operation({
  id: 'agents.list',
  event: readEvent,
  method: 'GET',
  path: '/agents',
  summary: 'List agents in the order of their creation',
  params: wire.noParams,
  query: z.strictObject({
    ...wire.paging,
    owner: owner.optional(),
    status: agentShown.shape.status.optional(),
    name: z.string().min(1).max(128).optional(),
  }),
  body: null,
  status: 200,
  answer: wire.listOf(agentShown),
  async decide(ctx, deps, { query }) {
    const { owner, status, name } = query
    const page = await deps.store.agents.list(ctx, wire.pageOf(query), wire.given({ owner, status, name }))
    return { about: {}, answer: wire.shownPage(page, showAgent) }
  },
})

const get = operation({
  id: 'agents.get',
  event: readEvent,
  method: 'GET',
  path: '/agents/{id}',
  summary: 'See an agent',
  params: z.strictObject({ id: wire.id('agt') }),
  query: wire.noQuery,
  body: null,
  status: 200,
  answer: agentShown,
  async decide(ctx, deps, { params }) {
    const agent = await findAgent(ctx, deps, params.id)
    return { about: { agent: agent.id }, answer: showAgent(agent), version: agent.version }
  },
})

const update = operation({
  id: 'agents.update',
  event: 'agent.updated',
  method: 'PATCH',
  path: '/agents/{id}',
  summary: 'Change what is said about an agent; null clears a member',
  params: z.strictObject({ id: wire.id('agt') }),
  query: wire.noQuery,
  body: z
    .strictObject({
      name: wire.name.optional(),
      owner: owner.optional(),
      purpose: wire.prose.optional(),
      ...described,
    })
    .meta({ id: 'AgentUpdate' }),
  status: 200,
  answer: agentShown,
  async decide(ctx, deps, { params, body, ifVersion }, caller) {
    const agent = await findAgent(ctx, deps, params.id)
    mustHaveVersion(agent, ifVersion)
    await mustReach(ctx, deps, caller, agent)
    if (agent.status === 'retired') {
      throw new Fault('conflict', 'This agent is retired; nothing about it changes any more.', {
        kind: 'retired',
      })
    }
    const next = await updated(ctx, deps, { agent, body, caller })
    const ends = next.expiresAt !== null && (agent.expiresAt === null || next.expiresAt < agent.expiresAt)
    return {
      change: {
        puts: [putAgent(agent, next)],
        signals: [
          // A nearer end must reach the tokens that were issued before it was known.
          { subject: agent.id, kind: ends ? 'narrowed' : 'changed' },
          ...(next.owner === agent.owner
            ? []
            : [{ subject: ownershipOf(next.owner), kind: 'narrowed' } as const]),
        ],
      },
      restsOn: next.owner === agent.owner ? [] : [next.owner],
      about: { agent: agent.id, facts: { members: Object.keys(body).sort() } },
      answer: showAgent(next),
      version: agent.version + 1,
    }
  },
})

interface Update {
  readonly agent: Versioned<Agent>
  readonly body: {
    readonly [K in 'name' | 'owner' | 'purpose']?: string | undefined
  } & { readonly [K in 'kind' | 'model' | 'provider' | 'version']?: string | null | undefined } & {
    readonly labels?: Readonly<Record<string, string>> | undefined
    readonly expires_at?: number | null | undefined
  }
  readonly caller: Caller
}

async function updated(ctx: Ctx, deps: Reads, { agent, body, caller }: Update): Promise<Agent> {
  const { version: _, ...current } = agent
  if (body.expires_at !== undefined) {
    mustBeFuture(ctx, body.expires_at)
    mustNotLockOut(agent, caller)
  }
  // Whoever owns itself is the operator: nobody may become that by a change of owner.
  const owner =
    body.owner === undefined || body.owner === agent.owner
      ? agent.owner
      : await findOwner(ctx, deps, body.owner)
  if (isOperator(agent) && owner !== agent.owner) {
    throw new Fault('conflict', 'The operator answers for itself.', { kind: 'operator' })
  }
  return {
    ...current,
    name: body.name ?? agent.name,
    owner,
    purpose: body.purpose ?? agent.purpose,
    kind: body.kind === undefined ? agent.kind : body.kind,
    model: body.model === undefined ? agent.model : body.model,
    provider: body.provider === undefined ? agent.provider : body.provider,
    softwareVersion: body.version === undefined ? agent.softwareVersion : body.version,
    labels: body.labels ?? agent.labels,
    expiresAt: body.expires_at === undefined ? agent.expiresAt : body.expires_at,
    updatedAt: ctx.now,
  }
}

/** The operator ending itself would leave an authority that nobody can administer and nothing can restart. */
export function mustNotLockOut(agent: Agent, caller: Pick<Caller, 'id'>): void {
  if (isOperator(agent) && caller.id === agent.id) {
    throw new Fault('conflict', 'The operator cannot end itself; another administrator can.', {
      kind: 'lock_out',
    })
  }
}

export const agentOperations = [create, list, get, update]
