// The two scenarios by which implementations of AuthZEN show that they work together, as policies of ours: todos and records.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type EnforcementPoint, enforcementPoint } from '../decision/point.ts'
import { enforce } from '../decision/policies.ts'
import { expect } from '../harness/agent.ts'
import { authority } from '../harness/authority.ts'

const subjects = (ids: readonly string[]): string =>
  `[${ids.map(id => `Writ::Subject::"user:${id}"`).join(', ')}]`
const foreign = (type: string, ids: readonly string[]): string =>
  `[${ids.map(id => `Writ::Foreign::"${type}:${id}"`).join(', ')}]`

const pid = (letter: string): string => `CiRmZ${letter}2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs`

/** Who is who in the list of todos: what the decision point knows of its users, and the question never says. */
const users = [
  { id: pid('DA'), mail: 'rick@the-citadel.com', roles: ['admin', 'evil_genius'] },
  { id: pid('DE'), mail: 'morty@the-citadel.com', roles: ['editor'] },
  { id: pid('DI'), mail: 'summer@the-smiths.com', roles: ['editor'] },
  { id: pid('DM'), mail: 'beth@the-smiths.com', roles: ['viewer'] },
  { id: pid('DQ'), mail: 'jerry@the-smiths.com', roles: ['viewer'] },
] as const

const withRole = (...roles: string[]): string =>
  subjects(users.filter(user => user.roles.some(role => roles.includes(role))).map(({ id }) => id))

const todoPolicies = `
@id("everybody.reads")
permit (principal is Writ::Subject, action in [Writ::Action::"can_read_user", Writ::Action::"can_read_todos"], resource is Writ::Foreign)
when { principal in ${withRole('viewer', 'editor', 'admin', 'evil_genius')} };
@id("editors.create")
permit (principal is Writ::Subject, action == Writ::Action::"can_create_todo", resource is Writ::Foreign)
when { principal in ${withRole('editor', 'admin', 'evil_genius')} };
@id("the.genius.updates")
permit (principal is Writ::Subject, action == Writ::Action::"can_update_todo", resource is Writ::Foreign)
when { principal in ${withRole('evil_genius')} };
@id("admins.delete")
permit (principal is Writ::Subject, action == Writ::Action::"can_delete_todo", resource is Writ::Foreign)
when { principal in ${withRole('admin')} };
${users
  .filter(({ roles }) => roles.some(role => role === 'editor' || role === 'admin'))
  .map(
    ({ id, mail }) => `
@id("own.${mail.split('@')[0]}")
permit (principal == Writ::Subject::"user:${id}",
  action in [Writ::Action::"can_update_todo", Writ::Action::"can_delete_todo"], resource is Writ::Foreign)
when { resource.hasTag("ownerID") && resource.getTag("ownerID").text == "${mail}" };`,
  )
  .join('')}`

/** Of each user: may create; may update and delete what is Rick's, and what is their own. */
const todoAnswers: readonly (readonly [create: boolean, ricks: boolean, own: boolean])[] = [
  [true, true, true],
  [true, false, true],
  [true, false, true],
  [false, false, false],
  [false, false, false],
]

test('the list of todos: who reads, creates, updates and deletes, one by one and many at once', async t => {
  const writ = await authority(t)
  const names = ['can_read_user', 'can_read_todos', 'can_create_todo', 'can_update_todo', 'can_delete_todo']
  await enforce(writ, todoPolicies, names)
  const point = await enforcementPoint(writ)
  const ask = async (id: string, action: string, resource: object): Promise<boolean> =>
    expect(
      await point.ask('evaluation', { subject: { type: 'user', id }, action: { name: action }, resource }),
      200,
    ).decision
  const todo = (mail: string) => ({ type: 'todo', id: '7240d0db-8ff0', properties: { ownerID: mail } })
  const [rick] = users
  for (const [at, { id, mail }] of users.entries()) {
    const [create, ricks, own] = todoAnswers[at] ?? []
    assert.equal(await ask(id, 'can_read_user', { type: 'user', id: 'beth@the-smiths.com' }), true)
    assert.equal(await ask(id, 'can_read_todos', { type: 'todo', id: 'todo-1' }), true)
    assert.equal(await ask(id, 'can_create_todo', { type: 'todo', id: 'todo-1' }), create, `${mail} creates`)
    for (const name of ['can_update_todo', 'can_delete_todo']) {
      assert.equal(await ask(id, name, todo(rick.mail)), ricks, `${mail} ${name} of Rick`)
      assert.equal(await ask(id, name, todo(mail)), own, `${mail} ${name} of their own`)
      assert.equal(
        await ask(id, name, { type: 'todo', id: '7240d0db-8ff0' }),
        ricks,
        'nobody says whose it is',
      )
    }
    const many = await point.ask('evaluations', {
      subject: { type: 'user', id },
      action: { name: 'can_update_todo' },
      evaluations: [{ resource: todo(rick.mail) }, { resource: todo(mail) }],
    })
    assert.deepEqual(expect(many, 200), { evaluations: [{ decision: ricks }, { decision: own }] })
  }
})

