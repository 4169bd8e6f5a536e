// The secrets of OAuth clients: list, make the next one, revoke. A secret is shown once, to who asked for it.
import { Fault } from '@writ/sdk/protocol/fault'
import { z } from 'zod'
import type { Ctx } from '../../context.ts'
import type { Versioned } from '../../domain/change.ts'
import { registrationSubject } from '../../domain/client.ts'
import type { ClientSecret } from '../../domain/client-secret.ts'
import { endSecrets, reviveFormer } from '../../domain/client-secret-succession.ts'
import type { DrainUser } from '../../domain/rotation.ts'
import { mustHaveVersion } from '../agents/agents.ts'
import { reasonBody } from '../agents/moves.ts'
import { operation, type Reads, readEvent } from '../operation.ts'
import * as wire from '../wire.ts'
import { findClient } from './clients.ts'
import { issueSecret, newRegistration } from './issue-secret.ts'

const params = z.strictObject({ id: wire.id('cli') })
const secretParams = z.strictObject({ id: wire.id('cli'), sid: wire.id('csc') })

const secretShown = z
  .strictObject({
    id: wire.id('csc'),
    client: wire.id('cli'),
    state: z.enum(['active', 'retiring', 'retired', 'revoked']),
    state_at: wire.shownInstant,
    created_at: wire.shownInstant,
    expires_at: wire.shownInstant.nullable(),
    last_used_at: wire.shownInstant.nullable(),
    last_used_by: z.string().nullable().meta({ description: 'The client, and the network it came from' }),
    last_used_from: z.string().nullable(),
  })
  .meta({ id: 'ClientSecret' })

function showSecret(secret: ClientSecret, use: DrainUser | undefined): z.input<typeof secretShown> {
  return {
    id: secret.id,
    client: secret.client,
    state: secret.state,
    state_at: wire.rfc3339(secret.stateAt),
    created_at: wire.rfc3339(secret.createdAt),
    expires_at: wire.rfc3339OrNull(secret.expiresAt),
    last_used_at: wire.rfc3339OrNull(use?.lastUsedAt ?? null),
    last_used_by: use?.caller ?? null,
    last_used_from: use?.from ?? null,
  }
}

async function shownWithUse(ctx: Ctx, deps: Reads, secret: ClientSecret) {
  const [newest] = await deps.store.uses.of(ctx, secret.id, 1)
  return showSecret(secret, newest)
}

const list = operation({
  id: 'client-secrets.list',
  event: readEvent,
  method: 'GET',
  path: '/clients/{id}/secrets',
  summary: 'List the secrets of a client with their states and last use, the oldest first',
  params,
  query: z.strictObject(wire.paging),
  body: null,
  status: 200,
  answer: wire.listOf(secretShown),
  async decide(ctx, deps, input) {
    const client = await findClient(ctx, deps, input.params.id)
    const { limit, after } = wire.pageOf(input.query)
    const all = await deps.store.clientSecrets.ofClient(ctx, client.id)
    const from = after === undefined ? 0 : all.findIndex(({ id }) => id === after) + 1
    if (after !== undefined && from === 0)
      throw new Fault('invalid_value', 'There is no item of this id to continue after.', { kind: 'after' })
    const page = all.slice(from, from + limit)
    const items = await Promise.all(page.map(secret => shownWithUse(ctx, deps, secret)))
    const next = from + limit < all.length ? (page.at(-1)?.id ?? null) : null
    return { about: { facts: { client: client.id } }, answer: { items, next } }
  },
})

const create = operation({
  id: 'client-secrets.create',
  event: 'client_secret.created',
  method: 'POST',
  path: '/clients/{id}/secrets',
  summary:
    'Make the next secret of a client; the former works until nobody has used it for the drain window. One that was never used is replaced',
  params,
  query: wire.noQuery,
  body: z.strictObject({ reason: wire.reason.optional() }).meta({ id: 'ClientSecretCreate' }),
  status: 201,
  answer: z
    .strictObject({
      id: wire.id('csc'),
      client_id: wire.id('cli'),
      client_secret: z.string().meta({ description: 'Shown once; only its hash is kept' }),
      client_secret_expires_at: z.literal(0),
      rotation: wire.id('rot').nullable().meta({ description: 'Null where it is the first secret' }),
    })
    .meta({ id: 'ClientSecretCreated' }),
  secret: true,
  async decide(ctx, deps, { params: { id }, body, ifVersion }) {
    const { version, ...client } = await findClient(ctx, deps, id)
    mustHaveVersion({ version }, ifVersion)
    const reason = body.reason ?? 'asked'
    const asked = { reason, shown: undefined }
    const issued = await issueSecret(ctx, { ...deps, rules: deps.engine.kindDeps.rules }, client, asked)
    const rotation = issued.rotation?.id ?? null
    return {
      change: {
        puts: [
          { put: 'client', value: { ...client, updatedAt: ctx.now }, ifVersion: version },
          ...issued.puts,
        ],
        signals: [...issued.signals, { subject: client.id, kind: 'changed' }],
      },
      about: { reason, facts: { client: client.id, client_secret: issued.record.id, rotation } },
      answer: {
        id: issued.record.id,
        client_id: client.id,
        client_secret: issued.text.reveal(),
        client_secret_expires_at: 0 as const,
        rotation,
      },
      location: `/clients/${client.id}/secrets`,
    }
  },
})

