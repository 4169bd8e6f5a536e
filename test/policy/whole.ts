// The whole request to the engine, written from the guide and not from the code: nothing sliced, and nothing left out.
import assert from 'node:assert/strict'
import * as cedar from '@cedar-policy/cedar-wasm/nodejs'
import type { Asked, Party } from '@writ/server/testing'

type Json = cedar.CedarValueJson
type Uid = { readonly type: string; readonly id: string }
type Scalar = string | number | boolean

interface Whole {
  readonly principal: Uid
  readonly action: Uid
  readonly resource: Uid
  readonly context: Record<string, Json>
  readonly entities: cedar.EntityJson[]
}

const named = (type: string, id: string): Uid => ({ type: `Writ::${type}`, id })
const ref = (uid: Uid): Json => ({ __entity: uid })
const when = (seconds: number): Json => ({
  __extn: { fn: 'datetime', arg: new Date(seconds * 1000).toISOString() },
})

/** Everything that the guide says a policy can speak of, in this question about this party. */
export function wholeRequest(asked: Asked, granted: boolean): Whole {
  const { question, party } = asked
  const parties = [question.subject, ...question.chain]
  const principal = nameOf(party)
  const person = parties.find(({ kind }) => kind === 'person')
  const object = objectOf(asked)
  const call = callOf(asked)
  const entities = [...parties.map(one => entityOf(one, asked)), object, ...call.entities]
  const instance =
    party.kind === 'agent' && party.instance !== null ? named('Instance', party.instance) : null
  if (instance !== null) entities.push({ uid: instance, attrs: {}, parents: [principal] })
  const agents = parties.filter(({ kind }) => kind === 'agent').map(one => ref(nameOf(one)))
  return {
    principal,
    action: named('Action', question.operation.action),
    resource: object.uid as Uid,
    context: {
      ...call.context,
      granted,
      chain: agents,
      ...(person === undefined ? {} : { person: ref(nameOf(person)) }),
      ...(instance === null ? {} : { instance: ref(instance) }),
    },
    // Whoever stands in two places is one entity.
    entities: [...new Map(entities.map(entity => [JSON.stringify(entity.uid), entity])).values()],
  }
}

function nameOf(party: Party): Uid {
  if (party.kind === 'other') return named('Subject', `${party.type}:${party.id}`)
  return named({ agent: 'Agent', person: 'Person', client: 'Client' }[party.kind], party.id)
}

function entityOf(party: Party, { question, facts }: Asked): cedar.EntityJson {
  const uid = nameOf(party)
  // Claims are about who makes the call, in whichever place it stands.
  const isCaller = JSON.stringify(uid) === JSON.stringify(nameOf(question.subject))
  const claimed = isCaller ? question.claimed.subject : {}
  const tags = Object.fromEntries(
    Object.entries(claimed).map(([name, { value, attested, source }]) => [
      name,
      claim(value, attested, source),
    ]),
  )
  if (party.kind === 'other') return { uid, attrs: { type: party.type, id: party.id }, parents: [], tags }
  if (party.kind === 'person') {
    const { login = '', status = '', groups = [] } = facts.people.get(party.id) ?? {}
    return { uid, attrs: { login, status }, parents: groups.map(group => named('Group', group)), tags }
  }
  if (party.kind === 'client') {
    const { name = '', status = '' } = facts.clients.get(party.id) ?? {}
    return { uid, attrs: { name, status }, parents: [], tags }
  }
  const agent = facts.agents.get(party.id)?.agent
  if (agent === undefined) throw new Error(`no agent ${party.id}`)
  const { name, owner, purpose, status, labels, kind, model, provider, softwareVersion } = agent
  const registered = { ...labels, ...withoutNull({ kind, model, provider, softwareVersion }) }
  for (const [tag, value] of Object.entries(registered)) tags[tag] = claim(value, true, 'registry')
  return { uid, attrs: { name, owner, purpose, status }, parents: [], tags }
}

function objectOf({ question, facts }: Asked): cedar.EntityJson {
  const { operation, foreign, claimed } = question
  const { resource, object } = operation
  const tags = Object.fromEntries(
    Object.entries(claimed.object).map(([name, { value }]) => [name, claim(value, false, 'caller')]),
  )
  if (foreign !== null)
    return {
      uid: named('Foreign', `${foreign.type}:${foreign.id}`),
      attrs: { ...foreign },
      parents: [],
      tags,
    }
  const within = named('Resource', resource)
  if (object === null) return { uid: within, attrs: { name: facts.resource?.name ?? '' }, parents: [], tags }
  const { type, id } = object
  return type === 'tool'
    ? { uid: named('Tool', `${resource}#${id}`), attrs: { name: id }, parents: [within], tags }
    : { uid: named('Object', `${resource}#${type}:${id}`), attrs: { type, id }, parents: [within], tags }
}

