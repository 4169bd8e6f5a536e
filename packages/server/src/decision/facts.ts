// What a decision reads, all at once and from memory where it may: the facts, and the bases that they are true on.
import type { InstanceId, PersonId } from '@writ/sdk/protocol/identifier'
import type { Ctx } from '../context.ts'
import type { Approval } from '../domain/authorization/approval.ts'
import { haltSubject } from '../domain/authorization/halt.ts'
import { policySubject } from '../domain/authorization/policy/set.ts'
import type { AgentFacts, DecisionFacts, Party, Question } from '../domain/authorization/question.ts'
import { type Risk, riskSubject, scoreAt } from '../domain/authorization/risk.ts'
import type { Basis } from '../domain/change.ts'
import type { Client, Person } from '../domain/client.ts'
import type { CallerFacts, Facts, Store } from '../store/store.ts'

/** The reads of a decision; nothing in it writes. */
export interface DecisionReads {
  readonly facts: Facts
  readonly approvals: Pick<Store['approvals'], 'get'>
  readonly signals: Pick<Store['signals'], 'isNarrowed' | 'head'>
}

export interface Read {
  readonly facts: DecisionFacts
  /** Everything that was read, at its epochs, without the grants, of which only those that are used count. */
  readonly bases: readonly Basis[]
  /** The epoch at which the grants of an agent were read. */
  readonly epochs: ReadonlyMap<string, number>
  /** Instants at which something that was read ends by itself. */
  readonly ends: readonly (number | null)[]
}

/**
 * Reads everything the question rests on, in parallel. `fresh` reads past the memory, and judges by the store whether
 * the token has ended.
 */
export async function readFacts(
  ctx: Ctx,
  reads: DecisionReads,
  question: Question,
  { fresh }: { readonly fresh: boolean },
): Promise<Read> {
  const { facts } = reads
  const options = { fresh }
  const parties = [question.subject, ...question.chain]
  const [resource, governing, session, approval, callers, people, risks] = await Promise.all([
    question.foreign === null ? facts.resource(ctx, question.operation.resource, options) : undefined,
    facts.governing(ctx, options),
    question.context.session === null ? undefined : facts.session(ctx, question.context.session, options),
    readApproval(ctx, reads, question),
    all(idsOf(parties, ['agent', 'client']), id => facts.caller(ctx, id, options)),
    all(idsOf(parties, ['person']), id => facts.person(ctx, id, options)),
    all(riskyOf(question, parties), id => facts.risk(ctx, id, options)),
  ])
  const bases: Basis[] = [{ epoch: governing.epoch, subjects: [policySubject, haltSubject] }]
  if (resource !== undefined)
    bases.push({ epoch: resource.epoch, subjects: [resource.id, resource.identifier] })
  // One that is cut short before its time ends what rests on it.
  if (approval !== undefined) bases.push({ epoch: approval.epoch, subjects: [approval.approval.id] })
  if (session !== undefined) bases.push({ epoch: session.epoch, subjects: [session.session.id] })
  for (const [id, read] of callers) if (read !== undefined) bases.push({ epoch: read.epoch, subjects: [id] })
  for (const [id, read] of people) if (read !== undefined) bases.push({ epoch: read.epoch, subjects: [id] })
  for (const [id, { epoch }] of risks) bases.push({ epoch, subjects: [riskSubject(id)] })
  const { token } = question.ceiling ?? {}
  if (token !== undefined) bases.push({ epoch: token.epoch, subjects: tokenSubjects(ctx, question) })
  return {
    facts: {
      agents: agentsOf(callers),
      clients: clientsOf(callers),
      people: peopleOf(people),
      resource,
      session: session?.session,
      approval: approval?.approval,
      risks: new Map([...risks].map(([id, { risk }]) => [id, scoreAt(risk, ctx.now)])),
      policies: { active: governing.active, shadow: governing.shadow },
      halts: governing.halts,
    },
    bases,
    epochs: new Map([...callers].map(([id, read]) => [id, read?.epoch ?? 0])),
    ends: [
      ...[...callers.values()].flatMap(read => endsOf(read, parties)),
      ...[...risks.values()].map(({ risk }) => endOfRisk(risk, ctx.now)),
      session?.session.expiresAt ?? null,
      approval?.approval.approvedUntil ?? null,
      token?.expiresAt ?? null,
    ],
  }
}

