// People: who owns agents. Records here; those of trusted identity providers appear by themselves.
import { Fault } from '@writ/sdk/protocol/fault'
import { newId } from '@writ/sdk/protocol/identifier'
import { Secret } from '@writ/sdk/protocol/secret'
import { z } from 'zod'
import type { Ctx } from '../../context.ts'
import type { Versioned } from '../../domain/change.ts'
import { loginKey, ownershipOf, type Person } from '../../domain/client.ts'
import { moveStanding, type StandingMove } from '../../domain/standing.ts'
import { mustHaveVersion } from '../agents/agents.ts'
import { reasonBody } from '../agents/moves.ts'
import { operation, type Reads, readEvent } from '../operation.ts'
import * as wire from '../wire.ts'
import { hashPassword } from './password.ts'

/** NIST SP 800-63B §3.1.1.2: length is what counts; any character may be used. Hidden from every log from here on. */
const password = z
  .string()
  .min(8)
  .max(256)
  .transform(text => new Secret(text))
  .meta({ description: 'Never shown again', writeOnly: true })

export const personShown = z
  .strictObject({
    id: wire.id('usr'),
    login: z.string(),
    name: z.string().nullable(),
    has_password: z.boolean(),
    groups: z.array(wire.id('grp')),
    status: z.enum(['active', 'suspended']),
    status_reason: z.string().nullable(),
    created_at: wire.shownInstant,
    updated_at: wire.shownInstant,
  })
  .meta({ id: 'Person' })

export function showPerson(person: Person): z.input<typeof personShown> {
  return {
    id: person.id,
    login: person.login,
    name: person.name,
    has_password: person.passwordHash !== null,
    groups: [...(person.groups ?? [])],
    status: person.status,
    status_reason: person.statusReason,
    created_at: wire.rfc3339(person.createdAt),
    updated_at: wire.rfc3339(person.updatedAt),
  }
}

export async function findPerson(ctx: Ctx, deps: Reads, id: string): Promise<Versioned<Person>> {
  const person = await deps.store.people.get(ctx, id)
  if (person === undefined) throw new Fault('not_found', 'There is no such person.', { kind: 'no_person' })
  return person
}

async function mustBeFree(ctx: Ctx, deps: Reads, login: string): Promise<void> {
  if ((await deps.store.people.byLogin(ctx, loginKey(login))) !== undefined) {
    throw new Fault('conflict', 'Somebody has this login already, or one that reads the same.', {
      kind: 'login_taken',
    })
  }
}

const create = operation({
  id: 'people.create',
  event: 'person.created',
  method: 'POST',
  path: '/people',
  summary: 'Create a person',
  params: wire.noParams,
  query: wire.noQuery,
  body: z
    .strictObject({
      login: wire.login,
      name: wire.name.nullable().optional(),
      password: password.nullable().optional(),
    })
    .meta({ id: 'PersonCreate' }),
  status: 201,
  answer: personShown,
  async decide(ctx, deps, { body }) {
    await mustBeFree(ctx, deps, body.login)
    const person: Person = {
      id: newId('usr', deps.randomBytes),
      login: body.login,
      loginKey: loginKey(body.login),
      name: body.name ?? null,
      passwordHash: body.password ? await hashPassword(body.password, deps.randomBytes) : null,
      status: 'active',
      statusReason: null,
      createdAt: ctx.now,
      updatedAt: ctx.now,
    }
    return {
      change: { puts: [{ put: 'person', value: person, ifVersion: 0 }] },
      about: { person: person.id, facts: { login: person.login } },
      answer: showPerson(person),
      location: `/people/${person.id}`,
      version: 1,
    }
  },
})

const list = operation({
  id: 'people.list',
  event: readEvent,
  method: 'GET',
  path: '/people',
  summary: 'List people in the order of their creation',
  params: wire.noParams,
  query: z.strictObject({ ...wire.paging, login: z.string().min(1).max(128).optional() }),
  body: null,
  status: 200,
  answer: wire.listOf(personShown),
  async decide(ctx, deps, { query }) {
    if (query.login !== undefined) {
      const found = await deps.store.people.byLogin(ctx, loginKey(query.login))
      return { about: {}, answer: { items: found === undefined ? [] : [showPerson(found)], next: null } }
    }
    return {
      about: {},
      answer: wire.shownPage(await deps.store.people.list(ctx, wire.pageOf(query)), showPerson),
    }
  },
})

const params = z.strictObject({ id: wire.id('usr') })

