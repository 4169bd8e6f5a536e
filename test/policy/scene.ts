// A question about policies from few words: what a case does not say is as harmless as it can be.
import {
  type Asked,
  compilePolicies,
  type DecisionFacts,
  evaluate,
  operationDigest,
  type Party,
  type PolicyAnswer,
  type Question,
} from '@writ/server/testing'

type Scalar = string | number | boolean

/** One case as tables and tests write it. Names stand for ids. */
export interface Case {
  /** `agent a`, `person ada`, `client c`, `user alice`: kind or foreign type, then the id. */
  readonly who?: string
  readonly action?: string
  /** `resource`, `tool delete`, `http /invoices`; `foreign record 1` for what is none of ours. */
  readonly on?: string
  readonly arguments?: Readonly<Record<string, unknown>>
  readonly peer?: string
  readonly at?: string
  readonly risk?: number
  readonly granted?: boolean
  readonly keyAge?: number
  readonly task?: string
  /** What the caller says of itself. */
  readonly claims?: Readonly<Record<string, Scalar>>
  /** What was attested of it by somebody we trust. */
  readonly attested?: Readonly<Record<string, Scalar>>
  /** Members of the agent's record. */
  readonly record?: Readonly<Record<string, unknown>>
  /** Groups of the person, and whoever the call is made for. */
  readonly groups?: readonly string[]
  readonly for?: string | readonly string[]
  /** Which of them is asked about, by its place among whoever the call is made for; who makes it unless told. */
  readonly about?: number
  readonly instance?: string
  readonly session?: string
  readonly authenticationAge?: number
  readonly amounts?: Readonly<Record<string, number>>
  /** Attributes that came with the object and with the call. */
  readonly object?: Readonly<Record<string, Scalar>>
  readonly context?: Readonly<Record<string, Scalar>>
  /** Whether this very operation was approved. */
  readonly approved?: boolean
}

const api = 'https://api.example'

function partyOf(text: string, instance: string | null = null): Party {
  const [kind = '', id = ''] = text.split(' ')
  if (kind === 'agent') return { kind, id: id as never, instance: instance as never }
  if (kind === 'person' || kind === 'client') return { kind, id } as Party
  return { kind: 'other', type: kind, id }
}

function claimedOf({ claims, attested }: Pick<Case, 'claims' | 'attested'>): Question['claimed']['subject'] {
  const marked = (given: Case['claims'], isAttested: boolean) =>
    Object.entries(given ?? {}).map(
      ([name, value]) =>
        [name, { value, attested: isAttested, source: isAttested ? 'issuer' : 'caller' }] as const,
    )
  return Object.fromEntries([...marked(claims, false), ...marked(attested, true)])
}

function targetOf(
  on: string,
): Pick<Question, 'foreign'> & Pick<Question['operation'], 'resource' | 'object'> {
  const [type = '', id = '', more = ''] = on.split(' ')
  if (type === 'foreign') return { foreign: { type: id, id: more }, resource: more, object: null }
  return { foreign: null, resource: api, object: type === 'resource' ? null : { type, id } }
}

export function askedOf(given: Case): Asked {
  const subject = partyOf(given.who ?? 'agent a', given.instance)
  const { foreign, resource, object } = targetOf(given.on ?? 'resource')
  const chain = [given.for ?? []].flat().map(text => partyOf(text))
  const question: Question = {
    subject,
    chain,
    operation: { action: given.action ?? 'call', resource, object, arguments: given.arguments ?? {} },
    foreign,
    ceiling: null,
    context: {
      nowMs: Date.parse(given.at ?? '2026-11-25T10:00:00Z'),
      peer: given.peer ?? null,
      session: given.session ?? null,
      task: given.task ?? null,
      authenticationAge: given.authenticationAge ?? null,
      keyAge: given.keyAge ?? null,
      key: null,
      approval: given.approved ? (approvalId as never) : null,
      amounts: given.amounts ?? {},
    },
    claimed: {
      subject: claimedOf(given),
      object: claimedOf({ claims: given.object ?? {} }),
      context: claimedOf({ claims: given.context ?? {} }),
    },
  }
  const facts = { ...factsOf(given, [subject, ...chain]), approval: approvalOf(question) }
  return { question, facts, party: chain[given.about ?? -1] ?? subject }
}

const approvalId = 'apr_1'

/** Of this very operation, an hour ago, for one more. */
function approvalOf(question: Question): DecisionFacts['approval'] {
  const { operation, context, subject, chain } = question
  const agent = [subject, ...chain].find(({ kind }) => kind === 'agent')?.id
  if (context.approval === null || agent === undefined) return undefined
  const at = context.nowMs / 1000
  const { action, object, resource } = operation
  const approval = {
    id: approvalId,
    state: 'approved',
    asked: { agent, resource, operation: { action, object, digest: operationDigest(question) } },
    decidedBy: 'usr_approver',
    stateAt: at - 3600,
    approvedUntil: at + 3600,
  }
  return approval as unknown as DecisionFacts['approval']
}

function factsOf(given: Case, parties: readonly Party[]): DecisionFacts {
  const ids = (kind: Party['kind']) => parties.filter(party => party.kind === kind).map(({ id }) => id)
  const facts = {
    agents: new Map(ids('agent').map(id => [id, { agent: agentOf(id, given.record), grants: [] }])),
    people: new Map(
      ids('person').map(id => [id, { id, login: id, status: 'active', groups: given.groups ?? [] }]),
    ),
    clients: new Map(ids('client').map(id => [id, { id, name: id, status: 'active' }])),
    resource: { identifier: api, name: 'API', scopes: [] },
    risks: new Map(ids('agent').map(id => [id, given.risk ?? 0])),
    policies: { active: undefined, shadow: undefined },
    halts: [],
  }
  return facts as unknown as DecisionFacts
}

const agentOf = (id: string, record: Case['record']) => ({
  id,
  name: 'Reporter',
  owner: 'usr_owner',
  purpose: 'weekly report',
  kind: null,
  model: null,
  provider: null,
  softwareVersion: null,
  labels: {},
  status: 'active',
  ...record,
})

/** What the policies say of the case; an agent is granted unless the case says otherwise. */
export function answerOf(source: string, given: Case): PolicyAnswer {
  return evaluate(compilePolicies({ source, digest: source }), askedOf(given), given.granted ?? true)
}
