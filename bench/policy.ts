// A decision of policies in process, beside the bare call of the engine on the set that was filtered and parsed before.
import * as cedar from '@cedar-policy/cedar-wasm/nodejs'
import {
  type Asked,
  builtIns,
  type CompiledPolicies,
  compilePolicies,
  type DecisionFacts,
  evaluate,
  type Question,
  requestOf,
} from '@writ/server/testing'
import { type Figure, sideBySide } from './measure.ts'

const api = 'https://api.example'
const calls = 2_000
const rounds = 9
/** As many as have a policy of their own in the smallest set, so that every set has a slice of the same size. */
const askers = 7

/** Policies as they are written in practice: each about one agent and one tool, and some about everything. */
function setOf(count: number): { readonly source: string; readonly digest: string } {
  const scoped = Array.from(
    { length: count - 3 },
    (_, at) =>
      `forbid(principal==Writ::Agent::"a${at}",action,resource==Writ::Tool::"${api}#t${at}")when{context.risk>50};`,
  )
  const general = [
    `forbid(principal,action,resource)when{context.risk>90};`,
    `forbid(principal is Writ::Agent,action==Writ::Action::"call",resource in Writ::Resource::"${api}")when{context.arguments.hasTag("amount")&&context.arguments.getTag("amount") has number&&context.arguments.getTag("amount").number>1000};`,
    `forbid(principal is Writ::Agent,action==Writ::Action::"delete",resource)unless{context has peer};`,
  ]
  return { source: [...scoped, ...general].join('\n'), digest: `${count}` }
}

function factsOf(agents: number): DecisionFacts {
  const agent = (id: string) => ({
    id,
    name: 'Reporter',
    owner: 'usr_owner',
    purpose: 'weekly report',
    kind: 'batch',
    model: 'model-1',
    provider: null,
    softwareVersion: null,
    labels: { team: 'finance' },
    status: 'active',
  })
  const facts = {
    agents: new Map(
      Array.from({ length: agents }, (_, at) => [`a${at}`, { agent: agent(`a${at}`), grants: [] }]),
    ),
    people: new Map(),
    clients: new Map(),
    resource: { identifier: api, name: 'API', scopes: [] },
    risks: new Map(),
    policies: { active: undefined, shadow: undefined },
    halts: [],
  }
  return facts as unknown as DecisionFacts
}

function askedOf(facts: DecisionFacts, at: number): Asked {
  const party: Question['subject'] = { kind: 'agent', id: `a${at}` as never, instance: null }
  const question: Question = {
    subject: party,
    chain: [],
    operation: {
      action: 'call',
      resource: api,
      object: { type: 'tool', id: `t${at}` },
      arguments: { amount: 42, to: 'somebody' },
    },
    foreign: null,
    ceiling: null,
    context: {
      nowMs: Date.parse('2026-11-25T10:00:00Z') + at,
      peer: '10.1.2.3',
      session: null,
      task: null,
      authenticationAge: null,
      keyAge: null,
      key: null,
      approval: null,
      amounts: {},
    },
    claimed: { subject: {}, object: {}, context: {} },
  }
  return { question, facts, party }
}

/** Microseconds a call. */
async function timed(call: (at: number) => boolean): Promise<number> {
  const started = performance.now()
  for (let at = 0; at < calls; at++) if (!call(at)) throw new Error('a decision came out wrong')
  return ((performance.now() - started) * 1000) / calls
}

function ours(policies: CompiledPolicies, facts: DecisionFacts): (at: number) => boolean {
  return at => evaluate(policies, askedOf(facts, at % askers), true).allowed
}

/** The set that can matter to one request, parsed ahead, and the request made ahead: nothing is left but the engine. */
function bare(source: string, facts: DecisionFacts): (at: number) => boolean {
  const requests = Array.from({ length: askers }, (_, at) => {
    const request = requestOf(askedOf(facts, at), true)
    if (request === undefined) throw new Error('the question has no request')
    const name = `bare-${at}`
    const lines = source.split('\n')
    const mattering = [
      ...lines.filter(line => line.includes(`"a${at}"`)),
      ...lines.slice(-3).filter(line => !line.includes('"delete"')),
      ...Object.values(builtIns),
    ]
    cedar.preparsePolicySet(name, { staticPolicies: mattering.join('\n') })
    return { ...request, preparsedPolicySetId: name } as unknown as cedar.StatefulAuthorizationCall
  })
  return at => {
    const answer = cedar.statefulIsAuthorized(requests[at % askers] as cedar.StatefulAuthorizationCall)
    return answer.type === 'success' && answer.response.decision === 'allow'
  }
}

export async function policy(): Promise<readonly Figure[]> {
  const [hundred, hundredAgents] = [setOf(100), factsOf(100)]
  const decided = ours(compilePolicies(hundred), hundredAgents)
  const engine = bare(hundred.source, hundredAgents)
  const agents = ours(compilePolicies(hundred), factsOf(100_000))
  const [few, many] = [10, 1_000].map(count => ours(compilePolicies(setOf(count)), hundredAgents)) as [
    (at: number) => boolean,
    (at: number) => boolean,
  ]
  for (const call of [decided, engine, agents, few, many]) await timed(call)
  const figure = async (
    name: string,
    [first, second]: readonly [(at: number) => boolean, (at: number) => boolean],
    floor: string,
    bound: number,
  ): Promise<Figure> => {
    const [value, other, ratio] = await sideBySide(
      rounds,
      () => timed(first),
      () => timed(second),
    )
    return {
      name,
      value,
      unit: 'µs',
      floor: { name: floor, value: other },
      ratio,
      target: { at: 'most', bound },
    }
  }
  return [
    await figure(
      'decision of 100 policies, 100 agents',
      [decided, engine],
      'the bare Cedar call, filtered and parsed before',
      1.5,
    ),
    await figure('the same of 100,000 agents', [agents, decided], 'of 100 agents', 1.25),
    await figure('decision of 1,000 policies', [many, few], 'of 10 policies', 1.25),
  ]
}
