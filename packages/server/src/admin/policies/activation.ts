// Which policy set is in force, which is tried in its shadow, and the one step back.
import { Fault } from '@writ/sdk/protocol/fault'
import { z } from 'zod'
import type { Ctx } from '../../context.ts'
import { compilePolicies, evaluate } from '../../domain/authorization/policy/evaluate.ts'
import { type PolicySet, policySubject } from '../../domain/authorization/policy/set.ts'
import type { DecisionFacts, Party, Question } from '../../domain/authorization/question.ts'
import type { Caller } from '../../domain/caller.ts'
import type { Put, Versioned } from '../../domain/change.ts'
import type { Client } from '../../domain/client.ts'
import { managementIdentifier } from '../access.ts'
import { mustHaveVersion } from '../agents/agents.ts'
import { operation, type Plan, type Reads } from '../operation.ts'
import * as wire from '../wire.ts'
import { aboutPolicySet, findPolicySet, policySetShown, showPolicySet } from './shown.ts'

const params = z.strictObject({ id: wire.id('pol') })
const body = z.strictObject({ reason: wire.reason }).meta({ id: 'PolicySetMove' })

/** What is in force changed, in either direction: every decision that rests on it is made again. */
const signals = [{ subject: policySubject, kind: 'narrowed' as const }]

/** The set that has this state, of which there is one at most. */
async function inState(
  ctx: Ctx,
  deps: Reads,
  state: 'active' | 'shadow',
): Promise<Versioned<PolicySet> | undefined> {
  return (await deps.store.policySets.list(ctx, { limit: 1 }, { state })).items[0]
}

function putIn({ version, ...set }: Versioned<PolicySet>, state: PolicySet['state'], now: number): Put {
  const activatedAt = state === 'active' ? now : set.activatedAt
  return { put: 'policySet', value: { ...set, state, stateAt: now, activatedAt }, ifVersion: version }
}

/** Out of trial, a set is again what it was before. */
function outOfTrial(set: Versioned<PolicySet>, now: number): Put {
  return putIn(set, set.activatedAt === null ? 'draft' : 'former', now)
}

function planned(put: Put, puts: readonly Put[], reason: string): Plan<z.input<typeof policySetShown>> {
  const { value, ifVersion } = put as Put & { readonly put: 'policySet' }
  return {
    // Those that leave a state first: two sets never have it, not even within a commit.
    change: { puts: [...puts, put], signals },
    restsOn: [policySubject],
    about: aboutPolicySet(value, reason),
    answer: showPolicySet(value),
    version: ifVersion + 1,
  }
}

const shadow = operation({
  id: 'policies.shadow',
  event: 'policy.shadowed',
  method: 'POST',
  path: '/policies/{id}/shadow',
  summary: 'Evaluate a policy set beside the one in force, without effect, and record where they differ',
  params,
  query: wire.noQuery,
  body,
  status: 200,
  answer: policySetShown,
  async decide(ctx, deps, input) {
    const set = await findPolicySet(ctx, deps, input.params.id)
    mustHaveVersion(set, input.ifVersion)
    if (set.state === 'active' || set.state === 'shadow')
      throw new Fault(
        'conflict',
        `This set is ${set.state === 'active' ? 'in force' : 'in trial'} already.`,
        {
          kind: 'move',
        },
      )
    const tried = await inState(ctx, deps, 'shadow')
    const puts = tried === undefined ? [] : [outOfTrial(tried, ctx.now)]
    return planned(putIn(set, 'shadow', ctx.now), puts, input.body.reason)
  },
})

const withdraw = operation({
  id: 'policies.withdraw',
  event: 'policy.withdrawn',
  method: 'POST',
  path: '/policies/{id}/withdraw',
  summary: 'End the trial of a policy set',
  params,
  query: wire.noQuery,
  body,
  status: 200,
  answer: policySetShown,
  async decide(ctx, deps, input) {
    const set = await findPolicySet(ctx, deps, input.params.id)
    mustHaveVersion(set, input.ifVersion)
    if (set.state !== 'shadow') throw new Fault('conflict', 'This set is not in trial.', { kind: 'move' })
    return planned(outOfTrial(set, ctx.now), [], input.body.reason)
  },
})

const activate = operation({
  id: 'policies.activate',
  event: 'policy.activated',
  method: 'POST',
  path: '/policies/{id}/activate',
  summary: 'Put a policy set into force at once, in place of the one that is',
  params,
  query: wire.noQuery,
  body,
  status: 200,
  answer: policySetShown,
  async decide(ctx, deps, input, caller) {
    const set = await findPolicySet(ctx, deps, input.params.id)
    mustHaveVersion(set, input.ifVersion)
    if (set.state === 'active') throw new Fault('conflict', 'This set is in force already.', { kind: 'move' })
    await mustLeaveAWayBack(ctx, deps, caller, set)
    const active = await inState(ctx, deps, 'active')
    const puts = active === undefined ? [] : [putIn(active, 'former', ctx.now)]
    return planned(putIn(set, 'active', ctx.now), puts, input.body.reason)
  },
})