/** Everything whose end ends the token that was shown, as `subjectsOf` names it for its holder. */
export function tokenSubjects({ issuer }: Pick<Ctx, 'issuer'>, question: Question): readonly string[] {
  const { ceiling, subject, operation, context } = question
  if (ceiling?.token === undefined) return []
  const instance = subject.kind === 'agent' ? subject.instance : null
  const { boundTo = null } = ceiling.token
  return [
    issuer,
    subject.id,
    operation.resource,
    `key:${ceiling.token.key}`,
    `token:${ceiling.token.jti}`,
    ...ceiling.grants,
    ...(boundTo === null ? [] : [`key:${boundTo}`]),
    ...(instance === null ? [] : [instance]),
    ...(context.session === null ? [] : [context.session]),
  ]
}

async function readApproval(
  ctx: Ctx,
  { approvals, signals }: DecisionReads,
  { context }: Question,
): Promise<{ readonly epoch: number; readonly approval: Approval } | undefined> {
  if (context.approval === null) return undefined
  // Before it is read: what ends it after this instant makes the commit stale.
  const epoch = await signals.head(ctx)
  const approval = await approvals.get(ctx, context.approval)
  return approval && { epoch, approval }
}

async function all<T>(
  ids: readonly string[],
  read: (id: string) => Promise<T>,
): Promise<ReadonlyMap<string, T>> {
  return new Map(await Promise.all(ids.map(async id => [id, await read(id)] as const)))
}

function idsOf(parties: readonly Party[], kinds: readonly Party['kind'][]): readonly string[] {
  return [...new Set(parties.filter(({ kind }) => kinds.includes(kind)).map(({ id }) => id))]
}

/** Whose risk policies may ask for: the parties of ours, their instances, and the session. */
function riskyOf({ context }: Question, parties: readonly Party[]): readonly string[] {
  const instances = parties.flatMap(party => (party.kind === 'agent' ? [party.instance] : []))
  const ids: (InstanceId | string | null)[] = [
    ...idsOf(parties, ['agent', 'person']),
    ...instances,
    context.session,
  ]
  return [...new Set(ids.filter(id => id !== null))]
}

type Callers = ReadonlyMap<string, CallerFacts | undefined>

function agentsOf(callers: Callers): DecisionFacts['agents'] {
  const agents = new Map<string, AgentFacts>()
  for (const [id, read] of callers) {
    if (read?.agent !== undefined) agents.set(id, { agent: read.agent, grants: read.grants, keys: read.keys })
  }
  return agents
}

function clientsOf(callers: Callers): ReadonlyMap<string, Client> {
  const clients = new Map<string, Client>()
  for (const [id, read] of callers) if (read?.client !== undefined) clients.set(id, read.client)
  return clients
}

function peopleOf(
  read: ReadonlyMap<string, { readonly person: Person } | undefined>,
): ReadonlyMap<PersonId, Person> {
  return new Map([...read.values()].flatMap(found => (found ? [[found.person.id, found.person]] : [])))
}

/** An agent's own end, and that of the last key of the instance that acts. */
function endsOf(read: CallerFacts | undefined, parties: readonly Party[]): readonly (number | null)[] {
  if (read?.agent === undefined) return []
  const { agent, keys } = read
  const party = parties.find(({ id }) => id === agent.id)
  if (party?.kind !== 'agent' || party.instance === null) return [agent.expiresAt]
  const ends = keys
    .filter(({ instance }) => instance === party.instance)
    .map(key => key.expiresAt ?? Number.POSITIVE_INFINITY)
  const last = Math.max(...ends)
  return [agent.expiresAt, Number.isFinite(last) ? last : null]
}

function endOfRisk(risk: Risk | undefined, now: number): number | null {
  return risk?.expiresAt !== null && risk !== undefined && risk.expiresAt > now ? risk.expiresAt : null
}

/** The same facts, each read at most once: what many questions of one request share. */
export function readOnce(facts: Facts): Facts {
  const once = <A extends readonly unknown[], T>(
    read: (...args: A) => Promise<T>,
    nameOf: (args: A) => string,
  ) => {
    const known = new Map<string, Promise<T>>()
    return (...args: A): Promise<T> => {
      const name = nameOf(args)
      const found = known.get(name) ?? read(...args)
      known.set(name, found)
      return found
    }
  }
  type Options = { readonly fresh?: boolean } | undefined
  const named = ([, id, options]: readonly [unknown, string, Options?]): string =>
    `${options?.fresh === true}:${id}`
  return {
    caller: once((...args: Parameters<Facts['caller']>) => facts.caller(...args), named),
    resource: once((...args: Parameters<Facts['resource']>) => facts.resource(...args), named),
    person: once((...args: Parameters<Facts['person']>) => facts.person(...args), named),
    session: once((...args: Parameters<Facts['session']>) => facts.session(...args), named),
    risk: once((...args: Parameters<Facts['risk']>) => facts.risk(...args), named),
    governing: once(
      (...args: Parameters<Facts['governing']>) => facts.governing(...args),
      ([, options]) => `${options?.fresh === true}`,
    ),
  }
}