const staff = {
  alice: { role: 'manager', department: 'Sales' },
  bob: { role: 'employee', department: 'Legal' },
  carol: { role: 'contractor', department: 'Legal' },
  dan: { role: 'manager', department: 'Finance' },
  erin: { role: 'employee', department: 'Finance' },
  felix: { role: 'contractor', department: 'Accounting' },
} as const
type Name = keyof typeof staff
const everybody = Object.keys(staff) as Name[]

/** Departments of the records from 101 on; each belongs to the next of the six. */
const departments = [
  ...[
    'Legal',
    'Legal',
    'Legal',
    'Accounting',
    'Legal',
    'Accounting',
    'Sales',
    'Legal',
    'Accounting',
    'Sales',
  ],
  ...[
    'Accounting',
    'Legal',
    'Sales',
    'Accounting',
    'Finance',
    'Legal',
    'Legal',
    'Accounting',
    'Legal',
    'Accounting',
  ],
]
const records = departments.map((department, at) => ({
  id: String(101 + at),
  department,
  owner: everybody[at % everybody.length] as Name,
}))
type Record = (typeof records)[number]

/** The rules in plain words of a program, to hold the answers against. */
const may: Readonly<{ [action: string]: (name: Name, record: Record) => boolean }> = {
  view: (name, { owner, department }) =>
    owner === name || staff[name].department === department || staff[name].role === 'manager',
  edit: (name, { owner, department }) =>
    owner === name || (staff[name].role === 'manager' && staff[name].department === department),
  delete: (name, { owner }) => owner === name,
}

const action = (name: string): string => `Writ::Action::"${name}"`
const of = (which: (record: Record) => boolean): string =>
  foreign(
    'record',
    records.filter(which).map(({ id }) => id),
  )

const recordPolicies = [
  ...everybody.flatMap(name => [
    `@id("own.${name}") permit (principal == Writ::Subject::"user:${name}",
       action in [${['view', 'edit', 'delete'].map(action).join(', ')}], resource is Writ::Foreign)
     when { resource in ${of(({ owner }) => owner === name)} };`,
    `@id("department.${name}") permit (principal == Writ::Subject::"user:${name}",
       action in [${(staff[name].role === 'manager' ? ['view', 'edit'] : ['view']).map(action).join(', ')}], resource is Writ::Foreign)
     when { resource in ${of(({ department }) => department === staff[name].department)} };`,
  ]),
  `@id("managers.view") permit (principal is Writ::Subject, action == ${action('view')}, resource is Writ::Foreign)
   when { principal in ${subjects(everybody.filter(name => staff[name].role === 'manager'))} && resource.type == "record" };`,
].join('\n')

async function search(point: EnforcementPoint, what: string, question: object): Promise<readonly string[]> {
  const { results, page } = expect(await point.ask(`search/${what}`, question), 200)
  assert.equal(page.next_token, '')
  return results.map(({ id, name }: { id?: string; name?: string }) => id ?? name).sort()
}

test('twenty records: who may, on which and what, found and asked alike', async t => {
  const writ = await authority(t)
  await enforce(writ, recordPolicies, Object.keys(may))
  const point = await enforcementPoint(writ)
  const user = (id?: string) => ({ type: 'user', ...(id && { id }) })
  const record = (id?: string) => ({ type: 'record', ...(id && { id }) })
  for (const [name, rule] of Object.entries(may)) {
    for (const one of records) {
      const found = await search(point, 'subject', {
        subject: user(),
        action: { name },
        resource: record(one.id),
      })
      assert.deepEqual(
        found,
        everybody.filter(who => rule(who, one)),
        `who may ${name} ${one.id}`,
      )
    }
    for (const who of everybody) {
      const question = { subject: user(who), action: { name } }
      const found = await search(point, 'resource', { ...question, resource: record() })
      const wanted = records.filter(one => rule(who, one)).map(({ id }) => id)
      assert.deepEqual(found, wanted, `what ${who} may ${name}`)
      const evaluations = records.map(({ id }) => ({ resource: record(id) }))
      const asked = expect(await point.ask('evaluations', { ...question, evaluations }), 200).evaluations
      const allowed = records.filter((_, at) => asked[at].decision === true).map(({ id }) => id)
      assert.deepEqual(allowed, wanted, 'the answers are those of the search')
    }
  }
  for (const who of everybody)
    for (const one of records) {
      const found = await search(point, 'action', { subject: user(who), resource: record(one.id) })
      const wanted = Object.keys(may).filter(name => may[name]?.(who, one))
      assert.deepEqual(found, wanted.sort(), `what ${who} may do with ${one.id}`)
    }
})