/** The set that was in force before this one: of those that were, the one put into force last. */
async function before(ctx: Ctx, deps: Reads): Promise<Versioned<PolicySet> | undefined> {
  let newest: Versioned<PolicySet> | undefined
  // Also one that is tried again was in force once.
  for (const state of ['former', 'shadow']) {
    for (let after: string | undefined; ; ) {
      const at = { limit: 200, ...(after === undefined ? {} : { after }) }
      const page = await deps.store.policySets.list(ctx, at, { state })
      for (const set of page.items) if (set.activatedAt !== null && !isOlder(set, newest)) newest = set
      if (page.next === null) break
      after = page.next
    }
  }
  return newest
}

/** Two of one second are told apart by when they left. */
function isOlder(set: PolicySet, than: PolicySet | undefined): boolean {
  if (than === undefined || set.activatedAt !== than.activatedAt)
    return (set.activatedAt ?? 0) < (than?.activatedAt ?? 0)
  return set.stateAt === than.stateAt ? set.number < than.number : set.stateAt < than.stateAt
}

const rollback = operation({
  id: 'policies.rollback',
  event: 'policy.rolled_back',
  method: 'POST',
  path: '/policies/rollback',
  summary: 'Put the policy set that was in force before into force again; without one, none is',
  params: wire.noParams,
  query: wire.noQuery,
  body,
  status: 200,
  answer: z
    .strictObject({ active: policySetShown.nullable(), former: policySetShown })
    .meta({ id: 'PolicyRollback' }),
  async decide(ctx, deps, input, caller) {
    const active = await inState(ctx, deps, 'active')
    if (active === undefined)
      throw new Fault('conflict', 'No policy set is in force.', { kind: 'no_active_policies' })
    const former = await before(ctx, deps)
    await mustLeaveAWayBack(ctx, deps, caller, former)
    const out = putIn(active, 'former', ctx.now) as Put & { readonly put: 'policySet' }
    const back = former && (putIn(former, 'active', ctx.now) as Put & { readonly put: 'policySet' })
    return {
      change: { puts: [out, ...(back === undefined ? [] : [back])], signals },
      restsOn: [policySubject],
      about: aboutPolicySet(back?.value ?? out.value, input.body.reason),
      answer: {
        active: back === undefined ? null : showPolicySet(back.value),
        former: showPolicySet(out.value),
      },
    }
  },
})

/**
 * Throws `conflict` where the set would forbid the caller the way back: a mistake in it could then be undone by nobody
 * who is here to see it.
 */
async function mustLeaveAWayBack(
  ctx: Ctx,
  deps: Reads,
  caller: Caller,
  set: PolicySet | undefined,
): Promise<void> {
  const facts = await factsOf(ctx, deps, caller)
  const party: Party =
    caller.agent === null
      ? { kind: 'client', id: caller.id }
      : { kind: 'agent', id: caller.agent, instance: caller.instance }
  const asked = { question: questionOf(ctx, caller, party), facts, party }
  const { allowed, reasons, errors } = evaluate(compilePolicies(set), asked, true)
  // A client has no grants, and nothing is taken from it where no policy permits: only what forbids is in the way.
  const forbids = errors[0] ?? (allowed ? undefined : reasons[0])
  if (forbids !== undefined)
    throw new Fault('conflict', `The policy ${forbids} would then forbid you to roll it back.`, {
      kind: 'lock_out',
      policy: forbids,
    })
}

async function factsOf(ctx: Ctx, deps: Reads, caller: Caller): Promise<DecisionFacts> {
  const [agent, client, resource] = await Promise.all([
    caller.agent === null ? undefined : deps.store.agents.get(ctx, caller.agent),
    caller.agent === null ? deps.store.clients.get(ctx, caller.id) : undefined,
    deps.store.resources.byIdentifier(ctx, managementIdentifier(ctx)),
  ])
  return {
    agents: new Map(agent === undefined ? [] : [[agent.id, { agent, grants: [] }]]),
    people: new Map(),
    clients: new Map<string, Client>(client === undefined ? [] : [[client.id, client]]),
    resource,
    session: undefined,
    approval: undefined,
    risks: new Map(),
    policies: { active: undefined, shadow: undefined },
    halts: [],
  }
}

function questionOf(ctx: Ctx, caller: Caller, subject: Party): Question {
  const resource = managementIdentifier(ctx)
  return {
    subject,
    chain: [],
    operation: { action: 'policies.rollback', resource, object: null, arguments: {} },
    foreign: null,
    ceiling: null,
    context: {
      nowMs: ctx.now * 1000,
      peer: ctx.peer ?? null,
      session: null,
      task: null,
      authenticationAge: null,
      keyAge: null,
      key: caller.key,
      approval: null,
      amounts: {},
    },
    claimed: { subject: {}, object: {}, context: {} },
  }
}

export const policyActivationOperations = [shadow, withdraw, activate, rollback]
