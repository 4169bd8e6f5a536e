// Enrolment: a single-use token and a proof of possession make one instance with one key. Ours; the proof is RFC 9449.
import { Fault } from '@writ/sdk/protocol/fault'
import { type AgentId, newId } from '@writ/sdk/protocol/identifier'
import type { PublicJwk } from '@writ/sdk/protocol/jwk'
import type { Ctx } from '../context.ts'
import { type Agent, type Instance, isAgentLive, isKeyLive, type Key } from '../domain/agent.ts'
import type { EntryDraft } from '../domain/audit-entry.ts'
import { haltOn } from '../domain/authorization/halt.ts'
import type { Change, Take } from '../domain/change.ts'
import { enrollmentKey, invitationOf, invitedAgent } from '../domain/enrollment.ts'
import { chainOf, request as requestOf } from './asked-by.ts'
import type { Binding } from './binding/dpop.ts'
import { bindNewKey, mustHaveOwnName, type NewKey } from './binding/new-key.ts'
import type { Deps } from './deps.ts'

export interface Enrollment extends NewKey {
  readonly token: string
}

export interface Enrolled {
  readonly agent: AgentId
  readonly instance: string
  readonly key: Pick<Key, 'kid' | 'notBefore' | 'expiresAt'>
}

const invalid = (kind: string): Fault =>
  new Fault('invalid_enrollment', 'The enrolment token is unknown, used or expired; ask for a new one.', {
    kind,
  })

/**
 * Throws `invalid_enrollment`, `invalid_dpop_proof`, or `conflict` when the key already belongs to an instance.
 * A repeated request with the same token and the same key is the retry of a lost answer and is answered alike: only
 * the holder of the key can make it, and it creates nothing.
 */
export async function enroll(ctx: Ctx, deps: Deps, request: Enrollment): Promise<Enrolled> {
  const binding = bindNewKey(ctx, deps, request)
  const take: Take = { kind: 'enrollment', key: enrollmentKey(request.token) }
  const found = await deps.store.oneTimes.peek(ctx, take.kind, take.key, ctx.now)
  if (found === 'absent') throw invalid('absent')
  if (found === 'spent') return repeated(ctx, deps, take, binding)
  const facts = await deps.store.facts.caller(ctx, invitedAgent(found.value), { fresh: true })
  if (facts?.agent === undefined || !isAgentLive(facts.agent, ctx.now)) throw invalid('agent_not_live')
  const { agent } = facts
  if (invitationOf(agent) !== found.value) throw invalid('stopped_since')
  // Nothing is spent, so the token may still be good when the halt is lifted. One that comes in between is no harm: the
  // new instance is under it as well.
  const { halts } = await deps.store.facts.governing(ctx, { fresh: true })
  if (haltOn(halts, { agent: agent.id, tenant: ctx.issuer })) throw invalid('halted')
  const { instance, key } = newInstance(ctx, deps, { agent, take, jwk: request.jwk, binding })
  mustHaveOwnName(key, await deps.store.keys.named(ctx, agent.id, [key.kid, key.thumbprint]))
  const committed = await deps.store.commit(
    ctx,
    changeOf(ctx, { agent, instance, key, take, binding, epoch: facts.epoch }),
  )
  switch (committed.kind) {
    case 'done':
      return { agent: agent.id, instance: instance.id, key }
    case 'spent':
      return repeated(ctx, deps, take, binding)
    case 'replayed':
      throw replayed()
    case 'conflict':
      throw new Fault('conflict', 'This key already belongs to an instance; make a new one.', {
        kind: 'key_taken',
      })
    default:
      throw invalid(committed.kind)
  }
}

interface Newcomer {
  readonly agent: Agent
  readonly take: Take
  readonly jwk: PublicJwk
  readonly binding: Binding
}

function newInstance(
  ctx: Ctx,
  deps: Deps,
  { agent, take, jwk, binding }: Newcomer,
): { instance: Instance; key: Key } {
  const instance: Instance = {
    id: newId('ins', deps.randomBytes),
    agent: agent.id,
    createdAt: ctx.now,
    enrollment: take.key,
  }
  const key: Key = {
    thumbprint: binding.jkt,
    kid: jwk.kid ?? binding.jkt,
    owner: agent.id,
    instance: instance.id,
    jwk,
    state: 'active',
    notBefore: ctx.now,
    expiresAt: ctx.now + deps.settings.agentKeySeconds,
    createdAt: ctx.now,
    stateAt: ctx.now,
    stateReason: null,
  }
  return { instance, key }
}

interface Joining {
  readonly agent: Agent
  readonly instance: Instance
  readonly key: Key
  readonly take: Take
  readonly binding: Binding
  readonly epoch: number
}

function changeOf(ctx: Ctx, { agent, instance, key, take, binding, epoch }: Joining): Change {
  return {
    bases: [{ epoch, subjects: [agent.id] }],
    claims: [binding.claim],
    takes: [take],
    puts: [
      { put: 'instance', value: instance, ifVersion: 0 },
      { put: 'key', value: key, ifVersion: 0 },
    ],
    signals: [{ subject: agent.id, kind: 'changed' }],
    entries: [entryOf(ctx, 'instance.enrolled', { instance, key, epoch })],
  }
}

function entryOf(
  ctx: Ctx,
  type: 'instance.enrolled' | 'enrollment.repeated',
  { instance, key, epoch }: Pick<Joining, 'instance' | 'key' | 'epoch'>,
): EntryDraft {
  return {
    type,
    outcome: 'allowed',
    agent: instance.agent,
    instance: instance.id,
    key: key.thumbprint,
    chain: chainOf(instance.agent, 'agent', instance.id),
    action: 'enroll',
    decision: { rule: 'enrollment_token', epoch },
    ...requestOf(ctx),
  }
}

/**
 * The retry of a lost answer: it makes nothing and is an entry of its own, because its caller was authenticated; and
 * the proof is used up like every other.
 */
async function repeated(ctx: Ctx, deps: Deps, take: Take, binding: Binding): Promise<Enrolled> {
  const owner = (await deps.store.keys.byThumbprint(ctx, binding.jkt))?.owner
  const facts = owner === undefined ? undefined : await deps.store.facts.caller(ctx, owner, { fresh: true })
  const key = facts?.keys.find(each => each.thumbprint === binding.jkt)
  if (facts?.agent === undefined || key === undefined || key.instance === null) throw invalid('spent')
  const instance = await deps.store.agents.instance(ctx, key.instance)
  // The same key with another token, or the same token with another key, is no retry.
  if (instance === undefined || instance.enrollment !== take.key) throw invalid('spent')
  if (!isAgentLive(facts.agent, ctx.now) || !isKeyLive(key, ctx.now)) throw invalid('not_live')
  const committed = await deps.store.commit(ctx, {
    bases: [{ epoch: facts.epoch, subjects: [instance.agent, instance.id, `key:${key.thumbprint}`] }],
    claims: [binding.claim],
    entries: [entryOf(ctx, 'enrollment.repeated', { instance, key, epoch: facts.epoch })],
  })
  if (committed.kind === 'replayed') throw replayed()
  if (committed.kind !== 'done') throw invalid(committed.kind)
  return { agent: instance.agent, instance: instance.id, key }
}

function replayed(): Fault {
  return new Fault('invalid_dpop_proof', 'The DPoP proof is not valid.', { kind: 'proof_replayed' })
}
