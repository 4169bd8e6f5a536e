// A question about policies from few words: what a case does not say is as harmless as it can be.
import {
  type Asked,
  compilePolicies,
  type DecisionFacts,
  evaluate,
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
  readonly for?: string
}

const api = 'https://api.example'

function partyOf(text: string): Party {
  const [kind = '', id = ''] = text.split(' ')
  if (kind === 'agent') return { kind, id: id as never, instance: null }
  if (kind === 'person' || kind === 'client') return { kind, id } as Party
  return { kind: 'other', type: kind, id }
}

function claimedOf({ claims, attested }: Case): Question['claimed']['subject'] {
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
  const party = partyOf(given.who ?? 'agent a')
  const { foreign, resource, object } = targetOf(given.on ?? 'resource')
  const chain = given.for === undefined ? [] : [partyOf(given.for)]
  const question: Question = {
    subject: party,
    chain,
    operation: { action: given.action ?? 'call', resource, object, arguments: given.arguments ?? {} },
    foreign,
    ceiling: null,
    context: {
      nowMs: Date.parse(given.at ?? '2026-11-25T10:00:00Z'),
      peer: given.peer ?? null,
      session: null,
      task: given.task ?? null,
      authenticationAge: null,
      keyAge: given.keyAge ?? null,
      key: null,
      approval: null,
      amounts: {},
    },
    claimed: { subject: claimedOf(given), object: {}, context: {} },
  }
  return { question, facts: factsOf(given, [party, ...chain]), party }
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
