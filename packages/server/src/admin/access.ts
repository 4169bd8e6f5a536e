// Who may do what at the management API: one row per operation, deny by default; and the scopes that the rows name.

import { Fault } from '@writ/sdk/protocol/fault'
import { newId } from '@writ/sdk/protocol/identifier'
import type { Ctx } from '../context.ts'
import type { Decided } from '../decision/decided.ts'
import { type Attempted, decideOwn, type OwnDeps } from '../decision/own.ts'
import type { Caller } from '../domain/caller.ts'
import { managementIdentifier } from '../domain/management.ts'
import type { Resource, Scope } from '../domain/resource.ts'

/** The leaves; each is the right to one kind of access to one kind of object. */
const leaves = {
  'writ:agents:read': 'See agents and their instances',
  'writ:agents:write': 'Create, change, suspend, resume and retire agents',
  'writ:keys:read': 'See the keys of agents',
  'writ:keys:write': 'Register and revoke keys of agents, and let instances enrol',
  'writ:resources:read': 'See resources and their scopes',
  'writ:resources:write': 'Create, change and delete resources',
  'writ:grants:read': 'See grants',
  'writ:grants:write': 'Give and take grants',
  'writ:clients:read': 'See other OAuth clients',
  'writ:clients:write': 'Create, change, suspend, resume and delete other OAuth clients',
  'writ:people:read': 'See people',
  'writ:people:write': 'Create, change, suspend, resume and delete people',
  'writ:groups:read': 'See groups of people and who belongs to them',
  'writ:groups:write': 'Create and delete groups of people, and say who belongs to them',
  'writ:policies:read': 'See policy sets, and check a text without storing it',
  'writ:policies:write': 'Store policy sets, try them, put them into force and roll them back',
  'writ:events:read': 'Read the audit log',
  'writ:issuer:read': 'See the signing keys of this authority',
  'writ:issuer:write': 'Rotate the signing keys of this authority',
  'writ:rotations:read': 'See rotations, who still uses an old version, and schedules',
  'writ:rotations:write': 'Begin, force and cancel rotations, and schedule them',
  'writ:secrets:read': 'See secrets of the vault, their versions and leases, but no value',
  'writ:secrets:write': 'Put secrets into the vault, change and retire them, and revoke their leases',
  'writ:halts:read': 'See halts and who enforces them',
  'writ:halts:write':
    'Halt agents, instances, keys, grants, tools, resources, people or the tenant, and lift halts',
  'writ:sessions:read': 'See sessions of agents and the risk of subjects',
  'writ:sessions:write': 'End sessions of agents',
  'writ:risks:write': 'Say how risky an agent, an instance, a session or a person is',
  'writ:eligibilities:read': 'See what agents are eligible for',
  'writ:eligibilities:write': 'Make agents eligible, and end that',
  'writ:activations:write': 'Ask that rights an agent is eligible for are opened',
  'writ:approvals:read': 'See requests for approval',
  'writ:approvals:write': 'Approve, deny, cancel and review requests of others',
  'writ:decisions:request': 'File denials as requests, and follow what becomes of them',
  'writ:decisions:evaluate': 'Ask for decisions, as an enforcement point does',
  'writ:decisions:explain': 'See why something was decided, and what would change it',
  'writ:decisions:search': 'Search for who may do what',
  'writ:tokens:read': 'Introspect any token of this authority',
} as const

export type Leaf = keyof typeof leaves

