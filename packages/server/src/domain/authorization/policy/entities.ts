// One question about one party, as the engine reads it: the entities of this request, and of no other.

import { type ApprovalFact, approvalFor } from '../approved-operation.ts'
import type { DecisionFacts, Party, Question } from '../question.ts'
import type { EngineRequest, Entity, Uid } from './cedar.ts'
import { agentTags, argumentTags, tagsOf } from './claims.ts'
import { peerAddress } from './peer.ts'
import { typedId, uids } from './schema.ts'

/** A question about one of its parties. */
export interface Asked {
  readonly question: Question
  readonly facts: DecisionFacts
  readonly party: Party
}

/**
 * The request to the engine; undefined where the question cannot be put to it exactly: a peer that is no address, or
 * arguments that do not fit. Nothing is cut or guessed, for a policy would then judge another call than the one made.
 */
export function requestOf({ question, facts, party }: Asked, granted: boolean): EngineRequest | undefined {
  const peer = peerOf(question.context.peer)
  const args = argumentTags(question.operation.arguments)
  if (peer === 'bad' || args === undefined) return undefined
  const entities = new Map<string, Entity>()
  const add = (entity: Entity): Uid => {
    entities.set(`${entity.uid.type} ${entity.uid.id}`, entity)
    return entity.uid
  }
  const chain = [question.subject, ...question.chain]
  // Claims of the question are about who makes the call; nobody else of the chain is described by them.
  const uidOf = (one: Party): Uid =>
    add(partyEntity(one, facts, one === question.subject ? question.claimed.subject : {}))
  const agents = chain.filter(({ kind }) => kind === 'agent').map(uidOf)
  const person = chain.find(({ kind }) => kind === 'person')
  const instance = party.kind === 'agent' && party.instance !== null ? party.instance : undefined
  const principal = uidOf(party)
  const resource = add(objectEntity(question, facts))
  return {
    principal,
    action: uids.action(question.operation.action),
    resource,
    context: {
      ...circumstances(question, facts),
      ...(peer === undefined ? {} : { peer }),
      risk: riskOf({ question, facts, party }),
      granted,
      arguments: { __entity: add({ uid: uids.arguments('call'), attrs: {}, parents: [], tags: args }) },
      claims: {
        __entity: add({
          uid: uids.claims('call'),
          attrs: {},
          parents: [],
          tags: tagsOf(question.claimed.context),
        }),
      },
      chain: agents.map(uid => ({ __entity: uid })),
      ...(person === undefined ? {} : { person: { __entity: uidOf(person) } }),
      ...(instance === undefined
        ? {}
        : { instance: { __entity: add({ uid: uids.instance(instance), attrs: {}, parents: [principal] }) } }),
    },
    entities: [...entities.values()],
  }
}

function partyEntity(party: Party, facts: DecisionFacts, claimed: Question['claimed']['subject']): Entity {
  switch (party.kind) {
    case 'agent': {
      const agent = facts.agents.get(party.id)?.agent
      if (agent === undefined) return unknownParty(uids.agent(party.id))
      const { name, owner, purpose, status } = agent
      const tags = agentTags(agent, claimed)
      return { uid: uids.agent(party.id), attrs: { name, owner, purpose, status }, parents: [], tags }
    }
    case 'person': {
      const person = facts.people.get(party.id)
      if (person === undefined) return unknownParty(uids.person(party.id))
      const { login, status, groups } = person
      const parents = (groups ?? []).map(uids.group)
      return { uid: uids.person(party.id), attrs: { login, status }, parents, tags: tagsOf(claimed) }
    }
    case 'client': {
      const client = facts.clients.get(party.id)
      if (client === undefined) return unknownParty(uids.client(party.id))
      const { name, status } = client
      return { uid: uids.client(party.id), attrs: { name, status }, parents: [], tags: tagsOf(claimed) }
    }
    case 'other': {
      const { type, id } = party
      return { uid: uids.subject(typedId(type, id)), attrs: { type, id }, parents: [], tags: tagsOf(claimed) }
    }
  }
}

/** Without attributes: a policy that reads one of them fails, and a failing policy refuses. */
function unknownParty(uid: Uid): Entity {
  return { uid, attrs: {}, parents: [] }
}

function objectEntity({ operation, foreign, claimed }: Question, facts: DecisionFacts): Entity {
  const tags = tagsOf(claimed.object)
  if (foreign !== null) {
    const { type, id } = foreign
    return { uid: uids.foreign(typedId(type, id)), attrs: { type, id }, parents: [], tags }
  }
  const { resource, object } = operation
  const parent = uids.resource(resource)
  if (object === null) {
    // The name is the registry's; a resource that is gone has none.
    const attrs = facts.resource === undefined ? {} : { name: facts.resource.name }
    return { uid: parent, attrs, parents: [], tags }
  }
  const { type, id } = object
  if (type === 'tool')
    return { uid: uids.tool(`${resource}#${id}`), attrs: { name: id }, parents: [parent], tags }
  return {
    uid: uids.object(`${resource}#${typedId(type, id)}`),
    attrs: { type, id },
    parents: [parent],
    tags,
  }
}

function circumstances(question: Question, facts: DecisionFacts): Readonly<Record<string, unknown>> {
  const { nowMs, session, task, authenticationAge, keyAge, amounts } = question.context
  const counted = approvalFor(question, facts.approval)
  const known = {
    session,
    task,
    authenticationAge,
    keyAge,
    approval: 'fact' in counted ? approvalRecord(counted.fact) : null,
  }
  return {
    now: instant(nowMs),
    amounts: { calls: 1, ...numbersOf(amounts) },
    ...Object.fromEntries(Object.entries(known).filter(([, value]) => value !== null)),
  }
}

/** Without the currency, which the schema keeps out of comparisons. */
function numbersOf({
  currency: _,
  ...numbers
}: Question['context']['amounts']): Readonly<Record<string, number>> {
  return numbers
}

function approvalRecord({ id, by, approvedAt, approvedUntil }: ApprovalFact): unknown {
  return { id, by, approvedAt: instant(approvedAt * 1000), approvedUntil: instant(approvedUntil * 1000) }
}

function instant(ms: number): unknown {
  return { __extn: { fn: 'datetime', arg: new Date(ms).toISOString() } }
}

/** The worst score of the party; for who makes the call, of its instance and its session too. */
function riskOf({ question, facts, party }: Asked): number {
  const ids: (string | null)[] = [party.id]
  if (party.kind === 'agent') ids.push(party.instance)
  if (party === question.subject) ids.push(question.context.session)
  return Math.max(...ids.map(id => (id === null ? 0 : (facts.risks.get(id) ?? 0))))
}

function peerOf(peer: string | null): unknown {
  if (peer === null) return undefined
  const address = peerAddress(peer)
  return address === undefined ? 'bad' : { __extn: { fn: 'ip', arg: address } }
}
