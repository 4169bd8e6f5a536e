// Why something happened: the path from the person or operator to the act, what decided it, and the entries that say so.
import type { Ctx } from '../context.ts'
import { isAgentLive, isKeyLive, type Key } from '../domain/agent.ts'
import { type Grant, isGrantLive } from '../domain/grant.ts'
import type { Store } from '../store/store.ts'
import { findTrace, type LoggedEntry, readEntry } from './history.ts'
import { sayRule } from './rules.ts'

export type WhyStore = Pick<Store, 'log' | 'agents' | 'keys' | 'grants' | 'people' | 'clients'>

/** An entry that is pointed to, with enough of it to know whether to look. */
export interface Mention {
  readonly id: string
  readonly index: number
  readonly time: string
  readonly type: string
  readonly outcome: string
  readonly reason: string | null
  /** Who did it, the root first: ids. */
  readonly by: readonly string[]
}

/** Somebody or something by id, and what it is called. */
export interface Named {
  readonly id: string
  readonly name: string | null
}

/** One step of the path. `says` is a sentence about today; the entries say how it came to be so. */
export interface Step extends Named {
  readonly kind: 'person' | 'operator' | 'agent' | 'instance' | 'client' | 'key'
  readonly says: string
  readonly entries: readonly Mention[]
}

/** A grant that the decision rests on. */
export interface Right {
  readonly id: string
  readonly resource: string
  readonly scopes: readonly string[]
  /** Why it was given. */
  readonly reason: string
  readonly by: Named
  /** As it is now; at the instant of the entry it was live. */
  readonly state: 'active' | 'expired' | 'revoked'
  readonly entries: readonly Mention[]
}

export interface Why {
  /** The entry itself, as it reads in the log. */
  readonly entry: LoggedEntry
  /** From whoever answers for it to the key that proved it; empty where nobody acted but the authority itself. */
  readonly path: readonly Step[]
  readonly decision: {
    readonly outcome: string
    readonly rule: string | null
    readonly says: string
    readonly grants: readonly Right[]
  }
  /** What else the same request left in the log. */
  readonly related: readonly Mention[]
  /** The size of the newest checkpoint, where it covers the entry; null where none does yet. */
  readonly checkpoint: number | null
}

type WhyDeps = { readonly store: WhyStore }

/** Entries of one request that are mentioned. */
const mostRelated = 50

/** Explains an entry by its id; undefined where the log has none of it. Every member of the answer is also its wire form. */
export async function explain(ctx: Ctx, deps: WhyDeps, id: string): Promise<Why | undefined> {
  const stored = await deps.store.log.entry(ctx, id)
  if (stored === undefined) return undefined
  const entry = readEntry(stored.text)
  const requestId = entry.request_id
  const [path, grants, related, checkpoint] = await Promise.all([
    pathOf(ctx, deps, entry),
    rightsOf(ctx, deps, entry),
    deps.store.log.find(ctx, { requestId }, -1, mostRelated + 1),
    deps.store.log.checkpoint(ctx),
  ])
  const rule = typeof entry.decision?.['rule'] === 'string' ? entry.decision['rule'] : null
  return {
    entry,
    path,
    decision: { outcome: entry.outcome, rule, says: sayRule(entry, rule), grants },
    related: related.map(({ text }) => mention(readEntry(text))).filter(other => other.id !== entry.id),
    checkpoint: checkpoint !== undefined && checkpoint.size > entry.index ? checkpoint.size : null,
  }
}

/** The newest entry of a request that decided something; undefined where the request left none. */
export async function entryOfRequest(
  ctx: Ctx,
  deps: WhyDeps,
  requestId: string,
): Promise<string | undefined> {
  const entries = await deps.store.log.find(ctx, { requestId }, -1, mostRelated)
  const last = entries.at(-1)
  return last === undefined ? undefined : readEntry(last.text).id
}

async function pathOf(ctx: Ctx, deps: WhyDeps, entry: LoggedEntry): Promise<Step[]> {
  const steps: Step[] = []
  for (const { sub, kind } of actorsOf(entry)) {
    if (kind === 'agent') steps.push(...(await agentSteps(ctx, deps, sub, steps)))
    else if (kind === 'instance') steps.push(await instanceStep(ctx, deps, sub))
    else if (kind === 'person') steps.push(await personStep(ctx, deps, sub, 'acts, or is acted for'))
    else steps.push(await clientStep(ctx, deps, sub))
  }
  if (entry.key !== null && steps.length > 0) steps.push(await keyStep(ctx, deps, entry.key))
  return steps
}

