// What has to hold after every fault: the log is whole and says what the store holds, and nobody has what it does not say.
import assert from 'node:assert/strict'
import { verifyExport } from '@writ/sdk/protocol/audit-verification'
import { payloadOf } from '../harness/agent.ts'
import type { World } from './world.ts'

export interface Entry {
  readonly id: string
  readonly index: number
  readonly type: string
  readonly outcome: string
  readonly agent: string | null
  readonly instance: string | null
  readonly key: string | null
  readonly person: string | null
  readonly action: string | null
  readonly decision: Readonly<Record<string, unknown>> | null
  readonly request_id: string
}

export interface Auditor {
  /** Throws where an invariant does not hold; answers the entries of the log. */
  check(): Promise<readonly Entry[]>
}

/** An auditor remembers the checkpoints it has seen: a later tree continues every earlier one. */
export function auditorOf(world: World): Auditor {
  let earlier: string | undefined
  const check = async (): Promise<readonly Entry[]> => {
    const entries = await entriesOf(world)
    mustBeContiguous(entries)
    mustHoldWhatWasReleased(world, entries)
    mustTellEveryAnswer(world, entries)
    await mustMatch(world, entries)
    await mustBeComplete(world)
    earlier = await verified(world, earlier, entries.length)
    return entries
  }
  return { check: () => world.broken.apart(check) }
}

/** A loop may commit between two readings, so a difference counts only where nothing was committed meanwhile. */
async function mustMatch(world: World, entries: readonly Entry[]): Promise<void> {
  const found = await stored(world)
  const later = await entriesOf(world)
  if (later.length > entries.length) return mustMatch(world, later)
  assert.deepEqual(found, told(entries), 'the log does not tell what the store holds')
}

async function entriesOf({ server: { store } }: World): Promise<readonly Entry[]> {
  const [tenant] = await store.tenants.list()
  assert.ok(tenant)
  const scope = { tenant: tenant.id }
  const found = await store.log.range(scope, 0, Number.MAX_SAFE_INTEGER)
  assert.equal(await store.log.size(scope), found.length)
  return found.map(({ index, text }) => {
    const entry = JSON.parse(text) as Entry
    assert.equal(entry.index, index)
    return entry
  })
}

function mustBeContiguous(entries: readonly Entry[]): void {
  assert.deepEqual(
    entries.map(({ index }) => index),
    entries.map((_, at) => at),
  )
  assert.equal(new Set(entries.map(({ id }) => id)).size, entries.length)
}

/** Guarantee 4.1 no. 5: a token that left has its one entry, whatever became of the answers. */
function mustHoldWhatWasReleased({ released }: World, entries: readonly Entry[]): void {
  const issued = entries.filter(({ type, outcome }) => type === 'token.issued' && outcome === 'allowed')
  const jtis = issued.map(({ decision }) => decision?.['jti'])
  assert.equal(new Set(jtis).size, jtis.length)
  const known = new Set(jtis)
  for (const token of released) assert.ok(known.has(payloadOf(token)['jti']), 'a token without its entry')
}

