// Versions of a secret: what became of each and who used it last; and the next one, where a person gives it.
import { Fault } from '@writ/sdk/protocol/fault'
import { newId } from '@writ/sdk/protocol/identifier'
import { Secret } from '@writ/sdk/protocol/secret'
import { z } from 'zod'
import type { Ctx } from '../../context.ts'
import type { Versioned } from '../../domain/change.ts'
import type { DrainUser, Rotation } from '../../domain/rotation.ts'
import { type SecretVersion, secretIdentifier, type VaultSecret } from '../../domain/vault/secret.ts'
import { givenRotation, newVersion, secretRotation, succeedVersion } from '../../domain/vault/succession.ts'
import { usingOf } from '../../vault/rotator-use.ts'
import { mustHaveVersion } from '../agents/agents.ts'
import { operation, type Reads, readEvent } from '../operation.ts'
import * as wire from '../wire.ts'
import { findInUse, findSecret, secretParam, valueGiven } from './shown.ts'

const params = z.strictObject({ id: secretParam })

const versionShown = z
  .strictObject({
    id: wire.id('ver'),
    secret: wire.id('sec'),
    number: z.int(),
    state: z.enum(['staged', 'active', 'retiring', 'retired', 'failed']),
    state_at: wire.shownInstant,
    vault_key: wire.id('vky').nullable().meta({ description: 'Which wraps it; null once nothing is left' }),
    handle: z.string().nullable().meta({ description: 'What the upstream calls it' }),
    rotation: z.string().nullable(),
    created_at: wire.shownInstant,
    last_used_at: wire.shownInstant.nullable(),
    last_used_by: z.string().nullable(),
    last_used_from: z.string().nullable(),
    used_until: wire.shownInstant.nullable().meta({ description: 'The end of its last lease' }),
  })
  .meta({ id: 'SecretVersion' })

function showVersion(version: SecretVersion, use: DrainUser | undefined): z.input<typeof versionShown> {
  return {
    id: version.id,
    secret: version.secret,
    number: version.number,
    state: version.state,
    state_at: wire.rfc3339(version.stateAt),
    vault_key: version.vaultKey,
    handle: version.handle,
    rotation: version.rotation,
    created_at: wire.rfc3339(version.createdAt),
    last_used_at: wire.rfc3339OrNull(use?.lastUsedAt ?? null),
    last_used_by: use?.caller ?? null,
    last_used_from: use?.from ?? null,
    used_until: wire.rfc3339OrNull(use?.until ?? null),
  }
}

const list = operation({
  id: 'secret-versions.list',
  event: readEvent,
  method: 'GET',
  path: '/secrets/{id}/versions',
  summary: 'List the versions of a secret with their states and last use, the oldest first; never a value',
  params,
  query: z.strictObject(wire.paging),
  body: null,
  status: 200,
  answer: wire.listOf(versionShown),
  async decide(ctx, deps, input) {
    const secret = await findSecret(ctx, deps, input.params.id)
    const { limit, after } = wire.pageOf(input.query)
    const all = await deps.store.secrets.versions(ctx, secret.id)
    const from = after === undefined ? 0 : all.findIndex(({ id }) => id === after) + 1
    if (after !== undefined && from === 0)
      throw new Fault('invalid_value', 'There is no item of this id to continue after.', { kind: 'after' })
    const page = all.slice(from, from + limit)
    const newest = await Promise.all(page.map(({ id }) => deps.store.uses.of(ctx, id, 1)))
    return {
      about: { resource: secretIdentifier(ctx.issuer, secret.name), facts: { secret: secret.id } },
      answer: {
        items: page.map((version, at) => showVersion(version, newest[at]?.[0])),
        next: from + limit < all.length ? (page.at(-1)?.id ?? null) : null,
      },
    }
  },
})

/** Versions that live beside each other: one in use, the rest draining. */
const mostLive = 8

