// Leases of a secret: who holds what was made for it, until when; and their end before that.
import { Fault } from '@writ/sdk/protocol/fault'
import { z } from 'zod'
import { endLease, type SecretLease, secretIdentifier } from '../../domain/vault/secret.ts'
import { reasonBody } from '../agents/moves.ts'
import { operation, readEvent } from '../operation.ts'
import * as wire from '../wire.ts'
import { findSecret, secretParam } from './shown.ts'

const leaseShown = z
  .strictObject({
    id: wire.id('lea'),
    secret: wire.id('sec'),
    agent: wire.id('agt'),
    instance: z.string().nullable(),
    handle: z.string().meta({ description: 'What the upstream calls it' }),
    state: z.enum(['pending', 'live', 'ending', 'ended']),
    state_at: wire.shownInstant,
    created_at: wire.shownInstant,
    expires_at: wire.shownInstant,
    attempts: z.int().meta({ description: 'Failed attempts to withdraw it upstream' }),
    due_at: wire.shownInstant.nullable(),
  })
  .meta({ id: 'SecretLease' })

function showLease(lease: SecretLease): z.input<typeof leaseShown> {
  return {
    id: lease.id,
    secret: lease.secret,
    agent: lease.agent,
    instance: lease.instance,
    handle: lease.handle,
    state: lease.state,
    state_at: wire.rfc3339(lease.stateAt),
    created_at: wire.rfc3339(lease.createdAt),
    expires_at: wire.rfc3339(lease.expiresAt),
    attempts: lease.attempts,
    due_at: wire.rfc3339OrNull(lease.dueAt),
  }
}

const list = operation({
  id: 'secret-leases.list',
  event: readEvent,
  method: 'GET',
  path: '/secrets/{id}/leases',
  summary: 'List the leases of a secret in the order in which they were given; never a value',
  params: z.strictObject({ id: secretParam }),
  query: z.strictObject({ ...wire.paging, agent: wire.id('agt').optional() }),
  body: null,
  status: 200,
  answer: wire.listOf(leaseShown),
  async decide(ctx, deps, { params: { id }, query }) {
    const secret = await findSecret(ctx, deps, id)
    const filter = wire.given({ secret: secret.id as string, agent: query.agent as string | undefined })
    return {
      about: { resource: secretIdentifier(ctx.issuer, secret.name), facts: { secret: secret.id } },
      answer: wire.shownPage(await deps.store.secrets.leases(ctx, wire.pageOf(query), filter), showLease),
    }
  },
})

const revoke = operation({
  id: 'secret-leases.revoke',
  event: 'secret.lease_revoked',
  method: 'POST',
  path: '/secrets/{id}/leases/{lease}/revoke',
  summary: 'End a lease before its time: what was made for it is withdrawn upstream within seconds',
  params: z.strictObject({ id: secretParam, lease: wire.id('lea') }),
  query: wire.noQuery,
  body: reasonBody,
  status: 200,
  answer: leaseShown,
  async decide(ctx, deps, { params, body }) {
    const secret = await findSecret(ctx, deps, params.id)
    const found = await deps.store.secrets.lease(ctx, params.lease)
    if (found === undefined || found.secret !== secret.id)
      throw new Fault('not_found', 'There is no such lease of this secret.', { kind: 'no_lease' })
    const { version, ...lease } = found
    const about = {
      agent: lease.agent,
      reason: body.reason,
      resource: secretIdentifier(ctx.issuer, secret.name),
      facts: { secret: secret.id, lease: lease.id, handle: lease.handle },
    }
    // On its way already: asking again finds it so.
    if (lease.state === 'ending' || lease.state === 'ended') return { about, answer: showLease(lease) }
    const next = endLease(lease, ctx.now)
    return {
      change: { puts: [{ put: 'secretLease', value: next, ifVersion: version }] },
      about,
      answer: showLease(next),
      version: version + 1,
    }
  },
})

export const secretLeaseOperations = [list, revoke]
