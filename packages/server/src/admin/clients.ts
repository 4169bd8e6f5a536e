// Other OAuth clients: members as in RFC 7591 §2, the ones that have a meaning here and no others.
import { Fault } from '@writ/sdk/protocol/fault'
import { newId } from '@writ/sdk/protocol/identifier'
import { parsePublicJwk, thumbprint } from '@writ/sdk/protocol/jwk'
import { z } from 'zod'
import type { Ctx } from '../context.ts'
import type { Key } from '../domain/agent.ts'
import { revokeKey } from '../domain/agent.ts'
import type { Put, Signal, Versioned } from '../domain/change.ts'
import type { Client } from '../domain/client.ts'
import { moveStanding, type StandingMove } from '../domain/standing.ts'
import { reasonBody } from './agent-moves.ts'
import { mustHaveVersion } from './agents.ts'
import { type ClientMetadata, clientMembers, clientShown, mustFit } from './client-metadata.ts'
import { newKeys } from './instance-keys.ts'
import { operation, type Reads, readEvent } from './operation.ts'
import * as wire from './wire.ts'

const params = z.strictObject({ id: wire.id('cli') })

function isUsable(key: Key): boolean {
  return key.state === 'active' || key.state === 'retiring'
}

function showClient(client: Client, keys?: readonly Key[]): z.input<typeof clientShown> {
  return {
    ...(client.metadata as ClientMetadata),
    id: client.id,
    client_id: client.id,
    client_id_issued_at: client.createdAt,
    client_name: client.name,
    token_endpoint_auth_method: client.tokenEndpointAuthMethod,
    ...(keys === undefined || keys.length === 0 ? {} : { jwks: { keys: keys.map(key => ({ ...key.jwk })) } }),
    status: client.status,
    status_reason: client.statusReason,
    created_at: wire.rfc3339(client.createdAt),
    updated_at: wire.rfc3339(client.updatedAt),
  }
}

async function findClient(ctx: Ctx, deps: Reads, id: string): Promise<Versioned<Client>> {
  const client = await deps.store.clients.get(ctx, id)
  if (client === undefined) throw new Fault('not_found', 'There is no such client.', { kind: 'no_client' })
  return client
}

const create = operation({
  id: 'clients.create',
  event: 'client.created',
  method: 'POST',
  path: '/clients',
  summary: 'Register another OAuth client',
  params: wire.noParams,
  query: wire.noQuery,
  body: z.strictObject({ ...clientMembers, client_name: wire.name }).meta({ id: 'ClientCreate' }),
  status: 201,
  answer: clientShown,
  async decide(ctx, deps, { body }) {
    const { client_name: name, token_endpoint_auth_method: asked, jwks, jwks_uri: _, ...metadata } = body
    const method = asked ?? (jwks === undefined ? 'none' : 'private_key_jwt')
    mustFit(method, jwks !== undefined, metadata)
    const client: Client = {
      id: newId('cli', deps.randomBytes),
      name,
      tokenEndpointAuthMethod: method,
      metadata: wire.given(metadata),
      status: 'active',
      statusReason: null,
      createdAt: ctx.now,
      updatedAt: ctx.now,
    }
    const made = await newKeys(ctx, deps, {
      owner: client.id,
      known: [],
      jwks: jwks?.keys ?? [],
      expiresAt: null,
    })
    return {
      change: {
        puts: [{ put: 'client', value: client, ifVersion: 0 }, ...made.puts],
        signals: [{ subject: client.id, kind: 'changed' }],
      },
      about: { facts: { client: client.id, name, keys: made.thumbprints } },
      answer: showClient(client, made.keys),
      location: `/clients/${client.id}`,
      version: 1,
    }
  },
})

const list = operation({
  id: 'clients.list',
  event: readEvent,
  method: 'GET',
  path: '/clients',
  summary: 'List other OAuth clients in the order of their registration, without their keys',
  params: wire.noParams,
  query: z.strictObject(wire.paging),
  body: null,
  status: 200,
  answer: wire.listOf(clientShown),
  async decide(ctx, deps, { query }) {
    const page = await deps.store.clients.list(ctx, wire.pageOf(query))
    return { about: {}, answer: wire.shownPage(page, client => showClient(client)) }
  },
})

const get = operation({
  id: 'clients.get',
  event: readEvent,
  method: 'GET',
  path: '/clients/{id}',
  summary: 'See another OAuth client with its keys',
  params,
  query: wire.noQuery,
  body: null,
  status: 200,
  answer: clientShown,
  async decide(ctx, deps, input) {
    const client = await findClient(ctx, deps, input.params.id)
    const keys = await deps.store.keys.ofOwner(ctx, client.id)
    return { about: {}, answer: showClient(client, keys.filter(isUsable)), version: client.version }
  },
})

interface KeyChange {
  readonly puts: readonly Put[]
  readonly signals: readonly Signal[]
  readonly keys: readonly Key[]
}

/** Revokes the keys; what they proved is dead at once. */
function revoked(
  ctx: Ctx,
  keys: readonly Versioned<Key>[],
  reason: string,
): Pick<KeyChange, 'puts' | 'signals'> {
  const puts: Put[] = []
  const signals: Signal[] = []
  for (const { version, ...key } of keys) {
    const next = revokeKey(key, reason, ctx.now)
    if (next === undefined) continue
    puts.push({ put: 'key', value: next, ifVersion: version })
    signals.push({ subject: `key:${key.thumbprint}`, kind: 'narrowed' })
  }
  return { puts, signals }
}