function callOf(asked: Asked): Pick<Whole, 'context' | 'entities'> {
  const { question, facts, party } = asked
  const { nowMs, peer, session, task, authenticationAge, keyAge, amounts } = question.context
  const claims = Object.entries(question.claimed.context)
  const entities: cedar.EntityJson[] = [
    {
      uid: named('Arguments', 'call'),
      attrs: {},
      parents: [],
      tags: leaves('', question.operation.arguments),
    },
    {
      uid: named('Claims', 'call'),
      attrs: {},
      parents: [],
      tags: Object.fromEntries(claims.map(([name, { value }]) => [name, claim(value, false, 'caller')])),
    },
  ]
  const { approval } = facts
  const risky = [party.id, ...(party === question.subject ? [session] : [])]
  const known = {
    session,
    task,
    authenticationAge,
    keyAge,
    // In the tests an address of IPv4 within IPv6 is written in one way.
    peer: peer === null ? null : { __extn: { fn: 'ip', arg: peer.replace('::ffff:', '') } },
    approval:
      approval === undefined
        ? null
        : {
            id: approval.id,
            by: approval.decidedBy,
            approvedAt: when(approval.stateAt),
            approvedUntil: when(approval.approvedUntil ?? 0),
          },
  }
  const [args, other] = entities.map(({ uid }) => ref(uid as Uid)) as [Json, Json]
  return {
    entities,
    context: {
      ...(withoutNull(known) as Record<string, Json>),
      now: when(nowMs / 1000),
      amounts: { calls: 1, ...amounts } as Json,
      risk: Math.max(...risky.map(id => facts.risks.get(id ?? '') ?? 0)),
      arguments: args,
      claims: other,
    },
  }
}

function withoutNull<T>(members: Readonly<Record<string, T | null>>): Record<string, T> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null)) as Record<
    string,
    T
  >
}

function claim(value: Scalar, attested: boolean, source: string): Json {
  const kinds = {
    ...(typeof value === 'boolean' ? { flag: value } : {}),
    ...(Number.isSafeInteger(value) ? { number: value as number } : {}),
  }
  return { text: `${value}`, ...kinds, attested, source }
}

/** Every value of the arguments by its pointer. The names in the tests need no escaping. */
function leaves(at: string, value: unknown): Record<string, Json> {
  const isList = Array.isArray(value)
  if (typeof value !== 'object' || value === null) return { [at]: claim(value as Scalar, false, 'caller') }
  const own = {
    text: isList ? '[]' : '{}',
    ...(isList && value.every(one => typeof one !== 'object') ? { values: value.map(String) } : {}),
    attested: false,
    source: 'caller',
  }
  const within = Object.entries(value).map(([name, one]) => leaves(at === '' ? name : `${at}/${name}`, one))
  return Object.assign(at === '' ? {} : { [at]: own }, ...within)
}

export interface Plain {
  readonly allowed: boolean
  readonly reasons: readonly string[]
  readonly errors: readonly string[]
}

const preparsed = 'differential'

/** The plain engine with every policy and the whole of every request. Until the next one is made, and no longer. */
export function plain(policies: Readonly<Record<string, string>>): (asked: Asked, granted: boolean) => Plain {
  const parsed = cedar.preparsePolicySet(preparsed, { staticPolicies: policies })
  assert.ok(parsed.type === 'success', JSON.stringify(parsed))
  return (asked, granted) => {
    const { entities, ...request } = wholeRequest(asked, granted)
    const answer = cedar.statefulIsAuthorized({
      ...request,
      entities: [...entities, ...strangers],
      preparsedPolicySetId: preparsed,
    })
    assert.ok(answer.type === 'success', JSON.stringify(answer))
    const { decision, diagnostics } = answer.response
    const errors = diagnostics.errors.map(({ policyId }) => policyId).sort()
    return {
      allowed: decision === 'allow' && errors.length === 0,
      reasons: diagnostics.reason.toSorted(),
      errors,
    }
  }
}

/** Entities that have nothing to do with a request change nothing. */
const strangers = ['x', 'y'].map(id => ({
  uid: { type: 'Writ::Agent', id },
  attrs: { name: id, owner: 'o', purpose: 'p', status: 'active' },
  parents: [],
}))
