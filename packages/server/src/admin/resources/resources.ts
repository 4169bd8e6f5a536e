// Protected resources and their scopes. RFC 8707 identifiers in their one canonical form.
import { Fault } from '@writ/sdk/protocol/fault'
import { newId } from '@writ/sdk/protocol/identifier'
import { isScopeToken } from '@writ/sdk/protocol/scope'
import { canonicalResource } from '@writ/sdk/protocol/uri'
import { z } from 'zod'
import type { Ctx } from '../../context.ts'
import { openedSubject } from '../../domain/authorization/eligibility.ts'
import type { Versioned } from '../../domain/change.ts'
import { checkScopes, leavesOf, type Resource, type Scope } from '../../domain/resource.ts'
import { managementIdentifier } from '../access.ts'
import { mustHaveVersion } from '../agents/agents.ts'
import { operation, type Reads, readEvent } from '../operation.ts'
import * as wire from '../wire.ts'
import { actionsGiven, actionsShown, mapOf, nextMap, showActions } from './actions.ts'
import { endedFacts, endedWhole, endFormer, endGrants } from './ended-grants.ts'

const maxScopes = 100

export const scopeToken = z.string().min(1).max(128).refine(isScopeToken, 'is not a scope token')

const scopeGiven = z.strictObject({
  name: scopeToken,
  description: wire.prose,
  includes: z.array(scopeToken).max(maxScopes).optional(),
  sensitive: z.boolean().optional(),
})

const members = {
  name: wire.name,
  scopes: z.array(scopeGiven).max(maxScopes),
  introspection_clients: z
    .array(z.union([wire.id('cli'), wire.id('agt')]))
    .max(64)
    .optional()
    .meta({ description: 'Clients and agents that may introspect tokens for this resource' }),
  bearer_allowed: z
    .boolean()
    .optional()
    .meta({ description: 'Whether tokens without a key binding may be issued for it; no unless told' }),
  actions: actionsGiven.optional(),
}

const resourceShown = z
  .strictObject({
    id: wire.id('res'),
    identifier: z.string(),
    name: z.string(),
    scopes: z.array(
      z.strictObject({
        name: z.string(),
        description: z.string(),
        includes: z.array(z.string()),
        sensitive: z.boolean(),
      }),
    ),
    introspection_clients: z.array(z.string()),
    bearer_allowed: z.boolean(),
    ...actionsShown,
    created_at: wire.shownInstant,
    updated_at: wire.shownInstant,
  })
  .meta({ id: 'Resource' })

function showResource(resource: Resource): z.input<typeof resourceShown> {
  return {
    id: resource.id,
    identifier: resource.identifier,
    name: resource.name,
    scopes: resource.scopes.map(scope => ({ ...scope, includes: [...scope.includes] })),
    introspection_clients: [...resource.introspectionClients],
    bearer_allowed: resource.bearerAllowed,
    ...showActions(resource.actions),
    created_at: wire.rfc3339(resource.createdAt),
    updated_at: wire.rfc3339(resource.updatedAt),
  }
}

function scopesOf(given: readonly z.output<typeof scopeGiven>[]): readonly Scope[] {
  const scopes = given.map(scope => ({
    name: scope.name,
    description: scope.description,
    includes: scope.includes ?? [],
    sensitive: scope.sensitive ?? false,
  }))
  const problem = checkScopes(scopes)
  if (problem === undefined) return scopes
  const say = {
    unknown_scope: `The scope ${problem.scope} is included but not defined.`,
    scope_cycle: `The scope ${problem.scope} includes itself.`,
    duplicate_scope: `The scope ${problem.scope} is defined twice.`,
  }[problem.kind]
  throw new Fault('invalid_value', say, { ...problem })
}

/** A client that is not there could come to be later, as somebody else's. */
async function mustExist(ctx: Ctx, deps: Reads, clients: readonly string[]): Promise<void> {
  for (const id of new Set(clients)) {
    const found = id.startsWith('agt_')
      ? await deps.store.agents.get(ctx, id)
      : await deps.store.clients.get(ctx, id)
    if (found === undefined)
      throw new Fault('invalid_value', `There is no client ${id}.`, { kind: 'no_client' })
  }
}