/** The set of keys replaced by another one: those in both stay, new ones come, the others are revoked. */
async function replaceKeys(
  ctx: Ctx,
  deps: Reads,
  client: Client,
  jwks: readonly unknown[],
): Promise<KeyChange> {
  const known = (await deps.store.keys.ofOwner(ctx, client.id)).map(({ use: _, ...key }) => key)
  const usable = known.filter(isUsable)
  // Each as strictly as at its registration: a key that stays may come with its private half this time.
  const given = new Set(jwks.map(jwk => thumbprint(parsePublicJwk(jwk))))
  if (given.size < jwks.length) {
    throw new Fault('invalid_value', 'The member jwks names a key twice.', { kind: 'key_twice' })
  }
  const kept = usable.filter(key => given.has(key.thumbprint))
  const fresh = jwks.filter(jwk => !kept.some(key => key.thumbprint === thumbprint(parsePublicJwk(jwk))))
  const made = await newKeys(ctx, deps, { owner: client.id, known, jwks: fresh, expiresAt: null })
  const gone = revoked(
    ctx,
    usable.filter(key => !kept.includes(key)),
    'replaced',
  )
  return { puts: [...made.puts, ...gone.puts], signals: gone.signals, keys: [...kept, ...made.keys] }
}

const update = operation({
  id: 'clients.update',
  event: 'client.updated',
  method: 'PATCH',
  path: '/clients/{id}',
  summary: 'Change another OAuth client; a new jwks replaces its keys',
  params,
  query: wire.noQuery,
  body: z.strictObject({ ...clientMembers, client_name: wire.name.optional() }).meta({ id: 'ClientUpdate' }),
  status: 200,
  answer: clientShown,
  async decide(ctx, deps, input) {
    const {
      client_name: name,
      token_endpoint_auth_method: asked,
      jwks,
      jwks_uri: _,
      ...metadata
    } = input.body
    const { version, ...client } = await findClient(ctx, deps, input.params.id)
    mustHaveVersion({ version }, input.ifVersion)
    const method = asked ?? client.tokenEndpointAuthMethod
    const merged = { ...client.metadata, ...wire.given(metadata) }
    const wanted = jwks?.keys ?? (method === 'none' ? [] : undefined)
    const change: KeyChange =
      wanted === undefined
        ? { puts: [], signals: [], keys: (await deps.store.keys.ofOwner(ctx, client.id)).filter(isUsable) }
        : await replaceKeys(ctx, deps, client, wanted)
    // The rules of registration hold for every change of it (threat C37).
    mustFit(method, change.keys.length > 0, merged as ClientMetadata)
    const next: Client = {
      ...client,
      name: name ?? client.name,
      tokenEndpointAuthMethod: method,
      metadata: merged,
      updatedAt: ctx.now,
    }
    return {
      change: {
        puts: [{ put: 'client', value: next, ifVersion: version }, ...change.puts],
        signals: [...change.signals, { subject: client.id, kind: 'changed' }],
      },
      about: { facts: { client: client.id, members: Object.keys(input.body).sort() } },
      answer: showClient(next, change.keys),
      version: version + 1,
    }
  },
})

const moves: Readonly<
  Record<StandingMove, { readonly event: string; readonly past: string; readonly summary: string }>
> = {
  suspend: { event: 'client.suspended', past: 'suspended', summary: 'Suspend another OAuth client at once' },
  resume: { event: 'client.resumed', past: 'resumed', summary: 'Let a suspended client act again' },
}

const move = (verb: StandingMove) =>
  operation({
    id: `clients.${verb}`,
    event: moves[verb].event,
    method: 'POST',
    path: `/clients/{id}/${verb}`,
    summary: moves[verb].summary,
    params,
    query: wire.noQuery,
    body: reasonBody,
    status: 200,
    answer: clientShown,
    async decide(ctx, deps, input) {
      const { version, ...client } = await findClient(ctx, deps, input.params.id)
      mustHaveVersion({ version }, input.ifVersion)
      const next = moveStanding(client, verb, input.body.reason, ctx.now)
      if (next === undefined) {
        throw new Fault('conflict', `A client that is ${client.status} cannot be ${moves[verb].past}.`, {
          kind: 'move',
        })
      }
      return {
        change: {
          puts: [{ put: 'client', value: next, ifVersion: version }],
          signals: [{ subject: client.id, kind: verb === 'suspend' ? 'narrowed' : 'changed' }],
        },
        about: { reason: input.body.reason, facts: { client: client.id } },
        answer: showClient(next),
        version: version + 1,
      }
    },
  })

const remove = operation({
  id: 'clients.delete',
  event: 'client.deleted',
  method: 'DELETE',
  path: '/clients/{id}',
  summary: 'Delete another OAuth client; its keys are revoked and its id is never used again',
  params,
  query: wire.noQuery,
  body: null,
  status: 204,
  answer: null,
  async decide(ctx, deps, input) {
    const client = await findClient(ctx, deps, input.params.id)
    mustHaveVersion(client, input.ifVersion)
    const keys = (await deps.store.keys.ofOwner(ctx, client.id)).map(({ use: _, ...key }) => key)
    const gone = revoked(ctx, keys, 'client deleted')
    return {
      change: {
        puts: gone.puts,
        removals: [{ remove: 'client', id: client.id, ifVersion: client.version }],
        signals: [...gone.signals, { subject: client.id, kind: 'narrowed' }],
      },
      about: { facts: { client: client.id, name: client.name } },
      answer: undefined,
    }
  },
})

export const clientOperations = [create, list, get, update, move('suspend'), move('resume'), remove]
