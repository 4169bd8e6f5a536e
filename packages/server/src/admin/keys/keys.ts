// The keys of agents as the API shows them: list, register, revoke.
import { Fault } from '@writ/sdk/protocol/fault'
import { z } from 'zod'
import type { Ctx } from '../../context.ts'
import { type Agent, isKeyLive, type Key, type KeyUse, keyNamed, revokeKey } from '../../domain/agent.ts'
import type { Caller } from '../../domain/caller.ts'
import type { Versioned } from '../../domain/change.ts'
import { findAgent, mustBeFuture, mustNotLockOut } from '../agents/agents.ts'
import { reasonBody } from '../agents/moves.ts'
import { mustReach } from '../ceiling.ts'
import { operation, type Reads, readEvent } from '../operation.ts'
import * as wire from '../wire.ts'
import { newKeys } from './instance-keys.ts'

const keyShown = z
  .strictObject({
    kid: z.string(),
    thumbprint: z.string().meta({ description: 'RFC 7638, SHA-256' }),
    instance: wire.id('ins').nullable(),
    state: z.enum(['staged', 'active', 'retiring', 'retired', 'revoked']),
    state_reason: z.string().nullable(),
    state_at: wire.shownInstant,
    jwk: z.record(z.string(), z.unknown()),
    not_before: wire.shownInstant,
    expires_at: wire.shownInstant.nullable(),
    created_at: wire.shownInstant,
    last_used_at: wire.shownInstant.nullable(),
    last_used_from: z.string().nullable(),
  })
  .meta({ id: 'Key' })

/** A key past its end proves nothing, whatever its record says until somebody tidies up; so that is what is shown. */
function shownState(key: Key, now: number): Key['state'] {
  const isOver = key.expiresAt !== null && key.expiresAt <= now
  return isOver && key.state !== 'revoked' ? 'retired' : key.state
}

function showKey(key: Key & { readonly use: KeyUse | null }, now: number): z.input<typeof keyShown> {
  return {
    kid: key.kid,
    thumbprint: key.thumbprint,
    instance: key.instance,
    state: shownState(key, now),
    state_reason: key.stateReason,
    state_at: wire.rfc3339(key.stateAt),
    jwk: { ...key.jwk },
    not_before: wire.rfc3339(key.notBefore),
    expires_at: wire.rfc3339OrNull(key.expiresAt),
    created_at: wire.rfc3339(key.createdAt),
    last_used_at: wire.rfc3339OrNull(key.use?.lastUsedAt ?? null),
    last_used_from: key.use?.lastUsedFrom ?? null,
  }
}

const agentParams = z.strictObject({ id: wire.id('agt') })
const keyParams = z.strictObject({
  id: wire.id('agt'),
  kid: z.string().min(1).max(256).meta({ description: 'The kid of the key, or its thumbprint' }),
})

type Found = Versioned<Key> & { readonly use: KeyUse | null }

async function findKey(ctx: Ctx, deps: Reads, agent: string, kid: string): Promise<Found> {
  const key = keyNamed(await deps.store.keys.ofOwner(ctx, agent), kid)
  if (key === undefined)
    throw new Fault('not_found', 'There is no such key of this agent.', { kind: 'no_key' })
  return key
}

interface Revoking {
  readonly agent: Agent
  readonly key: Key
  readonly caller: Pick<Caller, 'id'>
}

/** The operator ends itself by its last live key as surely as by its suspension. */
async function mustKeepOperable(ctx: Ctx, deps: Reads, { agent, key, caller }: Revoking): Promise<void> {
  const keys = await deps.store.keys.ofOwner(ctx, agent.id)
  const others = keys.filter(({ thumbprint }) => thumbprint !== key.thumbprint)
  if (!others.some(other => isKeyLive(other, ctx.now))) mustNotLockOut(agent, caller)
}

const list = operation({
  id: 'keys.list',
  event: readEvent,
  method: 'GET',
  path: '/agents/{id}/keys',
  summary:
    'List the keys of an agent with their states and last use, in the order in which they were registered',
  params: agentParams,
  query: z.strictObject(wire.paging),
  body: null,
  status: 200,
  answer: wire.listOf(keyShown),
  async decide(ctx, deps, { params, query }) {
    const agent = await findAgent(ctx, deps, params.id)
    const page = await deps.store.keys.list(ctx, wire.pageOf(query), { owner: agent.id })
    return {
      about: { agent: agent.id },
      answer: wire.shownPage(page, key => showKey(key, ctx.now)),
    }
  },
})

