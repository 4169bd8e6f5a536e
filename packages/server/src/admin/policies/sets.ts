// Policy sets: written once, validated before they are stored, and never changed afterwards.
import { newId } from '@writ/sdk/protocol/identifier'
import { z } from 'zod'
import type { PolicySet } from '../../domain/authorization/policy/set.ts'
import { sha256 } from '../../domain/hash.ts'
import { operation, readEvent } from '../operation.ts'
import * as wire from '../wire.ts'
import {
  aboutPolicySet,
  findPolicySet,
  listPolicySet,
  mustBeValid,
  policyActions,
  policyRequestBytes,
  policySetListed,
  policySetShown,
  policyText,
  problemShown,
  problemsOf,
  showPolicySet,
} from './shown.ts'

const create = operation({
  id: 'policies.create',
  event: 'policy.created',
  method: 'POST',
  path: '/policies',
  summary: 'Store a policy set that is valid; it has no effect until it is activated',
  params: wire.noParams,
  query: wire.noQuery,
  body: z
    .strictObject({ source: policyText, actions: policyActions, note: wire.prose.optional() })
    .meta({ id: 'PolicySetCreate' }),
  bodyBytes: policyRequestBytes,
  status: 201,
  answer: policySetShown,
  async decide(ctx, deps, { body }, caller) {
    mustBeValid(await problemsOf(ctx, deps, body))
    const set: PolicySet = {
      id: newId('pol', deps.randomBytes),
      number: (await deps.store.policySets.newest(ctx)) + 1,
      source: body.source,
      digest: sha256(body.source).toString('base64url'),
      actions: [...new Set(body.actions ?? [])],
      state: 'draft',
      note: body.note ?? '',
      createdAt: ctx.now,
      createdBy: caller.id,
      stateAt: ctx.now,
      activatedAt: null,
    }
    return {
      change: { puts: [{ put: 'policySet', value: set, ifVersion: 0 }] },
      about: aboutPolicySet(set, null),
      answer: showPolicySet(set),
      location: `/policies/${set.id}`,
      version: 1,
    }
  },
})

const validate = operation({
  id: 'policies.validate',
  event: readEvent,
  method: 'POST',
  path: '/policies/validate',
  summary: 'Say what is wrong with a policy set, without storing it',
  params: wire.noParams,
  query: wire.noQuery,
  body: z.strictObject({ source: policyText, actions: policyActions }).meta({ id: 'PolicySetProposed' }),
  bodyBytes: policyRequestBytes,
  status: 200,
  answer: z
    .strictObject({ valid: z.boolean(), problems: z.array(problemShown) })
    .meta({ id: 'PolicySetVerdict' }),
  async decide(ctx, deps, { body }) {
    const problems = await problemsOf(ctx, deps, body)
    return {
      about: { facts: { problems: problems.length } },
      answer: { valid: problems.length === 0, problems },
    }
  },
})

const list = operation({
  id: 'policies.list',
  event: readEvent,
  method: 'GET',
  path: '/policies',
  summary: 'List policy sets in the order of their creation, without their texts',
  params: wire.noParams,
  query: z.strictObject({
    ...wire.paging,
    state: z.enum(['draft', 'shadow', 'active', 'former']).optional(),
  }),
  body: null,
  status: 200,
  answer: wire.listOf(policySetListed),
  async decide(ctx, deps, { query }) {
    const page = await deps.store.policySets.list(ctx, wire.pageOf(query), wire.given({ state: query.state }))
    return { about: {}, answer: wire.shownPage(page, listPolicySet) }
  },
})

const get = operation({
  id: 'policies.get',
  event: readEvent,
  method: 'GET',
  path: '/policies/{id}',
  summary: 'See a policy set with its text',
  params: z.strictObject({ id: wire.id('pol') }),
  query: wire.noQuery,
  body: null,
  status: 200,
  answer: policySetShown,
  async decide(ctx, deps, { params }) {
    const set = await findPolicySet(ctx, deps, params.id)
    return { about: aboutPolicySet(set, null), answer: showPolicySet(set), version: set.version }
  },
})

export const policySetOperations = [create, validate, list, get]