/** Operation → the scope it needs. An operation without a row is refused to everybody. */
export const access: Readonly<Record<string, Leaf>> = {
  'agents.create': 'writ:agents:write',
  'agents.list': 'writ:agents:read',
  'agents.get': 'writ:agents:read',
  'agents.update': 'writ:agents:write',
  'agents.suspend': 'writ:agents:write',
  'agents.resume': 'writ:agents:write',
  'agents.retire': 'writ:agents:write',
  'instances.list': 'writ:agents:read',
  'enrollments.create': 'writ:keys:write',
  'keys.list': 'writ:keys:read',
  'keys.get': 'writ:keys:read',
  'keys.create': 'writ:keys:write',
  'keys.revoke': 'writ:keys:write',
  'resources.create': 'writ:resources:write',
  'resources.list': 'writ:resources:read',
  'resources.get': 'writ:resources:read',
  'resources.update': 'writ:resources:write',
  'resources.delete': 'writ:resources:write',
  'grants.create': 'writ:grants:write',
  'grants.list': 'writ:grants:read',
  'grants.get': 'writ:grants:read',
  'grants.delete': 'writ:grants:write',
  'grants.unused': 'writ:grants:read',
  'grants.usage': 'writ:grants:read',
  'clients.create': 'writ:clients:write',
  'clients.list': 'writ:clients:read',
  'clients.get': 'writ:clients:read',
  'clients.update': 'writ:clients:write',
  'clients.suspend': 'writ:clients:write',
  'clients.resume': 'writ:clients:write',
  'clients.delete': 'writ:clients:write',
  'clients.registration-token': 'writ:clients:write',
  'client-secrets.list': 'writ:clients:read',
  'client-secrets.create': 'writ:clients:write',
  'client-secrets.revoke': 'writ:clients:write',
  'people.create': 'writ:people:write',
  'people.list': 'writ:people:read',
  'people.get': 'writ:people:read',
  'people.update': 'writ:people:write',
  'people.suspend': 'writ:people:write',
  'people.resume': 'writ:people:write',
  'people.delete': 'writ:people:write',
  'groups.create': 'writ:groups:write',
  'groups.list': 'writ:groups:read',
  'groups.get': 'writ:groups:read',
  'groups.delete': 'writ:groups:write',
  'groups.members': 'writ:groups:read',
  'groups.add': 'writ:groups:write',
  'groups.remove': 'writ:groups:write',
  'policies.create': 'writ:policies:write',
  'policies.validate': 'writ:policies:read',
  'policies.list': 'writ:policies:read',
  'policies.get': 'writ:policies:read',
  'policies.shadow': 'writ:policies:write',
  'policies.withdraw': 'writ:policies:write',
  'policies.activate': 'writ:policies:write',
  'policies.rollback': 'writ:policies:write',
  // It tells who did what: no less than the log does.
  'policies.replay': 'writ:events:read',
  'issuer-keys.list': 'writ:issuer:read',
  'issuer-keys.rotate': 'writ:issuer:write',
  'rotations.create': 'writ:rotations:write',
  'rotations.batch': 'writ:rotations:write',
  'rotations.list': 'writ:rotations:read',
  'rotations.get': 'writ:rotations:read',
  'rotations.cancel': 'writ:rotations:write',
  'rotations.force': 'writ:rotations:write',
  'rotations.retry': 'writ:rotations:write',
  'rotations.blast-radius': 'writ:events:read',
  'schedules.create': 'writ:rotations:write',
  'schedules.list': 'writ:rotations:read',
  'schedules.get': 'writ:rotations:read',
  'schedules.update': 'writ:rotations:write',
  'schedules.delete': 'writ:rotations:write',
  'secrets.create': 'writ:secrets:write',
  'secrets.list': 'writ:secrets:read',
  'secrets.get': 'writ:secrets:read',
  'secrets.update': 'writ:secrets:write',
  'secrets.retire': 'writ:secrets:write',
  'secret-versions.create': 'writ:secrets:write',
  'secret-versions.list': 'writ:secrets:read',
  'secret-leases.list': 'writ:secrets:read',
  'secret-leases.revoke': 'writ:secrets:write',
  'halts.create': 'writ:halts:write',
  'halts.list': 'writ:halts:read',
  'halts.get': 'writ:halts:read',
  'halts.lift': 'writ:halts:write',
  'enforcement-points.list': 'writ:halts:read',
  'sessions.list': 'writ:sessions:read',
  'sessions.get': 'writ:sessions:read',
  'sessions.end': 'writ:sessions:write',
  'risks.report': 'writ:risks:write',
  'risks.list': 'writ:sessions:read',
  'eligibilities.create': 'writ:eligibilities:write',
  'eligibilities.list': 'writ:eligibilities:read',
  'eligibilities.get': 'writ:eligibilities:read',
  'eligibilities.revoke': 'writ:eligibilities:write',
  'activations.create': 'writ:activations:write',
  'approvals.list': 'writ:approvals:read',
  'approvals.get': 'writ:approvals:read',
  'approvals.approve': 'writ:approvals:write',
  'approvals.deny': 'writ:approvals:write',
  'approvals.cancel': 'writ:approvals:write',
  'approvals.review': 'writ:approvals:write',
  'access-requests.create': 'writ:decisions:request',
  'access-requests.get': 'writ:decisions:request',
  'access-requests.cancel': 'writ:decisions:request',
  'events.list': 'writ:events:read',
  'events.get': 'writ:events:read',
  'events.why': 'writ:events:read',
  'decisions.why-not': 'writ:decisions:explain',
}

/**
 * The leaf that the operation needs, which the caller has. Throws `insufficient_scope`, which names the scope that is
 * missing (RFC 6750 §3.1).
 */
export function permit(operationId: string, caller: Pick<Caller, 'scopes'>): Leaf {
  const scope = Object.hasOwn(access, operationId) ? access[operationId] : undefined
  if (scope === undefined)
    throw new Fault('access_denied', 'This is not allowed.', { kind: 'no_access_rule' })
  if (!caller.scopes.has(scope)) {
    throw new Fault('insufficient_scope', `This needs the scope ${scope}.`, { kind: 'scope', scope })
  }
  return scope
}

/**
 * Decides whether the caller may do the operation now, for what is none of `operations` and is the same deed by another
 * door: what comes of it has to be committed. Throws `insufficient_scope`, `access_denied`.
 */
export async function decideAs(
  ctx: Ctx,
  deps: OwnDeps,
  caller: Caller,
  { operation, ...attempt }: { readonly operation: string } & Attempted,
): Promise<Decided> {
  const scope = permit(operation, caller)
  const asked = { resource: managementIdentifier(ctx), action: operation, scope, ...attempt }
  return decideOwn(ctx, deps, caller, asked)
}

/** `writ:agents` stands for all of one kind of object, `writ:*` for everything. */
export function managementScopes(): readonly Scope[] {
  const names = Object.keys(leaves)
  const objects = Map.groupBy(names, name => name.slice(0, name.lastIndexOf(':')))
  const bundle = (name: string, description: string, includes: readonly string[]): Scope => ({
    name,
    description,
    includes,
    sensitive: false,
  })
  return [
    ...Object.entries(leaves).map(([name, description]) => bundle(name, description, [])),
    ...[...objects]
      .filter(([, members]) => members.length > 1)
      .map(([object, members]) =>
        bundle(object, `Everything about ${object.slice('writ:'.length)}`, members),
      ),
    bundle('writ:*', 'Everything at this authority', names),
  ]
}

/** The record of the management API, as the bootstrap stores it. */
export function managementResource(
  ctx: Pick<Ctx, 'issuer' | 'now'>,
  randomBytes: (length: number) => Uint8Array,
): Resource {
  return {
    id: newId('res', randomBytes),
    identifier: managementIdentifier(ctx),
    name: 'Management API',
    scopes: managementScopes(),
    introspectionClients: [],
    bearerAllowed: false,
    createdAt: ctx.now,
    updatedAt: ctx.now,
  }
}

export { managementIdentifier }