/** Property 43: whoever was told that something was done or decided finds it in the log, once. */
function mustTellEveryAnswer({ acknowledged }: World, entries: readonly Entry[]): void {
  const counts = new Map<string, number>()
  for (const { request_id } of entries) counts.set(request_id, (counts.get(request_id) ?? 0) + 1)
  // A lease is written before its upstream hears of it, so that nothing there is forgotten, and again when it lives.
  const due = (what: string): number => (/^POST \S+\/vault\//.test(what) ? 2 : 1)
  for (const { requestId, what } of acknowledged)
    assert.equal(counts.get(requestId), due(what), `entries of ${what}, which was acknowledged`)
}

type Things = Readonly<Record<string, string>>
type Effect = readonly [thing: string, state: string | null]

const fact = ({ decision }: Entry, name: string): string => String(decision?.[name])
const facts = ({ decision }: Entry, name: string): readonly string[] => (decision?.[name] ?? []) as string[]

/** The grant that an activation opened. */
const opened = (entry: Entry): readonly Effect[] => [[`grant ${fact(entry, 'grant')}`, 'given']]

/** What a beginning made true beside its own record: what an emergency cut, what it overtook, what was made for it. */
function begun(entry: Entry): readonly Effect[] {
  const ended: Readonly<Record<string, Effect>> = {
    'key.revoked': [`key ${fact(entry, 'from')}`, 'revoked'],
    'vault_key.staged': [`vault key ${fact(entry, 'to')}`, 'staged'],
  }
  return [
    [`rotation ${fact(entry, 'rotation')}`, fact(entry, 'state')],
    ...facts(entry, 'also').flatMap(type => (ended[type] === undefined ? [] : [ended[type]])),
    ...rotationTold(entry, 'overtook', 'failed'),
  ]
}

/** The record of a rotation that stands among the facts under that name, where one does. */
function rotationTold(entry: Entry, name: string, state: string): readonly Effect[] {
  const id = entry.decision?.[name]
  return typeof id === 'string' && id.startsWith('rot_') ? [[`rotation ${id}`, state]] : []
}

/** Those of the issuer's keys follow the entries of the keys themselves, which tell them. */
const moved = (entry: Entry): readonly Effect[] =>
  fact(entry, 'kind') === 'issuer_key' ? [] : rotationTold(entry, 'rotation', fact(entry, 'state'))

const version = (entry: Entry, state: string): Effect => [`version ${fact(entry, 'version')}`, state]

/** What each type of entry of the vault and of rotations made true. */
const rotationEffects: Readonly<Record<string, (entry: Entry) => readonly Effect[]>> = {
  'rotation.begun': begun,
  'rotation.batch_begun': entry =>
    facts(entry, 'rotations').map((id): Effect => [`rotation ${id}`, 'staged']),
  ...Object.fromEntries(
    ['checked', 'active', 'retiring', 'retired', 'blocked', 'failed', 'cancelled', 'forced', 'retried'].map(
      verb => [`rotation.${verb}`, moved],
    ),
  ),
  'schedule.created': entry => [[`schedule ${fact(entry, 'schedule')}`, 'there']],
  'schedule.deleted': entry => [[`schedule ${fact(entry, 'schedule')}`, null]],
  'client_secret.created': entry => rotationTold(entry, 'rotation', 'active'),
  'client_secret.revoked': entry => rotationTold(entry, 'failed_rotation', 'failed'),
  'secret.created': entry => [
    [`secret ${fact(entry, 'secret')}`, 'active'],
    [`resource ${fact(entry, 'resource_id')}`, 'there'],
    ...(typeof entry.decision?.['version'] !== 'string' ? [] : [version(entry, 'active')]),
    ...rotationTold(entry, 'first', 'staged'),
  ],
  'secret.retired': entry => [
    [`secret ${fact(entry, 'secret')}`, 'retired'],
    [`resource ${fact(entry, 'resource_id')}`, null],
    ...facts(entry, 'ended_grants').map((id): Effect => [`grant ${id}`, 'taken back']),
    ...facts(entry, 'ended_versions').map((id): Effect => [`version ${id}`, 'retired']),
    ...facts(entry, 'ended_rotations').map((id): Effect => [`rotation ${id}`, 'failed']),
  ],
  'secret.version_given': entry => [
    version(entry, 'active'),
    [`version ${fact(entry, 'former')}`, 'retiring'],
    ...rotationTold(entry, 'rotation', 'active'),
  ],
  'secret.version_active': entry => [version(entry, 'active')],
  'secret.version_failed': entry => [version(entry, 'failed')],
  'secret.version_retired': entry => [version(entry, 'retired')],
  'vault_key.staged': entry => [[`vault key ${fact(entry, 'vault_key')}`, 'staged']],
  'vault_key.activated': entry => [[`vault key ${fact(entry, 'vault_key')}`, 'active']],
  'vault_key.superseded': entry => [[`vault key ${fact(entry, 'vault_key')}`, 'retiring']],
  'vault_key.retired': entry => [[`vault key ${fact(entry, 'vault_key')}`, 'retired']],
}

/** What each type of entry made true. */
const effects: Readonly<Record<string, (entry: Entry) => readonly Effect[]>> = {
  'agent.created': entry => [
    [`agent ${entry.agent}`, 'active'],
    ...facts(entry, 'keys').map((thumbprint): Effect => [`key ${thumbprint}`, 'active']),
  ],
  'agent.suspended': ({ agent }) => [[`agent ${agent}`, 'suspended']],
  'agent.resumed': ({ agent }) => [[`agent ${agent}`, 'active']],
  'agent.retired': ({ agent }) => [[`agent ${agent}`, 'retired']],
  'key.registered': entry => [[`key ${fact(entry, 'thumbprint')}`, 'active']],
  'instance.enrolled': ({ key }) => [[`key ${key}`, 'active']],
  'key.rotated': entry => [
    [`key ${entry.key}`, 'retiring'],
    [`key ${fact(entry, 'successor')}`, 'active'],
    ...rotationTold(entry, 'rotation', 'active'),
  ],
  ...rotationEffects,
  'key.retired': ({ key }) => [[`key ${key}`, 'retired']],
  'key.revoked': entry => [[`key ${fact(entry, 'thumbprint')}`, 'revoked']],
  'grant.created': entry => [[`grant ${fact(entry, 'grant')}`, 'given']],
  'approval.approved': opened,
  'activation.opened': opened,
  'activation.broke-glass': opened,
  'eligibility.revoked': entry =>
    facts(entry, 'ended_grants').map((id): Effect => [`grant ${id}`, 'taken back']),
  'grant.revoked': entry => [[`grant ${fact(entry, 'grant')}`, 'taken back']],
  'resource.created': entry => [[`resource ${fact(entry, 'resource_id')}`, 'there']],
  'resource.deleted': entry => [
    [`resource ${fact(entry, 'object')}`, null],
    ...facts(entry, 'ended_grants').map((id): Effect => [`grant ${id}`, 'taken back']),
  ],
  'person.created': ({ person }) => [[`person ${person}`, 'active']],
  'person.suspended': ({ person }) => [[`person ${person}`, 'suspended']],
  'person.resumed': ({ person }) => [[`person ${person}`, 'active']],
  'person.deleted': ({ person }) => [[`person ${person}`, null]],
  'client.created': entry => [[`client ${fact(entry, 'client')}`, 'active']],
  'client.suspended': entry => [[`client ${fact(entry, 'client')}`, 'suspended']],
  'client.resumed': entry => [[`client ${fact(entry, 'client')}`, 'active']],
  'client.deleted': entry => [[`client ${fact(entry, 'client')}`, null]],
  'issuer_key.staged': entry => [[`issuer key ${fact(entry, 'kid')}`, 'staged']],
  'issuer_key.activated': entry => [[`issuer key ${fact(entry, 'kid')}`, 'active']],
  'issuer_key.superseded': entry => [[`issuer key ${fact(entry, 'kid')}`, 'retiring']],
  'issuer_key.retired': entry => [[`issuer key ${fact(entry, 'kid')}`, 'retired']],
}

const sorted = (things: Iterable<readonly [string, string]>): Things =>
  Object.fromEntries([...things].sort(([a], [b]) => (a < b ? -1 : 1)))

/** What should be in the store if the log is the whole history. */
function told(entries: readonly Entry[]): Things {
  const things = new Map<string, string>()
  for (const entry of entries) {
    // Staging what is staged already is an entry without an effect.
    const isFailed = entry.outcome === 'failed' && entry.type.startsWith('rotation.')
    if ((entry.outcome !== 'allowed' && !isFailed) || fact(entry, 'reason') === 'already_staged') continue
    for (const [thing, state] of effects[entry.type]?.(entry) ?? []) {
      if (state === null) things.delete(thing)
      else things.set(thing, state)
    }
  }
  return sorted(things)
}

/** What is in the store. */
async function stored(world: World): Promise<Things> {
  const { store } = world.server
  const [tenant] = await store.tenants.list()
  assert.ok(tenant)
  const scope = { tenant: tenant.id }
  const things: [string, string][] = []
  for (const agent of await all(page => store.agents.list(scope, page, {}))) {
    things.push([`agent ${agent.id}`, agent.status])
    for (const key of await store.keys.ofOwner(scope, agent.id))
      things.push([`key ${key.thumbprint}`, key.state])
  }
  for (const { id, revokedAt } of await all(page => store.grants.list(scope, page, {})))
    things.push([`grant ${id}`, revokedAt === null ? 'given' : 'taken back'])
  for (const { id } of await all(page => store.resources.list(scope, page)))
    things.push([`resource ${id}`, 'there'])
  for (const { id, status } of await all(page => store.people.list(scope, page)))
    things.push([`person ${id}`, status])
  for (const { id, status } of await all(page => store.clients.list(scope, page)))
    things.push([`client ${id}`, status])
  for (const { kid, state } of await store.issuerKeys.list(scope)) things.push([`issuer key ${kid}`, state])
  things.push(...(await storedRotations(world)))
  return sorted(things)
}

/** Rotations, their schedules and what the vault holds. Those of the issuer's keys are told by the keys themselves. */
async function storedRotations({ server: { store } }: World): Promise<readonly [string, string][]> {
  const [tenant] = await store.tenants.list()
  assert.ok(tenant)
  const scope = { tenant: tenant.id }
  const things: [string, string][] = []
  for (const { id, kind, state } of await all(page => store.rotations.list(scope, page, {})))
    if (kind !== 'issuer_key') things.push([`rotation ${id}`, state])
  for (const { id } of await all(page => store.schedules.list(scope, page, {})))
    things.push([`schedule ${id}`, 'there'])
  for (const { id, status } of await all(page => store.secrets.list(scope, page, {}))) {
    things.push([`secret ${id}`, status])
    for (const one of await store.secrets.versions(scope, id)) things.push([`version ${one.id}`, one.state])
  }
  for (const { id, state } of await store.vaultKeys.list(scope)) things.push([`vault key ${id}`, state])
  return things
}

interface PageOf<T> {
  readonly items: readonly T[]
  readonly next: string | null
}

async function all<T>(
  read: (page: { limit: number; after?: string }) => Promise<PageOf<T>>,
): Promise<readonly T[]> {
  const items: T[] = []
  let page = await read({ limit: 200 })
  items.push(...page.items)
  while (page.next !== null) {
    page = await read({ limit: 200, after: page.next })
    items.push(...page.items)
  }
  return items
}

/** Nothing is half there: keys and instances come together, and a one-time artefact made one instance at most. */
async function mustBeComplete({ server: { store } }: World): Promise<void> {
  const [tenant] = await store.tenants.list()
  assert.ok(tenant)
  const scope = { tenant: tenant.id }
  const enrolled: string[] = []
  for (const { id } of await all(page => store.agents.list(scope, page, {}))) {
    const instances = await all(page => store.agents.instances(scope, page, { agent: id }))
    const keys = await store.keys.ofOwner(scope, id)
    assert.deepEqual(
      [...new Set(keys.map(({ instance }) => instance))].sort(),
      instances.map(instance => instance.id).sort(),
      'a key without an instance, or an instance without a key',
    )
    for (const { id: instance } of instances) {
      const active = keys.filter(key => key.instance === instance && key.state === 'active')
      assert.ok(active.length <= 1, 'an instance with two active keys')
    }
    for (const { enrollment } of instances) if (enrollment !== null) enrolled.push(enrollment)
  }
  assert.equal(new Set(enrolled).size, enrolled.length, 'an enrolment token that made two instances')
  for (const { agent } of await all(page => store.grants.list(scope, page, {})))
    assert.ok(await store.agents.get(scope, agent), 'a grant to nobody')
}

/** Verifies the whole log as a stranger would, from the earlier checkpoint on; answers the new one. */
async function verified(world: World, earlier: string | undefined, atLeast: number): Promise<string> {
  const { operator, fetch } = world
  const token = await operator.token(`${operator.issuer}/api/v1`, 'writ:events:read')
  const url = `${operator.issuer}/api/v1/audit/export`
  const dpop = operator.proof(url, { method: 'GET', accessToken: token })
  const answer = await fetch(url, { headers: { authorization: `DPoP ${token}`, dpop } })
  assert.equal(answer.status, 200, answer.ok ? '' : await answer.text())
  const verifierKey = (await (await fetch('/audit/key')).text()).trim()
  const lines = (await answer.text()).split('\n').filter(line => line !== '')
  const trust = { verifierKey, ...(earlier === undefined ? {} : { earlier }) }
  const report = await verifyExport(linesOf(lines), trust)
  assert.deepEqual(report.problems, [])
  assert.ok(report.size >= atLeast, `a checkpoint of ${report.size} entries where there were ${atLeast}`)
  return (JSON.parse(lines[0] ?? '{}') as { checkpoint: string }).checkpoint
}

export async function* linesOf(lines: readonly string[]): AsyncGenerator<string> {
  yield* lines
}