const get = operation({
  id: 'keys.get',
  event: readEvent,
  method: 'GET',
  path: '/agents/{id}/keys/{kid}',
  summary: 'See a key of an agent',
  params: keyParams,
  query: wire.noQuery,
  body: null,
  status: 200,
  answer: keyShown,
  async decide(ctx, deps, { params }) {
    await findAgent(ctx, deps, params.id)
    const key = await findKey(ctx, deps, params.id, params.kid)
    return {
      about: { agent: params.id, instance: key.instance },
      answer: showKey(key, ctx.now),
      version: key.version,
    }
  },
})

const create = operation({
  id: 'keys.create',
  event: 'key.registered',
  method: 'POST',
  path: '/agents/{id}/keys',
  summary: 'Register a public key; it makes a new instance of the agent',
  params: agentParams,
  query: wire.noQuery,
  body: z
    .strictObject({
      jwk: z.record(z.string(), z.unknown()),
      expires_at: wire.instant
        .nullable()
        .optional()
        .meta({ description: 'The configured life of a key unless told; null for a key without an end' }),
    })
    .meta({ id: 'KeyCreate' }),
  status: 201,
  answer: keyShown,
  async decide(ctx, deps, { params, body }, caller) {
    mustBeFuture(ctx, body.expires_at ?? null)
    const agent = await findAgent(ctx, deps, params.id)
    await mustReach(ctx, deps, caller, agent)
    if (agent.status === 'retired') throw new Fault('conflict', 'This agent is retired.', { kind: 'retired' })
    const known = await deps.store.keys.ofOwner(ctx, agent.id)
    const { puts, keys } = await newKeys(ctx, deps, {
      owner: agent.id,
      known,
      jwks: [body.jwk],
      ...(body.expires_at === undefined ? {} : { expiresAt: body.expires_at }),
    })
    const [key] = keys as [Key]
    return {
      change: { puts, signals: [{ subject: agent.id, kind: 'changed' }] },
      restsOn: [agent.id],
      about: { agent: agent.id, instance: key.instance, facts: { thumbprint: key.thumbprint, kid: key.kid } },
      answer: showKey({ ...key, use: null }, ctx.now),
      location: `/agents/${agent.id}/keys/${encodeURIComponent(key.kid)}`,
      version: 1,
    }
  },
})

const revoke = operation({
  id: 'keys.revoke',
  event: 'key.revoked',
  method: 'POST',
  path: '/agents/{id}/keys/{kid}/revoke',
  summary: 'Revoke a key at once, with every token that was obtained by it or is bound to it',
  params: keyParams,
  query: wire.noQuery,
  body: reasonBody,
  status: 200,
  answer: keyShown,
  async decide(ctx, deps, { params, body, ifVersion }, caller) {
    const agent = await findAgent(ctx, deps, params.id)
    const { version, use, ...key } = await findKey(ctx, deps, agent.id, params.kid)
    if (ifVersion !== null && ifVersion !== version) {
      throw new Fault('conflict', 'This was changed since you read it; look again.', { kind: 'if_match' })
    }
    await mustReach(ctx, deps, caller, agent)
    await mustKeepOperable(ctx, deps, { agent, key, caller })
    const next = revokeKey(key, body.reason, ctx.now)
    if (next === undefined) {
      throw new Fault('conflict', `A key that is ${key.state} cannot be revoked.`, {
        kind: 'move',
        from: key.state,
      })
    }
    return {
      change: {
        puts: [{ put: 'key', value: next, ifVersion: version }],
        signals: [
          { subject: `key:${key.thumbprint}`, kind: 'narrowed' },
          { subject: agent.id, kind: 'changed' },
        ],
      },
      about: {
        agent: agent.id,
        instance: key.instance,
        reason: body.reason,
        facts: { thumbprint: key.thumbprint, kid: key.kid },
      },
      answer: showKey({ ...next, use }, ctx.now),
      version: version + 1,
    }
  },
})

export const keyOperations = [list, get, create, revoke]