const create = operation({
  id: 'secret-versions.create',
  event: 'secret.version_given',
  method: 'POST',
  path: '/secrets/{id}/versions',
  summary: 'Give the next version of a secret: it is in use at once, and the former drains',
  params,
  query: wire.noQuery,
  body: z
    .strictObject({ value: valueGiven, reason: wire.reason.optional() })
    .meta({ id: 'SecretVersionCreate' }),
  status: 201,
  answer: versionShown,
  secret: true,
  async decide(ctx, deps, { params: { id }, body, ifVersion }) {
    const { version: recordVersion, ...secret } = await findInUse(ctx, deps, id)
    mustHaveVersion({ version: recordVersion }, ifVersion)
    const { former, number } = await standing(ctx, deps, secret)
    const rotation = former && begun(ctx, deps, { secret, former, reason: body.reason ?? 'given' })
    const versionId = newId('ver', deps.randomBytes)
    const { vaultKey, sealed, basis } = deps.engine.kindDeps.vault.protect(ctx, new Secret(body.value), {
      id: versionId,
      secret: secret.id,
    })
    const next = newVersion(
      {
        id: versionId,
        secret: secret.id,
        number,
        state: 'active',
        vaultKey,
        sealed,
        handle: null,
        rotation: rotation?.id ?? null,
      },
      ctx.now,
    )
    const succeeded = succeedVersion(former, { value: next, ifVersion: 0 }, ctx.now)
    const active = rotation && givenRotation(rotation, next, deps.engine.kindDeps.rules, ctx.now)
    return {
      change: {
        // Its record too: two who give a version at once come one after the other.
        puts: [
          { put: 'secret', value: { ...secret, updatedAt: ctx.now }, ifVersion: recordVersion },
          ...succeeded.puts,
          ...(active === undefined ? [] : [{ put: 'rotation' as const, value: active, ifVersion: 0 }]),
        ],
        signals: succeeded.signals,
        bases: [basis],
      },
      restsOn: [secret.id],
      about: {
        reason: body.reason ?? 'given',
        resource: secretIdentifier(ctx.issuer, secret.name),
        facts: {
          secret: secret.id,
          version: next.id,
          former: former?.id ?? null,
          number,
          rotation: active?.id ?? null,
        },
      },
      answer: showVersion(next, undefined),
      location: `/secrets/${secret.id}/versions`,
    }
  },
})

/** The version in use and the next number. Throws `conflict` where a version of a rotator is on its way, or too many live. */
async function standing(
  ctx: Ctx,
  deps: Reads,
  secret: VaultSecret,
): Promise<{ readonly former: Versioned<SecretVersion> | undefined; readonly number: number }> {
  const using = usingOf(deps.engine.kindDeps.rotators, secret)
  if (using?.makes === 'leases') {
    throw new Fault(
      'conflict',
      'The rotator of this secret makes a value for each lease: it has no versions.',
      {
        kind: 'leases',
      },
    )
  }
  const open = await deps.store.rotations.open(ctx, 'secret', secret.id)
  const coming = open.find(({ state, resumes }) => (resumes ?? state) === 'staged')
  if (coming !== undefined) {
    throw new Fault(
      'conflict',
      `Its rotator is making the next version: see ${coming.id}, or cancel it first.`,
      {
        kind: 'already_rotating',
        rotation: coming.id,
      },
    )
  }
  const all = await deps.store.secrets.versions(ctx, secret.id)
  const live = all.filter(({ state }) => state === 'active' || state === 'retiring')
  if (live.length >= mostLive) {
    throw new Fault(
      'conflict',
      `${mostLive} versions of this secret live already: let one drain, or force its end.`,
      {
        kind: 'too_many_versions',
      },
    )
  }
  return { former: live.find(({ state }) => state === 'active'), number: (all.at(-1)?.number ?? 0) + 1 }
}

function begun(
  ctx: Ctx,
  deps: Reads,
  about: { readonly secret: VaultSecret; readonly former: SecretVersion; readonly reason: string },
): Rotation {
  const { rotators, rules } = deps.engine.kindDeps
  const using = usingOf(rotators, about.secret)
  return secretRotation(
    {
      id: newId('rot', deps.randomBytes),
      secret: about.secret,
      from: about.former,
      proof: using?.makes === 'versions' ? using.rotator.proof : 'last_use',
      reason: about.reason,
      batch: null,
      emergency: false,
      limitAt: ctx.now + rules.drainLimitSeconds,
    },
    ctx.now,
  )
}

export const secretVersionOperations = [create, list]
