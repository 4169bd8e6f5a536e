// Secrets of the vault: put in, listed, seen and changed. A value goes in here, and never comes out again here.
import { Fault } from '@writ/sdk/protocol/fault'
import { type AgentId, newId, type PersonId, type SecretId } from '@writ/sdk/protocol/identifier'
import { Secret } from '@writ/sdk/protocol/secret'
import { z } from 'zod'
import type { Ctx } from '../../context.ts'
import type { Caller } from '../../domain/caller.ts'
import type { Basis, Put } from '../../domain/change.ts'
import { isOperator } from '../../domain/operator.ts'
import type { Resource } from '../../domain/resource.ts'
import {
  isSecretName,
  type RotatorUse,
  secretIdentifier,
  secretScope,
  type VaultSecret,
} from '../../domain/vault/secret.ts'
import { newVersion, secretRotation } from '../../domain/vault/succession.ts'
import { readUse, secretsNamed, type Using } from '../../vault/rotator-use.ts'
import { findAgent, findOwner, labels, mustHaveVersion, owner } from '../agents/agents.ts'
import { operation, type Reads, readEvent } from '../operation.ts'
import * as wire from '../wire.ts'
import {
  consumers,
  consumersOf,
  findInUse,
  findSecret,
  leaseSeconds,
  secretName,
  secretParam,
  secretShown,
  showSecret,
  usualLeaseSeconds,
  valueGiven,
} from './shown.ts'

const members = {
  description: wire.prose.optional(),
  labels: labels.optional(),
  consumers: consumers.optional(),
  lease_seconds: leaseSeconds.optional(),
}

const rotatorGiven = z.strictObject({
  kind: z.string().min(1).max(64),
  options: z.record(z.string(), z.unknown()),
})

const create = operation({
  id: 'secrets.create',
  event: 'secret.created',
  method: 'POST',
  path: '/secrets',
  summary: 'Put a secret into the vault; a rotator makes the first version of one that comes without a value',
  params: wire.noParams,
  query: wire.noQuery,
  body: z
    .strictObject({
      name: secretName,
      owner: owner.optional(),
      ...members,
      value: valueGiven.optional(),
      rotator: rotatorGiven.optional(),
    })
    .meta({ id: 'SecretCreate' }),
  status: 201,
  answer: secretShown,
  secret: true,
  async decide(ctx, deps, { body }, caller) {
    const identifier = secretIdentifier(ctx.issuer, body.name)
    await mustBeFree(ctx, deps, { name: body.name, identifier })
    const using = await usingGiven(ctx, deps, body.name, body.rotator)
    mustFit(using, body.value !== undefined)
    const ownerId = await ownerOf(ctx, deps, body.owner, caller)
    const resource = resourceOf(ctx, deps, { name: body.name, identifier })
    const secret: VaultSecret = {
      id: newId('sec', deps.randomBytes),
      name: body.name,
      description: body.description ?? '',
      owner: ownerId,
      labels: body.labels ?? {},
      consumers: await consumersOf(ctx, deps, body.consumers ?? []),
      leaseSeconds: body.lease_seconds ?? usualLeaseSeconds,
      rotator:
        body.rotator === undefined
          ? null
          : { kind: body.rotator.kind, options: using?.options as RotatorUse['options'] },
      resource: resource.id,
      status: 'active',
      createdAt: ctx.now,
      updatedAt: ctx.now,
    }
    const first = firstOf(ctx, deps, { secret, using, value: body.value })
    return {
      change: {
        puts: [
          { put: 'secret', value: secret, ifVersion: 0 },
          { put: 'resource', value: resource, ifVersion: 0 },
          ...first.puts,
        ],
        signals: [
          { subject: secret.id, kind: 'changed' },
          { subject: identifier, kind: 'changed' },
        ],
        bases: first.bases,
      },
      restsOn: [ownerId],
      about: {
        resource: identifier,
        facts: { ...factsOf(secret), first: first.fact, version: first.version },
      },
      answer: showSecret(ctx, secret),
      location: `/secrets/${secret.id}`,
      version: 1,
    }
  },
})