const revoke = operation({
  id: 'client-secrets.revoke',
  event: 'client_secret.revoked',
  method: 'POST',
  path: '/clients/{id}/secrets/{sid}/revoke',
  summary: 'Revoke a secret at once; where its predecessor still drains, that one stays in use',
  params: secretParams,
  query: wire.noQuery,
  body: reasonBody,
  status: 200,
  answer: secretShown,
  async decide(ctx, deps, { params: { id, sid }, body, ifVersion }) {
    const client = await findClient(ctx, deps, id)
    const all = await deps.store.clientSecrets.ofClient(ctx, client.id)
    const secret = all.find(one => one.id === sid)
    if (secret === undefined)
      throw new Fault('not_found', 'There is no such secret of this client.', { kind: 'no_secret' })
    mustHaveVersion(secret, ifVersion)
    const ended = endSecrets([secret], 'revoked', ctx.now)
    if (ended.puts.length === 0) {
      throw new Fault('conflict', `A secret that is ${secret.state} cannot be revoked.`, {
        kind: 'move',
        from: secret.state,
      })
    }
    const former = await revived(ctx, deps, all, secret)
    return {
      change: {
        puts: [...ended.puts, ...former.puts],
        signals: [...ended.signals, { subject: client.id, kind: 'changed' }],
      },
      about: {
        reason: body.reason,
        facts: { client: client.id, client_secret: secret.id, failed_rotation: former.rotation },
      },
      answer: await shownWithUse(ctx, deps, { ...secret, state: 'revoked', stateAt: ctx.now }),
      version: secret.version + 1,
    }
  },
})

/** The predecessor of a revoked secret in use again, where it still drains: it is the only one that the client has. */
async function revived(ctx: Ctx, deps: Reads, all: readonly Versioned<ClientSecret>[], secret: ClientSecret) {
  const open = await deps.store.rotations.open(ctx, 'client_secret', secret.client)
  const rotation = open.find(({ to }) => to === secret.id)
  const former = all.find(({ id, state }) => id === rotation?.from && state === 'retiring')
  if (rotation === undefined || former === undefined) return { puts: [], rotation: null }
  return { puts: reviveFormer(former, rotation, ctx.now), rotation: rotation.id }
}

const registrationToken = operation({
  id: 'clients.registration-token',
  event: 'client.registration_token_replaced',
  method: 'POST',
  path: '/clients/{id}/registration-token',
  summary: 'Replace the token by which a client manages its registration; the former is dead at once',
  params,
  query: wire.noQuery,
  body: reasonBody,
  status: 201,
  answer: z
    .strictObject({ registration_client_uri: z.url(), registration_access_token: z.string() })
    .meta({ id: 'ClientRegistrationToken' }),
  secret: true,
  async decide(ctx, deps, { params: { id }, body, ifVersion }) {
    const { version, ...client } = await findClient(ctx, deps, id)
    mustHaveVersion({ version }, ifVersion)
    const { uri, token, hash } = newRegistration(ctx, deps.randomBytes, client)
    return {
      change: {
        puts: [
          {
            put: 'client',
            value: { ...client, registrationHash: hash, updatedAt: ctx.now },
            ifVersion: version,
          },
        ],
        signals: [
          { subject: registrationSubject(client), kind: 'narrowed' },
          { subject: client.id, kind: 'changed' },
        ],
      },
      about: { reason: body.reason, facts: { client: client.id } },
      answer: { registration_client_uri: uri, registration_access_token: token.reveal() },
      location: uri,
    }
  },
})

export const clientSecretOperations = [list, create, revoke, registrationToken]