const get = operation({
  id: 'people.get',
  event: readEvent,
  method: 'GET',
  path: '/people/{id}',
  summary: 'See a person',
  params,
  query: wire.noQuery,
  body: null,
  status: 200,
  answer: personShown,
  async decide(ctx, deps, input) {
    const person = await findPerson(ctx, deps, input.params.id)
    return { about: { person: person.id }, answer: showPerson(person), version: person.version }
  },
})

const update = operation({
  id: 'people.update',
  event: 'person.updated',
  method: 'PATCH',
  path: '/people/{id}',
  summary: 'Change a person; null clears a member',
  params,
  query: wire.noQuery,
  body: z
    .strictObject({
      login: wire.login.optional(),
      name: wire.name.nullable().optional(),
      password: password.nullable().optional(),
    })
    .meta({ id: 'PersonUpdate' }),
  status: 200,
  answer: personShown,
  async decide(ctx, deps, input) {
    const { body } = input
    const { version, ...person } = await findPerson(ctx, deps, input.params.id)
    mustHaveVersion({ version }, input.ifVersion)
    const login = body.login ?? person.login
    if (loginKey(login) !== person.loginKey) await mustBeFree(ctx, deps, login)
    const next: Person = {
      ...person,
      login,
      loginKey: loginKey(login),
      name: body.name === undefined ? person.name : body.name,
      passwordHash: await nextHash(deps, person.passwordHash, body.password),
      updatedAt: ctx.now,
    }
    return {
      change: { puts: [{ put: 'person', value: next, ifVersion: version }] },
      about: { person: person.id, facts: { members: Object.keys(body).sort() } },
      answer: showPerson(next),
      version: version + 1,
    }
  },
})

async function nextHash(
  deps: Reads,
  current: string | null,
  wanted: Secret<string> | null | undefined,
): Promise<string | null> {
  if (wanted === undefined) return current
  return wanted === null ? null : hashPassword(wanted, deps.randomBytes)
}

const moves: Readonly<
  Record<StandingMove, { readonly event: string; readonly past: string; readonly summary: string }>
> = {
  suspend: {
    event: 'person.suspended',
    past: 'suspended',
    summary: 'Suspend a person; no new agent can be theirs',
  },
  resume: { event: 'person.resumed', past: 'resumed', summary: 'Let a suspended person act again' },
}

const move = (verb: StandingMove) =>
  operation({
    id: `people.${verb}`,
    event: moves[verb].event,
    method: 'POST',
    path: `/people/{id}/${verb}`,
    summary: moves[verb].summary,
    params,
    query: wire.noQuery,
    body: reasonBody,
    status: 200,
    answer: personShown,
    async decide(ctx, deps, input) {
      const { version, ...person } = await findPerson(ctx, deps, input.params.id)
      mustHaveVersion({ version }, input.ifVersion)
      const next = moveStanding(person, verb, input.body.reason, ctx.now)
      if (next === undefined) {
        throw new Fault('conflict', `A person who is ${person.status} cannot be ${moves[verb].past}.`, {
          kind: 'move',
        })
      }
      return {
        change: {
          puts: [{ put: 'person', value: next, ifVersion: version }],
          signals: [{ subject: person.id, kind: verb === 'suspend' ? 'narrowed' : 'changed' }],
        },
        about: { person: person.id, reason: input.body.reason },
        answer: showPerson(next),
        version: version + 1,
      }
    },
  })

/** An agent whose owner is gone has nobody who answers for it: it is handed over or retired first. */
async function mustOwnNothing(ctx: Ctx, deps: Reads, person: Person): Promise<void> {
  for (const status of ['active', 'suspended']) {
    const owned = await deps.store.agents.list(ctx, { limit: 1 }, { owner: person.id, status })
    const [agent] = owned.items
    if (agent !== undefined) {
      throw new Fault(
        'conflict',
        `This person owns the agent ${agent.id}; hand it over or retire it first.`,
        {
          kind: 'owns_agents',
        },
      )
    }
  }
}

const remove = operation({
  id: 'people.delete',
  event: 'person.deleted',
  method: 'DELETE',
  path: '/people/{id}',
  summary: 'Delete a person who owns no agent that lives',
  params,
  query: wire.noQuery,
  body: null,
  status: 204,
  answer: null,
  async decide(ctx, deps, input) {
    const person = await findPerson(ctx, deps, input.params.id)
    mustHaveVersion(person, input.ifVersion)
    await mustOwnNothing(ctx, deps, person)
    return {
      change: {
        removals: [{ remove: 'person', id: person.id, ifVersion: person.version }],
        signals: [{ subject: person.id, kind: 'narrowed' }],
      },
      restsOn: [ownershipOf(person.id)],
      about: { person: person.id, facts: { login: person.login } },
      answer: undefined,
    }
  },
})

export const peopleOperations = [create, list, get, update, move('suspend'), move('resume'), remove]