/** A name means one secret for ever: what was granted for a retired one must not come to mean another. */
async function mustBeFree(
  ctx: Ctx,
  deps: Reads,
  { name, identifier }: { readonly name: string; readonly identifier: string },
): Promise<void> {
  const taken =
    (await deps.store.secrets.byName(ctx, name)) ?? (await deps.store.resources.byIdentifier(ctx, identifier))
  if (taken === undefined) return
  throw new Fault('conflict', `The name ${name} is or was that of another secret.`, { kind: 'name_taken' })
}

async function ownerOf(
  ctx: Ctx,
  deps: Reads,
  given: string | undefined,
  caller: Caller,
): Promise<PersonId | AgentId> {
  if (given !== undefined) return findOwner(ctx, deps, given)
  if (caller.agent === null)
    throw new Fault('invalid_value', 'The member owner is missing: name who answers for it.', {
      kind: 'no_owner',
    })
  const agent = await findAgent(ctx, deps, caller.agent)
  return isOperator(agent) ? agent.id : agent.owner
}

/** Throws `invalid_value` for a rotator that is unknown, options it does not take, and secrets it may not use. */
async function usingGiven(
  ctx: Ctx,
  deps: Reads,
  name: string,
  given: RotatorUse | undefined,
): Promise<Using | undefined> {
  if (given === undefined) return undefined
  const read = readUse(deps.engine.kindDeps.rotators, given)
  if (read === 'unknown') {
    const known = deps.engine.kindDeps.rotators.map(({ kind }) => kind).join(', ')
    throw new Fault('invalid_value', `There is no rotator of this kind; there are: ${known}.`, {
      kind: 'no_rotator',
    })
  }
  if ('problems' in read) {
    const [first] = read.problems
    const member = wire.shown(['rotator', 'options', ...(first?.path ?? [])].join('.'))
    const say =
      first === undefined ? 'not acceptable' : (wire.prose.safeParse(first.message).data ?? 'not acceptable')
    throw new Fault('invalid_value', `The member ${member} is not acceptable: ${say}.`, {
      kind: 'rotator_options',
      member,
    })
  }
  for (const named of secretsNamed(read.using.options)) {
    const secret = isSecretName(named) ? await deps.store.secrets.byName(ctx, named) : undefined
    if (secret === undefined || secret.status !== 'active' || !secret.consumers.includes(name)) {
      throw new Fault(
        'invalid_value',
        `The rotator names the secret ${wire.shown(named)}, which does not list ${name} among its consumers.`,
        { kind: 'not_entrusted' },
      )
    }
  }
  return read.using
}

function mustFit(using: Using | undefined, hasValue: boolean): void {
  if (using === undefined && !hasValue) {
    throw new Fault('invalid_value', 'The member value is missing: no rotator makes one.', {
      kind: 'no_value',
    })
  }
  if (using?.makes === 'leases' && hasValue) {
    throw new Fault(
      'invalid_value',
      'This rotator makes a value for each lease: leave the member value out.',
      {
        kind: 'value_of_leases',
      },
    )
  }
}

function resourceOf(
  ctx: Ctx,
  deps: Reads,
  { name, identifier }: { readonly name: string; readonly identifier: string },
): Resource {
  return {
    id: newId('res', deps.randomBytes),
    identifier,
    name: `Secret ${name}`,
    scopes: [{ name: secretScope, description: 'Read this secret', includes: [], sensitive: false }],
    introspectionClients: [],
    bearerAllowed: false,
    createdAt: ctx.now,
    updatedAt: ctx.now,
  }
}

interface First {
  readonly puts: readonly Put[]
  readonly bases: readonly Basis[]
  readonly fact: string
  /** Where it was given. */
  readonly version: string | null
}