async function findResource(ctx: Ctx, deps: Reads, id: string): Promise<Versioned<Resource>> {
  const resource = await deps.store.resources.get(ctx, id)
  if (resource === undefined)
    throw new Fault('not_found', 'There is no such resource.', { kind: 'no_resource' })
  return resource
}

/** Whoever may change what a scope of the management API stands for may give itself all of it (threat C60). */
function mustBeForeign(ctx: Ctx, resource: Resource): void {
  if (resource.identifier === managementIdentifier(ctx)) {
    throw new Fault('access_denied', 'The management API is defined by the version that runs.', {
      kind: 'own_resource',
    })
  }
  mustNotBeSecret(ctx, resource.identifier)
}

/** The right to a secret comes and goes with the secret: changed here, it could outlive it, or lose its binding. */
function mustNotBeSecret(ctx: Ctx, identifier: string): void {
  if (identifier === `${ctx.issuer}/vault` || identifier.startsWith(`${ctx.issuer}/vault/`)) {
    throw new Fault('access_denied', 'This names a secret of the vault: use /secrets.', {
      kind: 'resource_of_secret',
    })
  }
}

const create = operation({
  id: 'resources.create',
  event: 'resource.created',
  method: 'POST',
  path: '/resources',
  summary: 'Register a protected resource with its scopes',
  params: wire.noParams,
  query: wire.noQuery,
  body: z
    .strictObject({
      identifier: z.string().min(1).max(512).meta({ description: 'RFC 8707 §2: an absolute URI' }),
      ...members,
    })
    .meta({ id: 'ResourceCreate' }),
  status: 201,
  answer: resourceShown,
  async decide(ctx, deps, { body }) {
    const identifier = canonicalResource(body.identifier)
    if (identifier === undefined) {
      throw new Fault(
        'invalid_value',
        'The member identifier must be an absolute URI in normal form, without a fragment.',
        {
          kind: 'not_a_resource_indicator',
        },
      )
    }
    mustNotBeSecret(ctx, identifier)
    if ((await deps.store.resources.byIdentifier(ctx, identifier)) !== undefined) {
      throw new Fault('conflict', `A resource with the identifier ${identifier} exists already.`, {
        kind: 'identifier_taken',
      })
    }
    const scopes = scopesOf(body.scopes)
    await mustExist(ctx, deps, body.introspection_clients ?? [])
    const leftover = await endGrants(ctx, deps, identifier, endedWhole(ctx))
    const resource: Resource = {
      id: newId('res', deps.randomBytes),
      identifier,
      name: body.name,
      scopes,
      introspectionClients: [...new Set<string>(body.introspection_clients ?? [])],
      bearerAllowed: body.bearer_allowed ?? false,
      actions: mapOf(body.actions, scopes),
      createdAt: ctx.now,
      updatedAt: ctx.now,
    }
    return {
      change: {
        puts: [{ put: 'resource', value: resource, ifVersion: 0 }, ...leftover.puts],
        signals: [{ subject: identifier, kind: 'changed' }, ...leftover.signals],
      },
      about: {
        resource: identifier,
        facts: {
          resource_id: resource.id,
          scopes: scopes.map(scope => scope.name),
          ...endedFacts(leftover),
        },
      },
      answer: showResource(resource),
      location: `/resources/${resource.id}`,
      version: 1,
    }
  },
})

const list = operation({
  id: 'resources.list',
  event: readEvent,
  method: 'GET',
  path: '/resources',
  summary: 'List protected resources in the order of their registration',
  params: wire.noParams,
  query: z.strictObject({ ...wire.paging, identifier: z.string().min(1).max(512).optional() }),
  body: null,
  status: 200,
  answer: wire.listOf(resourceShown),
  async decide(ctx, deps, { query }) {
    if (query.identifier !== undefined) {
      const identifier = canonicalResource(query.identifier)
      const found =
        identifier === undefined ? undefined : await deps.store.resources.byIdentifier(ctx, identifier)
      return { about: {}, answer: { items: found === undefined ? [] : [showResource(found)], next: null } }
    }
    return {
      about: {},
      answer: wire.shownPage(await deps.store.resources.list(ctx, wire.pageOf(query)), showResource),
    }
  },
})

const params = z.strictObject({ id: wire.id('res') })

