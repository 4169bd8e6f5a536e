// From what an enforcement point asks to a question: whose names are ours, which resource is one of ours, who claims what.
import { type InstanceId, parseId } from '@writ/sdk/protocol/identifier'
import type { Ctx } from '../context.ts'
import { canonicalText } from '../domain/authorization/operation-digest.ts'
import type { Ceiling, Claimed, Party, Question } from '../domain/authorization/question.ts'
import { targetOf, textProblem } from '../domain/authorization/spelling.ts'
import type { Facts } from '../store/store.ts'
import type { Wire } from './access-request.ts'

/** An entity as it was named: everything it carries is claimed, and attested by nobody. */
export interface Entity {
  readonly type: string
  readonly id: string
  readonly properties: Readonly<Record<string, unknown>>
}

/** What is asked, read and bounded, but not yet looked at. */
export interface Asked {
  readonly subject: Entity
  readonly action: { readonly name: string; readonly properties: Readonly<Record<string, unknown>> }
  readonly resource: Entity
  readonly chain: readonly Pick<Entity, 'type' | 'id'>[]
  readonly instance: string | null
  readonly ceiling: Ceiling | null
  readonly arguments: Readonly<Record<string, unknown>>
  readonly context: Omit<Question['context'], 'nowMs' | 'key'>
  /** What else came with the question, by name. */
  readonly claims: Readonly<Record<string, unknown>>
  /** The amounts are upper bounds, and the true ones are told later. */
  readonly reserve: boolean
  /** The request as it was written, to bind what may be filed of its denial; absent where nothing is filed. */
  readonly wire?: Wire
  readonly explain: boolean
  readonly cache: boolean
}

/** The question of whoever asks (`source`). Nothing is refused here: what is wrong is said in the question. */
export async function questionOf(
  ctx: Ctx,
  { facts }: { readonly facts: Pick<Facts, 'resource'> },
  asked: Asked,
  source: string,
): Promise<Question> {
  const { type, id } = asked.resource
  const target = targetOf(type, id)
  const known =
    target.identifier === null || target.misspelt !== undefined
      ? undefined
      : await facts.resource(ctx, target.identifier)
  const isForeign = known === undefined
  const parties = [asked.subject, ...asked.chain]
  const misspelt = target.misspelt ?? parties.map(partyProblem).find(problem => problem !== undefined)
  return {
    askedBy: source,
    subject: partyOf(asked.subject, asked.instance),
    chain: asked.chain.map(one => partyOf(one, null)),
    operation: {
      action: asked.action.name,
      resource: isForeign ? id : known.identifier,
      object: isForeign ? null : target.object,
      arguments: asked.arguments,
    },
    foreign: isForeign ? { type, id } : null,
    ...(misspelt === undefined ? {} : { misspelt }),
    ceiling: asked.ceiling,
    context: { ...asked.context, nowMs: ctx.nowMs, key: asked.ceiling?.token?.key ?? null },
    claimed: {
      subject: claimedOf(asked.subject.properties, source),
      object: claimedOf(asked.resource.properties, source),
      context: {
        ...claimedOf(asked.claims, source),
        ...claimedOf(asked.action.properties, source, 'action.'),
      },
    },
  }
}

/** The types of subjects that are records of ours. Another spelling of one of them names nobody. */
const ownTypes = { agent: 'agt', person: 'usr', client: 'cli' } as const

function partyOf({ type, id }: Pick<Entity, 'type' | 'id'>, instance: string | null): Party {
  switch (type) {
    // An id that is none of ours names nobody, which the judge finds out.
    case 'agent':
      return { kind: 'agent', id: id as never, instance: instance as InstanceId | null }
    case 'person':
      return { kind: 'person', id: id as never }
    case 'client':
      return { kind: 'client', id }
    default:
      return { kind: 'other', type, id }
  }
}

function partyProblem({ type, id }: Pick<Entity, 'type' | 'id'>): string | undefined {
  const problem = textProblem(type) ?? textProblem(id)
  if (problem !== undefined) return problem
  const folded = type.normalize('NFKC').toLowerCase().trim()
  if (folded !== type && Object.hasOwn(ownTypes, folded)) return 'another spelling of a type of ours'
  const isOurs = Object.values(ownTypes).some(prefix => parseId(prefix, id) !== undefined)
  return isOurs && !Object.hasOwn(ownTypes, type) ? 'an identifier of ours under another type' : undefined
}

/** Whatever is no plain value is its JSON, so that it is there and equal to nothing plain. */
function claimedOf(
  members: Readonly<Record<string, unknown>>,
  source: string,
  prefix = '',
): Readonly<Record<string, Claimed>> {
  const claimed: Record<string, Claimed> = {}
  for (const [name, value] of Object.entries(members)) {
    if (value === null) continue
    claimed[prefix + name] = { value: plain(value), attested: false, source }
  }
  return claimed
}

function plain(value: unknown): string | number | boolean {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value
  // Equal values are one text, whatever the order of their members: an approval is bound to it.
  return canonicalText(value)
}