/** The first version as it was given, the rotation that makes it, or neither for one with leases. */
function firstOf(
  ctx: Ctx,
  deps: Reads,
  {
    secret,
    using,
    value,
  }: { readonly secret: VaultSecret; readonly using: Using | undefined; readonly value: string | undefined },
): First {
  const { vault, rules } = deps.engine.kindDeps
  if (value !== undefined) {
    const id = newId('ver', deps.randomBytes)
    const { vaultKey, sealed, basis } = vault.protect(ctx, new Secret(value), { id, secret: secret.id })
    const about = { id, secret: secret.id, number: 1, state: 'active', vaultKey, sealed } as const
    const version = newVersion({ ...about, handle: null, rotation: null }, ctx.now)
    return {
      puts: [{ put: 'secretVersion', value: version, ifVersion: 0 }],
      bases: [basis],
      fact: 'given',
      version: version.id,
    }
  }
  if (using?.makes !== 'versions') return { puts: [], bases: [], fact: 'per_lease', version: null }
  const rotation = secretRotation(
    {
      id: newId('rot', deps.randomBytes),
      secret,
      from: undefined,
      proof: using.rotator.proof,
      reason: 'first_version',
      batch: null,
      emergency: false,
      limitAt: ctx.now + rules.drainLimitSeconds,
    },
    ctx.now,
  )
  return {
    puts: [{ put: 'rotation', value: rotation, ifVersion: 0 }],
    bases: [],
    fact: rotation.id,
    version: null,
  }
}

function factsOf(secret: VaultSecret) {
  return {
    secret: secret.id,
    resource_id: secret.resource,
    name: secret.name,
    owner: secret.owner,
    consumers: secret.consumers,
    lease_seconds: secret.leaseSeconds,
    rotator: secret.rotator?.kind ?? null,
  }
}

const list = operation({
  id: 'secrets.list',
  event: readEvent,
  method: 'GET',
  path: '/secrets',
  summary: 'List the secrets of the vault, without their values, in the order in which they came',
  params: wire.noParams,
  query: z.strictObject({ ...wire.paging, owner: z.string().min(1).max(64).optional() }),
  body: null,
  status: 200,
  answer: wire.listOf(secretShown),
  async decide(ctx, deps, { query }) {
    const page = await deps.store.secrets.list(ctx, wire.pageOf(query), wire.given({ owner: query.owner }))
    return { about: {}, answer: wire.shownPage(page, secret => showSecret(ctx, secret)) }
  },
})

const params = z.strictObject({ id: secretParam })

const get = operation({
  id: 'secrets.get',
  event: readEvent,
  method: 'GET',
  path: '/secrets/{id}',
  summary: 'See what is known of a secret, except its value',
  params,
  query: wire.noQuery,
  body: null,
  status: 200,
  answer: secretShown,
  async decide(ctx, deps, input) {
    const secret = await findSecret(ctx, deps, input.params.id)
    return { about: aboutSecret(ctx, secret), answer: showSecret(ctx, secret), version: secret.version }
  },
})

const aboutSecret = (ctx: Ctx, { id, name }: { readonly id: SecretId; readonly name: string }) => ({
  resource: secretIdentifier(ctx.issuer, name),
  facts: { secret: id },
})

const update = operation({
  id: 'secrets.update',
  event: 'secret.updated',
  method: 'PATCH',
  path: '/secrets/{id}',
  summary: 'Change a secret; whoever is no consumer any more is given nothing from that instant on',
  params,
  query: wire.noQuery,
  body: z.strictObject(members).meta({ id: 'SecretUpdate' }),
  status: 200,
  answer: secretShown,
  async decide(ctx, deps, { params: { id }, body, ifVersion }) {
    const { version, ...secret } = await findInUse(ctx, deps, id)
    mustHaveVersion({ version }, ifVersion)
    const next: VaultSecret = {
      ...secret,
      description: body.description ?? secret.description,
      labels: body.labels ?? secret.labels,
      consumers:
        body.consumers === undefined ? secret.consumers : await consumersOf(ctx, deps, body.consumers),
      leaseSeconds: body.lease_seconds ?? secret.leaseSeconds,
      updatedAt: ctx.now,
    }
    const removed = secret.consumers.filter(consumer => !next.consumers.includes(consumer))
    return {
      change: {
        puts: [{ put: 'secret', value: next, ifVersion: version }],
        signals: [{ subject: secret.id, kind: removed.length > 0 ? 'narrowed' : 'changed' }],
      },
      about: {
        ...aboutSecret(ctx, secret),
        facts: { ...factsOf(next), members: Object.keys(body).sort(), removed_consumers: removed },
      },
      answer: showSecret(ctx, next),
      version: version + 1,
    }
  },
})

export const secretOperations = [create, list, get, update]