const get = operation({
  id: 'resources.get',
  event: readEvent,
  method: 'GET',
  path: '/resources/{id}',
  summary: 'See a protected resource',
  params,
  query: wire.noQuery,
  body: null,
  status: 200,
  answer: resourceShown,
  async decide(ctx, deps, input) {
    const resource = await findResource(ctx, deps, input.params.id)
    return {
      about: { resource: resource.identifier },
      answer: showResource(resource),
      version: resource.version,
    }
  },
})

/** Whether a token issued before could carry what it could not be given now. */
function isNarrower(before: Resource, after: Resource): boolean {
  if (before.bearerAllowed && !after.bearerAllowed) return true
  const leaves = (resource: Resource, name: string) => leavesOf(resource.scopes, [name])
  return before.scopes.some(({ name }) => {
    const now = new Set(leaves(after, name))
    return leaves(before, name).some(leaf => !now.has(leaf))
  })
}

const update = operation({
  id: 'resources.update',
  event: 'resource.updated',
  method: 'PATCH',
  path: '/resources/{id}',
  summary: 'Change a protected resource; removing a scope ends the tokens for it',
  params,
  query: wire.noQuery,
  body: z
    .strictObject({ ...members, name: members.name.optional(), scopes: members.scopes.optional() })
    .meta({ id: 'ResourceUpdate' }),
  status: 200,
  answer: resourceShown,
  async decide(ctx, deps, { params: { id }, body, ifVersion }) {
    const { version, ...resource } = await findResource(ctx, deps, id)
    mustHaveVersion({ version }, ifVersion)
    mustBeForeign(ctx, resource)
    await mustExist(ctx, deps, body.introspection_clients ?? [])
    const scopes = body.scopes === undefined ? resource.scopes : scopesOf(body.scopes)
    const next: Resource = {
      ...resource,
      name: body.name ?? resource.name,
      scopes,
      actions: nextMap(resource.actions, body.actions, scopes),
      introspectionClients: [...new Set<string>(body.introspection_clients ?? resource.introspectionClients)],
      bearerAllowed: body.bearer_allowed ?? resource.bearerAllowed,
      updatedAt: ctx.now,
    }
    const isRemapped = next.actions?.version !== resource.actions?.version
    const former = await endFormer(ctx, deps, resource, next)
    return {
      change: {
        puts: [{ put: 'resource', value: next, ifVersion: version }, ...former.puts],
        signals: [
          { subject: resource.identifier, kind: isNarrower(resource, next) ? 'narrowed' : 'changed' },
          // Decisions rest on the map, and answers that are kept somewhere with them; tokens do not.
          ...(isRemapped ? [{ subject: resource.id, kind: 'narrowed' } as const] : []),
          ...former.signals,
        ],
      },
      // What is opened meanwhile has the scopes as they were.
      restsOn: former.eligibilities.map(openedSubject),
      about: {
        resource: resource.identifier,
        facts: {
          members: Object.keys(body).sort(),
          scopes: next.scopes.map(scope => scope.name),
          ...(isRemapped ? { actions_version: next.actions?.version ?? null } : {}),
          narrowed_grants: former.ids,
          ...(former.eligibilities.length === 0 ? {} : { narrowed_eligibilities: former.eligibilities }),
        },
      },
      answer: showResource(next),
      version: version + 1,
    }
  },
})

const remove = operation({
  id: 'resources.delete',
  event: 'resource.deleted',
  method: 'DELETE',
  path: '/resources/{id}',
  summary: 'Delete a protected resource with its grants; the tokens for it are dead',
  params,
  query: wire.noQuery,
  body: null,
  status: 204,
  answer: null,
  async decide(ctx, deps, { params: { id }, ifVersion }) {
    const resource = await findResource(ctx, deps, id)
    mustHaveVersion(resource, ifVersion)
    mustBeForeign(ctx, resource)
    const ended = await endGrants(ctx, deps, resource.identifier, endedWhole(ctx))
    return {
      change: {
        puts: ended.puts,
        removals: [{ remove: 'resource', id: resource.id, ifVersion: resource.version }],
        signals: [{ subject: resource.identifier, kind: 'narrowed' }, ...ended.signals],
      },
      about: {
        resource: resource.identifier,
        facts: { ended_grants: ended.ids, ...endedFacts(ended) },
      },
      answer: undefined,
    }
  },
})

export const resourceOperations = [create, list, get, update, remove]
