// What is shown of secrets: never a value. Their names, and who may stand among their consumers.
import { Fault } from '@writ/sdk/protocol/fault'
import { z } from 'zod'
import type { Ctx } from '../../context.ts'
import type { Versioned } from '../../domain/change.ts'
import { isSecretName, secretIdentifier, type VaultSecret } from '../../domain/vault/secret.ts'
import type { Reads } from '../operation.ts'
import * as wire from '../wire.ts'

export const secretName = z.string().max(64).refine(isSecretName, 'is not the name of a secret')

/** An id or a name; both name one secret for ever. */
export const secretParam = z.union([wire.id('sec'), secretName])

export const secretShown = z
  .strictObject({
    id: wire.id('sec'),
    name: z.string(),
    uri: z.string().meta({ description: 'Where it is read, and the resource that grants for it name' }),
    description: z.string(),
    owner: z.string(),
    labels: z.record(z.string(), z.string()),
    consumers: z.array(z.string()),
    lease_seconds: z.int(),
    rotator: z.strictObject({ kind: z.string(), options: z.record(z.string(), z.unknown()) }).nullable(),
    status: z.enum(['active', 'retired']),
    created_at: wire.shownInstant,
    updated_at: wire.shownInstant,
  })
  .meta({ id: 'Secret' })

export function showSecret(ctx: Pick<Ctx, 'issuer'>, secret: VaultSecret): z.input<typeof secretShown> {
  return {
    id: secret.id,
    name: secret.name,
    uri: secretIdentifier(ctx.issuer, secret.name),
    description: secret.description,
    owner: secret.owner,
    labels: { ...secret.labels },
    consumers: [...secret.consumers],
    lease_seconds: secret.leaseSeconds,
    rotator:
      secret.rotator === null ? null : { kind: secret.rotator.kind, options: { ...secret.rotator.options } },
    status: secret.status,
    created_at: wire.rfc3339(secret.createdAt),
    updated_at: wire.rfc3339(secret.updatedAt),
  }
}

/** By id or name. Throws `not_found`. */
export async function findSecret(ctx: Ctx, deps: Reads, named: string): Promise<Versioned<VaultSecret>> {
  const { secrets } = deps.store
  const secret = named.startsWith('sec_')
    ? ((await secrets.get(ctx, named)) ?? (await secrets.byName(ctx, named)))
    : await secrets.byName(ctx, named)
  if (secret === undefined) throw new Fault('not_found', 'There is no such secret.', { kind: 'no_secret' })
  return secret
}

/** The same, where only one that is in use will do. Throws `conflict` for a retired one. */
export async function findInUse(ctx: Ctx, deps: Reads, named: string): Promise<Versioned<VaultSecret>> {
  const secret = await findSecret(ctx, deps, named)
  if (secret.status === 'active') return secret
  throw new Fault('conflict', 'This secret is retired: nothing of it comes back.', { kind: 'retired' })
}

const mostConsumers = 200

/** Agents by their ids, and secrets by their names: those may be created later, a rotator names its administrator's. */
export const consumers = z
  .array(z.union([wire.id('agt'), secretName]))
  .max(mostConsumers)
  .meta({ description: 'Ids of agents that may have it, names of secrets whose rotators may use it' })

/** Once each. Throws `invalid_value` for an agent that is not there: its id could not have been meant. */
export async function consumersOf(
  ctx: Ctx,
  deps: Reads,
  given: readonly string[],
): Promise<readonly string[]> {
  const once = [...new Set(given)]
  for (const id of once) {
    if (!id.startsWith('agt_')) continue
    const agent = await deps.store.agents.get(ctx, id)
    if (agent === undefined || agent.status === 'retired')
      throw new Fault('invalid_value', `There is no agent ${id} that is not retired.`, { kind: 'no_agent' })
  }
  return once
}

export const leaseSeconds = z
  .int()
  .min(1)
  .max(86_400)
  .meta({ description: 'How long whoever is given it may rely on it before asking again; 300 unless told' })

export const usualLeaseSeconds = 300

/** Printed and stored nowhere: it goes into the vault, and leaves it to its consumers alone. */
export const valueGiven = z
  .string()
  .min(1)
  .max(8_192)
  .refine(text => text.isWellFormed(), 'is not well-formed text')
  .meta({ description: 'At most 8192 bytes of UTF-8; never shown again here' })