/** The chain; with the instance that the entry names, where entries of an earlier version left it out of the chain. */
function actorsOf({ chain, agent, instance }: LoggedEntry): LoggedEntry['chain'] {
  const isWhole = chain.some(({ kind }) => kind === 'instance')
  // Only of who acts for itself: in what was done to somebody, `instance` is theirs and not the actor's.
  const actsItself = agent !== null && chain.at(-1)?.sub === agent
  return instance === null || isWhole || !actsItself ? chain : [...chain, { sub: instance, kind: 'instance' }]
}

/** The agent, and before the first one of a path whoever answers for it. */
async function agentSteps(ctx: Ctx, deps: WhyDeps, id: string, before: readonly Step[]): Promise<Step[]> {
  const agent = await deps.store.agents.get(ctx, id)
  if (agent === undefined) return [{ kind: 'agent', id, name: null, says: 'is not known here', entries: [] }]
  const made = await findTrace(deps.store.log, ctx, {
    types: ['agent.created'],
    at: agent.createdAt,
    isIt: entry => entry.agent === id,
  })
  const moved =
    agent.status === 'active' && agent.statusReason === null
      ? []
      : await findTrace(deps.store.log, ctx, {
          types: ['agent.suspended', 'agent.resumed', 'agent.retired'],
          at: agent.statusAt,
          isIt: entry => entry.agent === id && entry.outcome === 'allowed',
        })
  // Whoever owns itself is the operator, with whom every path may begin.
  if (agent.owner === id) {
    const says = `${agent.purpose}; it answers for itself, and is ${agent.status}`
    return [{ kind: 'operator', id, name: agent.name, says, entries: [...made, ...moved].map(mention) }]
  }
  const says = `${agent.purpose}; it is ${agent.status}${agent.statusReason === null ? '' : ` (${agent.statusReason})`}`
  const step: Step = { kind: 'agent', id, name: agent.name, says, entries: [...made, ...moved].map(mention) }
  return before.length > 0 ? [step] : [await ownerStep(ctx, deps, agent.owner), step]
}

async function ownerStep(ctx: Ctx, deps: WhyDeps, owner: string): Promise<Step> {
  if (!owner.startsWith('agt_')) return personStep(ctx, deps, owner, 'answers for the agent')
  const operator = await deps.store.agents.get(ctx, owner)
  const says = 'answers for the agent'
  return { kind: 'operator', id: owner, name: operator?.name ?? null, says, entries: [] }
}

async function personStep(ctx: Ctx, deps: WhyDeps, id: string, says: string): Promise<Step> {
  const person = await deps.store.people.get(ctx, id)
  // The log keeps the id of a person who was removed; the record, with the name in it, is gone.
  if (person === undefined)
    return { kind: 'person', id, name: null, says: `${says}; not known any more`, entries: [] }
  const made = await findTrace(deps.store.log, ctx, {
    types: ['person.created'],
    at: person.createdAt,
    isIt: entry => entry.person === id,
  })
  return { kind: 'person', id, name: person.name ?? person.login, says, entries: made.map(mention) }
}

async function clientStep(ctx: Ctx, deps: WhyDeps, id: string): Promise<Step> {
  const client = await deps.store.clients.get(ctx, id)
  if (client === undefined)
    return { kind: 'client', id, name: null, says: 'is not known any more', entries: [] }
  const made = await findTrace(deps.store.log, ctx, {
    types: ['client.created'],
    at: client.createdAt,
    isIt: entry => entry.decision?.['client'] === id || entry.decision?.['object'] === id,
  })
  return { kind: 'client', id, name: client.name, says: `is ${client.status}`, entries: made.map(mention) }
}

async function instanceStep(ctx: Ctx, deps: WhyDeps, id: string): Promise<Step> {
  const instance = await deps.store.agents.instance(ctx, id)
  if (instance === undefined)
    return { kind: 'instance', id, name: null, says: 'is not known here', entries: [] }
  const { enrollment, createdAt: at } = instance
  const joined = await findTrace(deps.store.log, ctx, {
    types: enrollment === null ? ['key.registered', 'agent.created'] : ['instance.enrolled'],
    at,
    isIt: entry => entry.outcome === 'allowed' && (entry.instance === id || entry.agent === instance.agent),
  })
  const invited =
    enrollment === null
      ? []
      : await findTrace(deps.store.log, ctx, {
          types: ['enrollment.created'],
          at,
          earlierSeconds: longestEnrollmentSeconds,
          isIt: entry => entry.decision?.['enrollment'] === enrollment,
        })
  const own = joined.filter(entry => entry.instance === id)
  const shown = own.length > 0 ? own : joined.filter(({ type }) => type === 'agent.created')
  const says =
    enrollment === null ? 'its key was registered by an administrator' : 'it enrolled with a single-use token'
  const entries = [...invited, ...shown].map(mention)
  return { kind: 'instance', id, name: null, says, entries }
}

/** The longest life that an enrolment token can be given (`enrollmentSeconds`). */
const longestEnrollmentSeconds = 3600

