// The first start: the operator, its key, the management API as a resource, and the grant of all of it, in one change.

import { Fault } from '@writ/sdk/protocol/fault'
import { type AgentId, newId } from '@writ/sdk/protocol/identifier'
import { type PublicJwk, thumbprint } from '@writ/sdk/protocol/jwk'
import type { Ctx } from '../context.ts'
import type { Agent, Instance, Key } from '../domain/agent.ts'
import type { EntryDraft } from '../domain/audit-entry.ts'
import type { Change } from '../domain/change.ts'
import type { Grant } from '../domain/grant.ts'
import type { Resource } from '../domain/resource.ts'
import type { Store } from '../store/store.ts'
import { managementIdentifier, managementResource, managementScopes } from './access.ts'

export interface BootstrapDeps {
  readonly store: Pick<Store, 'resources' | 'commit'>
  readonly randomBytes: (length: number) => Uint8Array
}

/** Chosen by the caller, so that it can keep the private key before anything rests on it. */
export interface Founder {
  readonly id: AgentId
  readonly jwk: PublicJwk
}

/**
 * Makes the operator where the store has none yet, and brings the scopes of the management API up to this version
 * where it has. Of nodes that start together one is `founded`; for the others, and on every later start, it `stands`.
 */
export async function bootstrap(
  ctx: Ctx,
  deps: BootstrapDeps,
  founder: () => Founder,
): Promise<'founded' | 'stands'> {
  for (let attempt = 1; attempt <= 8; attempt++) {
    const resource = await deps.store.resources.byIdentifier(ctx, managementIdentifier(ctx))
    const change = resource === undefined ? foundation(ctx, deps, founder()) : upgrade(ctx, resource)
    if (change === undefined) return 'stands'
    const committed = await deps.store.commit(ctx, change)
    if (committed.kind === 'done') return resource === undefined ? 'founded' : 'stands'
    // Another node was faster; what it made is what stands.
  }
  throw new Fault('temporarily_unavailable', 'The first records could not be written.', { kind: 'bootstrap' })
}

function foundation(ctx: Ctx, deps: BootstrapDeps, founder: Founder): Change {
  const { id } = founder
  const agent = operatorOf(ctx, id)
  const instance: Instance = {
    id: newId('ins', deps.randomBytes),
    agent: id,
    createdAt: ctx.now,
    enrollment: null,
  }
  const key = keyOf(ctx, founder, instance)
  const resource = managementResource(ctx, deps.randomBytes)
  const grant = grantOf(ctx, deps, id, resource.identifier)
  return {
    puts: [
      { put: 'resource', value: resource, ifVersion: 0 },
      { put: 'agent', value: agent, ifVersion: 0 },
      { put: 'instance', value: instance, ifVersion: 0 },
      { put: 'key', value: key, ifVersion: 0 },
      { put: 'grant', value: grant, ifVersion: 0 },
    ],
    signals: [
      { subject: id, kind: 'changed' },
      { subject: resource.identifier, kind: 'changed' },
    ],
    entries: [
      entryOf(ctx, 'resource.created', {
        resource: resource.identifier,
        facts: { resource_id: resource.id },
      }),
      entryOf(ctx, 'agent.created', {
        agent: id,
        instance: instance.id,
        facts: { name: agent.name, owner: id },
      }),
      entryOf(ctx, 'key.registered', {
        agent: id,
        instance: instance.id,
        facts: { thumbprint: key.thumbprint },
      }),
      entryOf(ctx, 'grant.created', {
        agent: id,
        resource: resource.identifier,
        facts: { grant: grant.id, scopes: grant.scopes },
      }),
    ],
  }
}

function operatorOf({ now }: Ctx, id: AgentId): Agent {
  return {
    id,
    name: 'operator',
    // The one agent that answers for itself.
    owner: id,
    purpose: 'Administers this authority',
    kind: null,
    model: null,
    provider: null,
    softwareVersion: null,
    labels: {},
    status: 'active',
    statusReason: null,
    statusAt: now,
    expiresAt: null,
    createdAt: now,
    updatedAt: now,
  }
}

function grantOf(ctx: Ctx, deps: BootstrapDeps, id: AgentId, resource: string): Grant {
  return {
    id: newId('grt', deps.randomBytes),
    agent: id,
    resource,
    scopes: ['writ:*'],
    reason: 'First start',
    expiresAt: null,
    createdAt: ctx.now,
    createdBy: id,
    revokedAt: null,
  }
}

function keyOf(ctx: Ctx, { id, jwk }: Founder, instance: Instance): Key {
  const jkt = thumbprint(jwk)
  return {
    thumbprint: jkt,
    kid: jwk.kid ?? jkt,
    owner: id,
    instance: instance.id,
    jwk,
    state: 'active',
    notBefore: ctx.now,
    // Without an end: an operator who was away must still get in. It can be rotated and revoked like any other.
    expiresAt: null,
    createdAt: ctx.now,
    stateAt: ctx.now,
    stateReason: null,
  }
}

/** The record of the management API as this version has it, or undefined where it is that already. */
function upgrade(
  ctx: Ctx,
  { version, ...resource }: Resource & { readonly version: number },
): Change | undefined {
  const scopes = managementScopes()
  if (JSON.stringify(scopes) === JSON.stringify(resource.scopes)) return undefined
  const kept = new Set(scopes.map(scope => scope.name))
  const lost = resource.scopes.some(scope => !kept.has(scope.name))
  return {
    puts: [{ put: 'resource', value: { ...resource, scopes, updatedAt: ctx.now }, ifVersion: version }],
    signals: [{ subject: resource.identifier, kind: lost ? 'narrowed' : 'changed' }],
    entries: [
      entryOf(ctx, 'resource.updated', {
        resource: resource.identifier,
        facts: { resource_id: resource.id, scopes: scopes.map(scope => scope.name) },
      }),
    ],
  }
}

function entryOf(
  ctx: Ctx,
  type: string,
  about: Pick<EntryDraft, 'agent' | 'instance' | 'resource' | 'facts'>,
): EntryDraft {
  return {
    type,
    outcome: 'allowed',
    ...about,
    action: 'bootstrap',
    decision: { rule: 'bootstrap' },
    requestId: ctx.requestId,
    traceId: ctx.traceId ?? null,
    peer: ctx.peer ?? null,
  }
}
