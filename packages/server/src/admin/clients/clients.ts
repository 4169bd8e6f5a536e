// Other OAuth clients: members as in RFC 7591 §2, the ones that have a meaning here and no others.
import { Fault } from '@writ/sdk/protocol/fault'
import { newId } from '@writ/sdk/protocol/identifier'
import { z } from 'zod'
import type { Ctx } from '../../context.ts'
import type { Key } from '../../domain/agent.ts'
import type { Put, Versioned } from '../../domain/change.ts'
import { type Client, hasSecrets } from '../../domain/client.ts'
import { moveStanding, type StandingMove } from '../../domain/standing.ts'
import { mustHaveVersion } from '../agents/agents.ts'
import { reasonBody } from '../agents/moves.ts'
import { newKeys } from '../keys/instance-keys.ts'
import { operation, type Reads, readEvent } from '../operation.ts'
import * as wire from '../wire.ts'
import { changeOf, endOf } from './change.ts'
import { newRegistration, newSecret } from './issue-secret.ts'
import { usableKeys } from './keys.ts'
import { type ClientMetadata, clientCreated, clientMembers, clientShown, mustFit } from './metadata.ts'

const params = z.strictObject({ id: wire.id('cli') })

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

export async function findClient(ctx: Ctx, deps: Reads, id: string): Promise<Versioned<Client>> {
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
  answer: clientCreated,
  secret: true,
  async decide(ctx, deps, { body }) {
    const { client_name: name, token_endpoint_auth_method: asked, jwks, jwks_uri: _, ...metadata } = body
    const method = asked ?? (jwks === undefined ? 'none' : 'private_key_jwt')
    mustFit(method, jwks !== undefined, metadata)
    const id = newId('cli', deps.randomBytes)
    const registration = newRegistration(ctx, deps.randomBytes, { id })
    const client: Client = {
      id,
      name,
      tokenEndpointAuthMethod: method,
      metadata: wire.given(metadata),
      status: 'active',
      statusReason: null,
      registrationHash: registration.hash,
      createdAt: ctx.now,
      updatedAt: ctx.now,
    }
    const made = await newKeys(ctx, deps, {
      owner: client.id,
      known: [],
      jwks: jwks?.keys ?? [],
      expiresAt: null,
    })
    const secret = hasSecrets(method) ? newSecret(ctx, deps.randomBytes, client) : undefined
    const secretPuts: Put[] =
      secret === undefined ? [] : [{ put: 'clientSecret', value: secret.record, ifVersion: 0 }]
    return {
      change: {
        puts: [{ put: 'client', value: client, ifVersion: 0 }, ...made.puts, ...secretPuts],
        signals: [{ subject: client.id, kind: 'changed' }],
      },
      about: {
        facts: {
          client: client.id,
          name,
          method,
          keys: made.thumbprints,
          ...(secret === undefined ? {} : { client_secret: secret.record.id }),
        },
      },
      answer: {
        ...showClient(client, made.keys),
        ...(secret === undefined
          ? {}
          : { client_secret: secret.text.reveal(), client_secret_expires_at: 0 as const }),
        registration_client_uri: registration.uri,
        registration_access_token: registration.token.reveal(),
      },
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
    const keys = await usableKeys(ctx, deps, client.id)
    return { about: {}, answer: showClient(client, keys), version: client.version }
  },
})

const update = operation({
  id: 'clients.update',
  event: 'client.updated',
  method: 'PATCH',
  path: '/clients/{id}',
  summary:
    'Change another OAuth client; a new jwks replaces its keys, and another way of authenticating ends its secrets',
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
    // The rules of registration hold for every change of it (threat C37).
    const changed = await changeOf(ctx, deps, client, {
      name: name ?? client.name,
      method: asked ?? client.tokenEndpointAuthMethod,
      metadata: { ...client.metadata, ...wire.given(metadata) },
      jwks: jwks?.keys,
    })
    return {
      change: {
        puts: [{ put: 'client', value: changed.client, ifVersion: version }, ...changed.puts],
        signals: changed.signals,
      },
      about: { facts: { client: client.id, members: Object.keys(input.body).sort() } },
      answer: showClient(changed.client, changed.keys),
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
  summary: 'Delete another OAuth client; its keys and secrets are revoked and its id is never used again',
  params,
  query: wire.noQuery,
  body: null,
  status: 204,
  answer: null,
  async decide(ctx, deps, input) {
    const client = await findClient(ctx, deps, input.params.id)
    mustHaveVersion(client, input.ifVersion)
    return {
      change: await endOf(ctx, deps, client),
      about: { facts: { client: client.id, name: client.name } },
      answer: undefined,
    }
  },
})

export const clientOperations = [create, list, get, update, move('suspend'), move('resume'), remove]
