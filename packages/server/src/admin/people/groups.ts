// Groups of people, which policies speak of. Membership stands in the person's own record.
import { Fault } from '@writ/sdk/protocol/fault'
import { newId } from '@writ/sdk/protocol/identifier'
import { z } from 'zod'
import type { Ctx } from '../../context.ts'
import type { Group } from '../../domain/authorization/group.ts'
import type { Versioned } from '../../domain/change.ts'
import type { Person } from '../../domain/client.ts'
import { mustHaveVersion } from '../agents/agents.ts'
import { operation, type Plan, type Reads, readEvent } from '../operation.ts'
import * as wire from '../wire.ts'
import { findPerson, personShown, showPerson } from './people.ts'

/** A decision about a person hands each of its groups to the engine. */
const mostGroups = 64

const groupShown = z
  .strictObject({
    id: wire.id('grp'),
    name: z.string(),
    description: z.string(),
    created_at: wire.shownInstant,
  })
  .meta({ id: 'Group' })

function showGroup({ id, name, description, createdAt }: Group): z.input<typeof groupShown> {
  return { id, name, description, created_at: wire.rfc3339(createdAt) }
}

async function findGroup(ctx: Ctx, deps: Reads, id: string): Promise<Versioned<Group>> {
  const group = await deps.store.groups.get(ctx, id)
  if (group === undefined) throw new Fault('not_found', 'There is no such group.', { kind: 'no_group' })
  return group
}

const create = operation({
  id: 'groups.create',
  event: 'group.created',
  method: 'POST',
  path: '/groups',
  summary: 'Create a group of people',
  params: wire.noParams,
  query: wire.noQuery,
  body: z.strictObject({ name: wire.name, description: wire.prose.optional() }).meta({ id: 'GroupCreate' }),
  status: 201,
  answer: groupShown,
  async decide(ctx, deps, { body }) {
    if ((await deps.store.groups.byName(ctx, body.name)) !== undefined)
      throw new Fault('conflict', 'A group has this name already.', { kind: 'name_taken' })
    const group: Group = {
      id: newId('grp', deps.randomBytes),
      name: body.name,
      description: body.description ?? '',
      createdAt: ctx.now,
      updatedAt: ctx.now,
    }
    return {
      change: { puts: [{ put: 'group', value: group, ifVersion: 0 }] },
      about: { facts: { group: group.id, name: group.name } },
      answer: showGroup(group),
      location: `/groups/${group.id}`,
      version: 1,
    }
  },
})

const list = operation({
  id: 'groups.list',
  event: readEvent,
  method: 'GET',
  path: '/groups',
  summary: 'List groups in the order of their creation',
  params: wire.noParams,
  query: z.strictObject({ ...wire.paging, name: z.string().min(1).max(128).optional() }),
  body: null,
  status: 200,
  answer: wire.listOf(groupShown),
  async decide(ctx, deps, { query }) {
    if (query.name !== undefined) {
      const found = await deps.store.groups.byName(ctx, query.name)
      return { about: {}, answer: { items: found === undefined ? [] : [showGroup(found)], next: null } }
    }
    const page = await deps.store.groups.list(ctx, wire.pageOf(query))
    return { about: {}, answer: wire.shownPage(page, showGroup) }
  },
})

const params = z.strictObject({ id: wire.id('grp') })

const get = operation({
  id: 'groups.get',
  event: readEvent,
  method: 'GET',
  path: '/groups/{id}',
  summary: 'See a group',
  params,
  query: wire.noQuery,
  body: null,
  status: 200,
  answer: groupShown,
  async decide(ctx, deps, input) {
    const group = await findGroup(ctx, deps, input.params.id)
    return { about: { facts: { group: group.id } }, answer: showGroup(group), version: group.version }
  },
})