async function keyStep(ctx: Ctx, deps: WhyDeps, thumbprint: string): Promise<Step> {
  const key = await deps.store.keys.byThumbprint(ctx, thumbprint)
  const unknown = 'is not known here'
  if (key === undefined) return { kind: 'key', id: thumbprint, name: null, says: unknown, entries: [] }
  // In what others did to a key, `key` is theirs; the one it is about stands among the facts.
  const isIt = ({ type, key: caller, decision }: LoggedEntry): boolean =>
    (ownKeyTypes.has(type) && caller === thumbprint) ||
    Object.values(decision ?? {})
      .flat()
      .includes(thumbprint)
  const made = await findTrace(deps.store.log, ctx, {
    types: ['key.rotated', 'key.registered', 'instance.enrolled', 'agent.created'],
    at: key.createdAt,
    isIt,
  })
  const ended =
    key.state === 'active'
      ? []
      : await findTrace(deps.store.log, ctx, {
          types: ['key.rotated', 'key.revoked', 'key.retired', 'rotation.begun'],
          at: key.stateAt,
          isIt,
        })
  const entries = [...new Map([...made, ...ended].map(entry => [entry.id, mention(entry)])).values()]
  return {
    kind: 'key',
    id: thumbprint,
    name: key.kid === thumbprint ? null : key.kid,
    says: sayKey(key, ctx.now, await whyHolderIsBarred(ctx, deps, key)),
    entries,
  }
}

/** Entries whose `key` is the one they are about: their callers act for themselves. */
const ownKeyTypes = new Set(['instance.enrolled', 'key.rotated', 'key.retired'])

function sayKey(key: Key, now: number, barred: string | undefined): string {
  const { jwk, state, stateReason } = key
  const today = `${state}${stateReason === null ? '' : ` (${stateReason})`} now`
  const isGood = state === 'active' || state === 'retiring'
  const bar = isGood ? (barred ?? (isKeyLive(key, now) ? undefined : 'it is outside its period')) : undefined
  return `proved the caller; ${jwk.crv}, ${today}${bar === undefined ? '' : `, but proves nothing: ${bar}`}`
}

/** Why the holder of a key can do nothing with it today, however good the key is. */
async function whyHolderIsBarred(ctx: Ctx, deps: WhyDeps, { owner }: Key): Promise<string | undefined> {
  if (owner.startsWith('cli_')) {
    const client = await deps.store.clients.get(ctx, owner)
    if (client === undefined) return 'its client is gone'
    return client.status === 'active' ? undefined : `its client is ${client.status}`
  }
  const agent = await deps.store.agents.get(ctx, owner)
  if (agent === undefined) return 'its agent is gone'
  if (agent.status !== 'active') return `its agent is ${agent.status}`
  return isAgentLive(agent, ctx.now) ? undefined : 'its agent has expired'
}

async function rightsOf(ctx: Ctx, deps: WhyDeps, entry: LoggedEntry): Promise<Right[]> {
  const ids = entry.decision?.['grants']
  if (!Array.isArray(ids)) return []
  const grants = await Promise.all(ids.map(id => deps.store.grants.get(ctx, String(id))))
  const known = grants.filter(grant => grant !== undefined)
  return Promise.all(known.map(grant => rightOf(ctx, deps, grant)))
}

async function rightOf(ctx: Ctx, deps: WhyDeps, grant: Grant): Promise<Right> {
  const isIt = (entry: LoggedEntry): boolean => entry.decision?.['grant'] === grant.id
  const given = await findTrace(deps.store.log, ctx, { types: ['grant.created'], at: grant.createdAt, isIt })
  const taken =
    grant.revokedAt === null
      ? []
      : await findTrace(deps.store.log, ctx, { types: ['grant.revoked'], at: grant.revokedAt, isIt })
  const ended = grant.revokedAt === null ? 'expired' : 'revoked'
  return {
    id: grant.id,
    resource: grant.resource,
    scopes: grant.scopes,
    reason: grant.reason,
    by: { id: grant.createdBy, name: await nameOf(ctx, deps, grant.createdBy) },
    state: isGrantLive(grant, ctx.now) ? 'active' : ended,
    entries: [...given, ...taken].map(mention),
  }
}

async function nameOf(ctx: Ctx, { store }: WhyDeps, id: string): Promise<string | null> {
  if (id.startsWith('agt_')) return (await store.agents.get(ctx, id))?.name ?? null
  if (id.startsWith('cli_')) return (await store.clients.get(ctx, id))?.name ?? null
  const person = await store.people.get(ctx, id)
  return person?.name ?? person?.login ?? null
}

function mention({ id, index, time, type, outcome, reason, chain }: LoggedEntry): Mention {
  return { id, index, time, type, outcome, reason, by: chain.map(({ sub }) => sub) }
}
