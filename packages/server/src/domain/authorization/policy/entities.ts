// One question about one party, as the engine reads it: the entities of this request, and of no other.

import { type ApprovalFact, approvalFor } from '../approved-operation.ts'
import type { DecisionFacts, Party, Question } from '../question.ts'
import type { EngineRequest, Entity, Uid } from './cedar.ts'
import { agentTags, argumentTags, type Tags, tagsOf } from './claims.ts'
import { peerAddress } from './peer.ts'
import { everything, type Readings, readsMember } from './readings.ts'
import { typedId, uids } from './schema.ts'
import type { Placed } from './slice.ts'

/** A question about one of its parties. */
export interface Asked {
  readonly question: Question
  readonly facts: DecisionFacts
  readonly party: Party
}

/** Who, what and on what, with what they are in: enough to find the policies that can matter. */
export interface Sides {
  readonly principal: Placed
  readonly action: Uid
  readonly resource: Placed
}

export function sidesOf({ question, facts, party }: Asked): Sides {
  return {
    principal: placedParty(party, facts),
    action: uids.action(question.operation.action),
    resource: placedObject(question),
  }
}

/** What has been found out of a request already, and what of it is looked at. */
export interface Wanted {
  readonly sides: Sides
  readonly readings: Readings
}

/**
 * The request to the engine, whole unless it is said what of it is looked at; undefined where the question cannot be put
 * to it exactly: a peer that is no address, or arguments that do not fit. Nothing is cut or guessed, for a policy would
 * then judge another call than the one made; and that is so whether or not a policy looks at the peer or the arguments.
 */
export function requestOf(asked: Asked, granted: boolean, wanted?: Wanted): EngineRequest | undefined {
  const { question } = asked
  const peer = peerOf(question.context.peer)
  const args = argumentTags(question.operation.arguments)
  if (peer === 'bad' || args === undefined) return undefined
  const { sides, readings } = wanted ?? { sides: sidesOf(asked), readings: everything }
  const entities = new Map<string, Entity>()
  const add = (entity: Entity): Uid => {
    entities.set(`${entity.uid.type} ${entity.uid.id}`, entity)
    return entity.uid
  }
  if (readings.parties) for (const entity of partiesOf(asked, sides)) add(entity)
  else
    for (const side of [sides.principal, sides.resource]) if (side.parents.length > 0) add(bareEntity(side))
  const making: Making = { ...asked, add, granted, peer, args }
  const context: Record<string, unknown> = {}
  for (const [name, make] of makers) {
    const value = readsMember(readings, name) ? make(making) : undefined
    if (value !== undefined && value !== null) context[name] = value
  }
  return {
    principal: sides.principal.uid,
    action: sides.action,
    resource: sides.resource.uid,
    context,
    entities: [...entities.values()],
  }
}

/** Everybody and everything that policies can look into: who is on the chain, the running copy, the resource. */
function partiesOf({ question, facts, party }: Asked, { principal }: Sides): readonly Entity[] {
  const { subject, chain, claimed } = question
  // Claims of the question are about who makes the call; nobody else of the chain is described by them. Who is on it in
  // two places is described as the party that is asked about.
  const parties = [subject, ...chain, party].map(one =>
    partyEntity(one, facts, one === subject ? claimed.subject : {}),
  )
  const instance = instanceOf(party)
  const running =
    instance === undefined ? [] : [{ uid: uids.instance(instance), attrs: {}, parents: [principal.uid] }]
  return [...parties, objectEntity(question, facts), ...running]
}

const instanceOf = (party: Party): string | undefined =>
  party.kind === 'agent' && party.instance !== null ? party.instance : undefined

/** Without attributes: enough for scopes, where nobody looks at more. */
const bareEntity = ({ uid, parents }: Placed): Entity => ({ uid, attrs: {}, parents })

interface Making extends Asked {
  add(entity: Entity): Uid
  readonly granted: boolean
  readonly peer: unknown
  readonly args: Tags
}

const chainOf = ({ question }: Asked): readonly Party[] => [question.subject, ...question.chain]

const tagged = ({ add }: Making, uid: Uid, tags: Tags): unknown => ({
  __entity: add({ uid, attrs: {}, parents: [], tags }),
})

