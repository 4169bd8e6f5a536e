// The end of a secret: with it go its grants, its versions and its leases, in one change.
import { Fault } from '@writ/sdk/protocol/fault'
import { z } from 'zod'
import type { Ctx } from '../../context.ts'
import type { Put, Removal } from '../../domain/change.ts'
import { hasEnded, type Rotation } from '../../domain/rotation.ts'
import { endLease, moveVersion, secretIdentifier, type VaultSecret } from '../../domain/vault/secret.ts'
import { mustHaveVersion } from '../agents/agents.ts'
import { reasonBody } from '../agents/moves.ts'
import { operation, type Reads } from '../operation.ts'
import { endedFacts, endedWhole, endGrants } from '../resources/ended-grants.ts'
import * as wire from '../wire.ts'
import { findInUse, secretParam, secretShown, showSecret } from './shown.ts'

/** Leases that end in the change itself; the loop, which hears of the end, takes the rest. */
const mostLeases = 200

const retire = operation({
  id: 'secrets.retire',
  event: 'secret.retired',
  method: 'POST',
  path: '/secrets/{id}/retire',
  summary:
    'End a secret for ever: its grants, versions and leases end with it, and nothing of it can be opened',
  params: z.strictObject({ id: secretParam }),
  query: wire.noQuery,
  body: reasonBody,
  status: 200,
  answer: secretShown,
  async decide(ctx, deps, { params: { id }, body, ifVersion }) {
    const { version, ...secret } = await findInUse(ctx, deps, id)
    mustHaveVersion({ version }, ifVersion)
    const identifier = secretIdentifier(ctx.issuer, secret.name)
    const next: VaultSecret = { ...secret, status: 'retired', updatedAt: ctx.now }
    const grants = await endGrants(ctx, deps, identifier, endedWhole(ctx))
    const versions = await endVersions(ctx, deps, secret)
    const rotations = await endRotations(ctx, deps, secret)
    const leases = await deps.store.secrets.liveLeases(ctx, { secret: secret.id }, mostLeases)
    const ending = leases.filter(({ state }) => state !== 'ending')
    return {
      change: {
        puts: [
          { put: 'secret', value: next, ifVersion: version },
          ...versions,
          ...rotations,
          ...ending.map(
            ({ version: ifVersion, ...lease }): Put => ({
              put: 'secretLease',
              value: endLease(lease, ctx.now),
              ifVersion,
            }),
          ),
          ...grants.puts,
        ],
        removals: await endResource(ctx, deps, identifier),
        signals: [
          { subject: secret.id, kind: 'narrowed' },
          { subject: identifier, kind: 'narrowed' },
          ...grants.signals,
        ],
      },
      about: {
        reason: body.reason,
        resource: identifier,
        facts: {
          secret: secret.id,
          resource_id: secret.resource,
          ended_grants: grants.ids,
          ...endedFacts(grants),
          ended_versions: versions.map(({ value }) => value.id),
          ended_rotations: rotations.map(({ value }) => value.id),
          ending_leases: ending.length,
        },
      },
      answer: showSecret(ctx, next),
      version: version + 1,
    }
  },
})

async function endVersions(
  ctx: Ctx,
  deps: Reads,
  { id }: VaultSecret,
): Promise<readonly Extract<Put, { put: 'secretVersion' }>[]> {
  const states = ['staged', 'active', 'retiring'] as const
  const live = await deps.store.secrets.versions(ctx, id, { states })
  return live.map(({ version: ifVersion, ...one }) => ({
    put: 'secretVersion',
    value: moveVersion(one, 'retire', ctx.now),
    ifVersion,
  }))
}

/** What its rotators would go on with is gone. */
async function endRotations(
  ctx: Ctx,
  deps: Reads,
  { id }: VaultSecret,
): Promise<readonly Extract<Put, { put: 'rotation' }>[]> {
  const puts: Extract<Put, { put: 'rotation' }>[] = []
  for (const { version: ifVersion, ...rotation } of await deps.store.rotations.open(ctx, 'secret', id)) {
    if (hasEnded(rotation)) continue
    const ended: Rotation = {
      ...rotation,
      state: 'failed',
      resumes: null,
      stateAt: ctx.now,
      dueAt: null,
      problem: 'The secret was retired: withdraw upstream by hand what its versions still open there.',
    }
    puts.push({ put: 'rotation', value: ended, ifVersion })
  }
  return puts
}

async function endResource(ctx: Ctx, deps: Reads, identifier: string): Promise<readonly Removal[]> {
  const resource = await deps.store.resources.byIdentifier(ctx, identifier)
  if (resource === undefined)
    throw new Fault('server_error', 'The resource of this secret is gone; restore the database.', {
      kind: 'no_resource_of_secret',
    })
  return [{ remove: 'resource', id: resource.id, ifVersion: resource.version }]
}

export const secretRetirementOperations = [retire]