const remove = operation({
  id: 'groups.delete',
  event: 'group.deleted',
  method: 'DELETE',
  path: '/groups/{id}',
  summary: 'Delete a group that nobody belongs to',
  params,
  query: wire.noQuery,
  body: null,
  status: 204,
  answer: null,
  async decide(ctx, deps, input) {
    const group = await findGroup(ctx, deps, input.params.id)
    mustHaveVersion(group, input.ifVersion)
    // A policy would go on to speak of those whose records still name it.
    const { items } = await deps.store.people.members(ctx, { limit: 1 }, group.id)
    if (items.length > 0)
      throw new Fault('conflict', 'People belong to this group; take them out of it first.', {
        kind: 'has_members',
      })
    return {
      change: {
        removals: [{ remove: 'group', id: group.id, ifVersion: group.version }],
        signals: [{ subject: group.id, kind: 'narrowed' }],
      },
      // Whoever joins in this instant narrows it.
      restsOn: [group.id],
      about: { facts: { group: group.id, name: group.name } },
      answer: undefined,
    }
  },
})

const members = operation({
  id: 'groups.members',
  event: readEvent,
  method: 'GET',
  path: '/groups/{id}/members',
  summary: 'List who belongs to a group, in the order of their creation',
  params,
  query: z.strictObject(wire.paging),
  body: null,
  status: 200,
  answer: wire.listOf(personShown),
  async decide(ctx, deps, input) {
    const group = await findGroup(ctx, deps, input.params.id)
    const page = await deps.store.people.members(ctx, wire.pageOf(input.query), group.id)
    return { about: { facts: { group: group.id } }, answer: wire.shownPage(page, showPerson) }
  },
})

/** A member more or less: rights from policies change with it in either direction, so answers that rest on it end. */
function planOf(
  { version, ...person }: Versioned<Person>,
  group: Group,
  groups: Person['groups'],
  now: number,
): Plan<z.input<typeof personShown>> {
  const next: Person = { ...person, groups: groups ?? [], updatedAt: now }
  return {
    change: {
      puts: [{ put: 'person', value: next, ifVersion: version }],
      signals: [person.id, group.id].map(subject => ({ subject, kind: 'narrowed' as const })),
    },
    restsOn: [group.id],
    about: { person: person.id, facts: { group: group.id } },
    answer: showPerson(next),
    version: version + 1,
  }
}

const add = operation({
  id: 'groups.add',
  event: 'group.joined',
  method: 'POST',
  path: '/groups/{id}/members',
  summary: 'Take a person into a group',
  params,
  query: wire.noQuery,
  body: z.strictObject({ person: wire.id('usr') }).meta({ id: 'GroupMember' }),
  status: 200,
  answer: personShown,
  async decide(ctx, deps, input) {
    const group = await findGroup(ctx, deps, input.params.id)
    const person = await findPerson(ctx, deps, input.body.person)
    const groups = person.groups ?? []
    if (groups.includes(group.id))
      return { about: { person: person.id, facts: { group: group.id } }, answer: showPerson(person) }
    if (groups.length >= mostGroups)
      throw new Fault('conflict', `A person belongs to at most ${mostGroups} groups.`, { kind: 'too_many' })
    return planOf(person, group, [...groups, group.id], ctx.now)
  },
})

const leave = operation({
  id: 'groups.remove',
  event: 'group.left',
  method: 'DELETE',
  path: '/groups/{id}/members/{person}',
  summary: 'Take a person out of a group',
  params: params.extend({ person: wire.id('usr') }),
  query: wire.noQuery,
  body: null,
  status: 200,
  answer: personShown,
  async decide(ctx, deps, input) {
    const group = await findGroup(ctx, deps, input.params.id)
    const person = await findPerson(ctx, deps, input.params.person)
    const groups = person.groups ?? []
    if (!groups.includes(group.id))
      throw new Fault('not_found', 'This person does not belong to the group.', { kind: 'no_member' })
    return planOf(
      person,
      group,
      groups.filter(id => id !== group.id),
      ctx.now,
    )
  },
})

export const groupOperations = [create, list, get, remove, members, add, leave]
