// Halts: one call that stops an agent, an instance, a key, a grant, a tool, a resource, a person or the whole tenant.
import { Fault } from '@writ/sdk/protocol/fault'
import { newId, parseId } from '@writ/sdk/protocol/identifier'
import { canonicalResource } from '@writ/sdk/protocol/uri'
import { z } from 'zod'
import type { Ctx } from '../../context.ts'
import { type Halt, type HaltKind, haltedSubject, haltSubject } from '../../domain/authorization/halt.ts'
import type { Caller } from '../../domain/caller.ts'
import type { Signal, Versioned } from '../../domain/change.ts'
import { isOperator } from '../../domain/operator.ts'
import { fixedLimits } from '../../limits.ts'
import { mustReach } from '../ceiling.ts'
import { operation, type Reads, readEvent } from '../operation.ts'
import * as wire from '../wire.ts'

const kinds = ['agent', 'instance', 'key', 'grant', 'tool', 'resource', 'person', 'tenant'] as const

const haltShown = z
  .strictObject({
    id: wire.id('hlt'),
    kind: z.enum(kinds),
    target: z.string(),
    reason: z.string(),
    by: z.string(),
    status: z.enum(['live', 'lifted']),
    created_at: wire.shownInstant,
    lifted_at: wire.shownInstant.nullable(),
    lifted_by: z.string().nullable(),
  })
  .meta({ id: 'Halt' })

const showHalt = (halt: Halt): z.input<typeof haltShown> => ({
  id: halt.id,
  kind: halt.kind,
  target: halt.target,
  reason: halt.reason,
  by: halt.by,
  status: halt.liftedAt === null ? 'live' : 'lifted',
  created_at: wire.rfc3339(halt.createdAt),
  lifted_at: wire.rfc3339OrNull(halt.liftedAt),
  lifted_by: halt.liftedBy,
})

interface Wish {
  readonly kind: HaltKind
  readonly target: string
}

const unknown = (kind: HaltKind, target: string): Fault =>
  new Fault('invalid_value', `There is no ${kind} ${wire.shown(target)}.`, { kind: 'unknown_target' })

/** The agent whose rights end with the target; undefined where it is nobody's. */
type Found = { readonly target: string; readonly agent?: string; readonly subject?: string }

/** How a target of each kind is found, and whose it is. What is not there is refused: a typing error halts nothing. */
const finders: Readonly<
  Record<HaltKind, (ctx: Ctx, deps: Reads, target: string) => Promise<Found | undefined>>
> = {
  async agent(ctx, deps, target) {
    const agent = parseId('agt', target) && (await deps.store.agents.get(ctx, target))
    return agent && { target: agent.id, agent: agent.id }
  },
  async instance(ctx, deps, target) {
    const instance = parseId('ins', target) && (await deps.store.agents.instance(ctx, target))
    return instance && { target: instance.id, agent: instance.agent }
  },
  async key(ctx, deps, target) {
    const key = await deps.store.keys.byThumbprint(ctx, target)
    return key && { target: key.thumbprint, agent: key.owner }
  },
  async grant(ctx, deps, target) {
    const grant = parseId('grt', target) && (await deps.store.grants.get(ctx, target))
    return grant && { target: grant.id, agent: grant.agent }
  },
  async tool(ctx, deps, target) {
    const at = target.indexOf('#')
    const identifier = at < 1 ? undefined : canonicalResource(target.slice(0, at))
    const resource = identifier && (await deps.store.resources.byIdentifier(ctx, identifier))
    // Tools are not registered: any name within a resource that is can be halted before it is first called.
    return resource && target.length > at + 1
      ? { target: `${resource.identifier}${target.slice(at)}` }
      : undefined
  },
  async resource(ctx, deps, target) {
    const identifier = canonicalResource(target)
    const resource =
      identifier === undefined ? undefined : await deps.store.resources.byIdentifier(ctx, identifier)
    return resource && { target: resource.identifier, subject: resource.id }
  },
  async person(ctx, deps, target) {
    const person = parseId('usr', target) && (await deps.store.people.get(ctx, target))
    return person && { target: person.id }
  },
  async tenant(ctx, _deps, target) {
    return target === ctx.issuer ? { target } : undefined
  },
}

async function find(ctx: Ctx, deps: Reads, { kind, target }: Wish): Promise<Found> {
  const found = await finders[kind](ctx, deps, target)
  if (found === undefined) throw unknown(kind, target)
  return found
}

/** The halt itself, and the tokens of what is halted; cached decisions rest on the first, tokens on the second. */
function signalsOf(wish: Wish, found: Found): readonly Signal[] {
  const ended = haltedSubject(wish)
  return [
    haltSubject,
    ...(ended === undefined ? [] : [ended]),
    ...(found.subject === undefined ? [] : [found.subject]),
  ].map(subject => ({ subject, kind: 'narrowed' as const }))
}

/** Whoever holds the switch must be able to let go of it again. */
async function mustStandAside(ctx: Ctx, deps: Reads, caller: Caller, found: Found): Promise<void> {
  if (found.agent === undefined) return
  const agent = parseId('agt', found.agent) && (await deps.store.agents.get(ctx, found.agent))
  if (agent === undefined) return
  await mustReach(ctx, deps, caller, agent)
  if (isOperator(agent) && caller.id === agent.id)
    throw new Fault('conflict', 'The operator cannot halt itself; another administrator can.', {
      kind: 'lock_out',
    })
}