/** How each member of the context is made; one whose value is null or undefined is not there. */
const makers: readonly (readonly [string, (making: Making) => unknown])[] = Object.entries({
  now: ({ question }) => instant(question.context.nowMs),
  amounts: ({ question }) => ({ calls: 1, ...numbersOf(question.context.amounts) }),
  session: ({ question }) => question.context.session,
  task: ({ question }) => question.context.task,
  authenticationAge: ({ question }) => question.context.authenticationAge,
  keyAge: ({ question }) => question.context.keyAge,
  approval({ question, facts }) {
    const counted = approvalFor(question, facts.approval)
    return 'fact' in counted ? approvalRecord(counted.fact) : undefined
  },
  peer: ({ peer }) => peer,
  risk: riskOf,
  granted: ({ granted }) => granted,
  arguments: making => tagged(making, uids.arguments('call'), making.args),
  claims: making => tagged(making, uids.claims('call'), tagsOf(making.question.claimed.context)),
  chain: making =>
    chainOf(making)
      .filter(({ kind }) => kind === 'agent')
      .map(({ id }) => ({ __entity: uids.agent(id) })),
  person(making) {
    const person = chainOf(making).find(({ kind }) => kind === 'person')
    return person && { __entity: uids.person(person.id) }
  },
  instance({ party }) {
    const instance = instanceOf(party)
    return instance === undefined ? undefined : { __entity: uids.instance(instance) }
  },
} satisfies Record<string, (making: Making) => unknown>)

function placedParty(party: Party, facts: DecisionFacts): Placed {
  switch (party.kind) {
    case 'agent':
      return { uid: uids.agent(party.id), parents: [] }
    case 'person':
      return {
        uid: uids.person(party.id),
        parents: (facts.people.get(party.id)?.groups ?? []).map(uids.group),
      }
    case 'client':
      return { uid: uids.client(party.id), parents: [] }
    case 'other':
      return { uid: uids.subject(typedId(party.type, party.id)), parents: [] }
  }
}

function placedObject({ operation, foreign }: Question): Placed {
  if (foreign !== null) return { uid: uids.foreign(typedId(foreign.type, foreign.id)), parents: [] }
  const { resource, object } = operation
  const parent = uids.resource(resource)
  if (object === null) return { uid: parent, parents: [] }
  const { type, id } = object
  const uid =
    type === 'tool' ? uids.tool(`${resource}#${id}`) : uids.object(`${resource}#${typedId(type, id)}`)
  return { uid, parents: [parent] }
}

function partyEntity(party: Party, facts: DecisionFacts, claimed: Question['claimed']['subject']): Entity {
  const placed = placedParty(party, facts)
  switch (party.kind) {
    case 'agent': {
      const agent = facts.agents.get(party.id)?.agent
      // Without attributes: a policy that reads one of them fails, and a failing policy refuses.
      if (agent === undefined) return bareEntity(placed)
      const { name, owner, purpose, status } = agent
      return { ...placed, attrs: { name, owner, purpose, status }, tags: agentTags(agent, claimed) }
    }
    case 'person': {
      const person = facts.people.get(party.id)
      if (person === undefined) return bareEntity(placed)
      const { login, status } = person
      return { ...placed, attrs: { login, status }, tags: tagsOf(claimed) }
    }
    case 'client': {
      const client = facts.clients.get(party.id)
      if (client === undefined) return bareEntity(placed)
      const { name, status } = client
      return { ...placed, attrs: { name, status }, tags: tagsOf(claimed) }
    }
    case 'other': {
      const { type, id } = party
      return { ...placed, attrs: { type, id }, tags: tagsOf(claimed) }
    }
  }
}

function objectEntity(question: Question, facts: DecisionFacts): Entity {
  const { operation, foreign, claimed } = question
  return {
    ...placedObject(question),
    attrs: attributesOf(operation.object, foreign, facts),
    tags: tagsOf(claimed.object),
  }
}

function attributesOf(
  object: Question['operation']['object'],
  foreign: Question['foreign'],
  facts: DecisionFacts,
): Entity['attrs'] {
  if (foreign !== null) return { type: foreign.type, id: foreign.id }
  // The name is the registry's; a resource that is gone has none.
  if (object === null) return facts.resource === undefined ? {} : { name: facts.resource.name }
  return object.type === 'tool' ? { name: object.id } : { type: object.type, id: object.id }
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