/** Every enforcement point keeps all tools that are halted, and is told all of them with each change. */
async function mustFit(ctx: Ctx, deps: Reads): Promise<void> {
  const { halts } = await deps.store.facts.governing(ctx)
  if (halts.filter(({ kind }) => kind === 'tool').length < fixedLimits.maxHaltedTools) return
  throw new Fault('conflict', 'Too many tools are halted; lift some, or halt the resource.', {
    kind: 'halted_tools',
  })
}

const create = operation({
  id: 'halts.create',
  event: 'halt.created',
  method: 'POST',
  path: '/halts',
  summary:
    'Stop an agent, instance, key, grant, tool, resource, person or the tenant at once, until it is lifted',
  params: wire.noParams,
  query: wire.noQuery,
  body: z
    .strictObject({
      kind: z.enum(kinds),
      target: z.string().min(1).max(1024).meta({
        description:
          'An id; a thumbprint; the identifier of a resource; `<identifier>#<tool>`; the issuer for the tenant',
      }),
      reason: wire.reason,
    })
    .meta({ id: 'HaltCreate' }),
  status: 201,
  answer: haltShown,
  // An emergency is when many of them come at once.
  insists: true,
  async decide(ctx, deps, { body }, caller) {
    const found = await find(ctx, deps, body)
    await mustStandAside(ctx, deps, caller, found)
    // The management API is where a halt is lifted.
    if (body.kind === 'resource' && found.target === `${ctx.issuer}/api/v1`)
      throw new Fault('conflict', 'The management API cannot be halted; halt the tenant.', {
        kind: 'lock_out',
      })
    const wish = { kind: body.kind, target: found.target }
    const standing = await deps.store.halts.list(
      ctx,
      { limit: 1 },
      { live: true, target: `${wish.kind}:${wish.target}` },
    )
    if (standing.items.length > 0)
      throw new Fault('conflict', 'This is halted already.', { kind: 'halted', halt: standing.items[0]?.id })
    if (body.kind === 'tool') await mustFit(ctx, deps)
    const halt: Halt = {
      id: newId('hlt', deps.randomBytes),
      ...wish,
      reason: body.reason,
      by: caller.id,
      createdAt: ctx.now,
      liftedAt: null,
      liftedBy: null,
    }
    return {
      change: { puts: [{ put: 'halt', value: halt, ifVersion: 0 }], signals: signalsOf(wish, found) },
      about: aboutHalt(halt, body.reason),
      answer: showHalt(halt),
      location: `/halts/${halt.id}`,
      version: 1,
    }
  },
})

const aboutHalt = (halt: Halt, reason: string) => ({
  ...(halt.kind === 'agent' ? { agent: halt.target } : {}),
  ...(halt.kind === 'person' ? { person: halt.target } : {}),
  reason,
  facts: { halt: halt.id, kind: halt.kind, target: halt.target },
})

const params = z.strictObject({ id: wire.id('hlt') })

async function findHalt(ctx: Ctx, deps: Reads, id: string): Promise<Versioned<Halt>> {
  const halt = await deps.store.halts.get(ctx, id)
  if (halt === undefined) throw new Fault('not_found', 'There is no such halt.', { kind: 'no_halt' })
  return halt
}

const list = operation({
  id: 'halts.list',
  event: readEvent,
  method: 'GET',
  path: '/halts',
  summary: 'List halts in the order in which they were made',
  params: wire.noParams,
  query: z.strictObject({
    ...wire.paging,
    status: z.literal('live').optional().meta({ description: 'Leaves out those that were lifted' }),
  }),
  body: null,
  status: 200,
  answer: wire.listOf(haltShown),
  async decide(ctx, deps, { query }) {
    const filter = query.status === undefined ? {} : { live: true as const }
    const page = await deps.store.halts.list(ctx, wire.pageOf(query), filter)
    return { about: {}, answer: wire.shownPage(page, showHalt) }
  },
})

const get = operation({
  id: 'halts.get',
  event: readEvent,
  method: 'GET',
  path: '/halts/{id}',
  summary: 'See a halt',
  params,
  query: wire.noQuery,
  body: null,
  status: 200,
  answer: haltShown,
  async decide(ctx, deps, input) {
    const halt = await findHalt(ctx, deps, input.params.id)
    return { about: { facts: { halt: halt.id } }, answer: showHalt(halt), version: halt.version }
  },
})

const lift = operation({
  id: 'halts.lift',
  event: 'halt.lifted',
  method: 'POST',
  path: '/halts/{id}/lift',
  summary: 'Lift a halt; tokens that it ended stay dead, and new ones are issued again',
  params,
  query: wire.noQuery,
  body: z.strictObject({ reason: wire.reason }).meta({ id: 'HaltLift' }),
  status: 200,
  answer: haltShown,
  insists: true,
  async decide(ctx, deps, { params: named, body }, caller) {
    const { version, ...halt } = await findHalt(ctx, deps, named.id)
    if (halt.liftedAt !== null)
      throw new Fault('conflict', 'This halt was lifted already.', { kind: 'lifted' })
    // What it holds down may stand above whoever lifts it.
    const found = await finders[halt.kind](ctx, deps, halt.target)
    // What is gone is nobody's; its namesake, if one comes, must not be held down for ever.
    if (found !== undefined) await mustStandAside(ctx, deps, caller, found)
    const lifted: Halt = { ...halt, liftedAt: ctx.now, liftedBy: caller.id }
    return {
      change: {
        puts: [{ put: 'halt', value: lifted, ifVersion: version }],
        signals: [{ subject: haltSubject, kind: 'changed' }],
      },
      about: aboutHalt(lifted, body.reason),
      answer: showHalt(lifted),
      version: version + 1,
    }
  },
})

export const haltOperations = [create, list, get, lift]
