// Decisions about our own endpoints, in process: the same judge over the same facts, so that a policy reaches them too.
import { Fault } from '@writ/sdk/protocol/fault'
import type { GrantId } from '@writ/sdk/protocol/identifier'
import type { Ctx } from '../context.ts'
import type { Purses } from '../domain/authorization/purses.ts'
import type { Party, Question } from '../domain/authorization/question.ts'
import type { Caller } from '../domain/caller.ts'
import type { Facts, Store } from '../store/store.ts'
import { decideAffordably } from './affordable.ts'
import type { DecideDeps } from './decide.ts'
import type { Decided } from './decided.ts'
import { reasonsOf, ruleOf } from './entry.ts'

export interface OwnOperation {
  /** The identifier of the resource that the token is for. */
  readonly resource: string
  readonly action: string
  /** The leaf that the operation needs. */
  readonly scope: string
}

/**
 * Operations that no policy and no halt of the tenant stands before: the ways back out of a set that forbids
 * everything, and of a halt of everything. Scope, grant and standing are asked of them like of any other.
 */
const waysOut: ReadonlySet<string> = new Set([
  'policies.rollback',
  'halts.lift',
  'halts.list',
  'halts.get',
  // Whether everybody enforces a halt of everything is asked under that halt.
  'enforcement-points.list',
])

/** What an earlier attempt at the same operation has found. */
export interface Attempted {
  readonly fresh?: boolean
  readonly purses?: Purses
}

export interface OwnDeps {
  readonly store: Pick<Store, 'facts' | 'approvals' | 'signals'>
  readonly randomBytes: DecideDeps['randomBytes']
}

/**
 * Whether the caller may, as it stands now: what was decided is committed with what the operation does. Throws
 * `access_denied` with one dull sentence; which party and which rule is in the entry of the refusal.
 */
export async function decideOwn(
  ctx: Ctx,
  deps: OwnDeps,
  caller: Caller,
  { fresh = false, purses = new Map(), ...operation }: OwnOperation & Attempted,
): Promise<Decided> {
  const facts = waysOut.has(operation.action) ? ungoverned(deps.store.facts) : deps.store.facts
  const mapped = needing(facts, operation)
  const reads = {
    ...deps,
    store: { approvals: deps.store.approvals, signals: deps.store.signals, facts: mapped },
  }
  const question = questionOf(ctx, caller, operation)
  const decided = await decideAffordably(ctx, reads, question, { fresh, purses })
  if (decided.allowed) return decided
  throw new Fault('access_denied', 'This is not allowed.', {
    kind: ruleOf(decided),
    party: decided.refusal?.party,
    say: decided.refusal?.say,
  })
}

function questionOf(ctx: Ctx, caller: Caller, { resource, action }: OwnOperation): Question {
  const subject: Party =
    caller.agent === null
      ? { kind: 'client', id: caller.id }
      : { kind: 'agent', id: caller.agent, instance: caller.instance }
  return {
    subject,
    chain: [],
    operation: { action, resource, object: null, arguments: {} },
    foreign: null,
    ceiling: {
      grants: caller.basis.subjects.filter((one): one is GrantId => one.startsWith('grt_')),
      scopes: [...caller.scopes],
      authorizationDetails: [],
    },
    context: {
      nowMs: ctx.nowMs,
      peer: ctx.peer ?? null,
      session: caller.session,
      task: caller.task,
      authenticationAge: ctx.now - caller.authenticatedAt,
      keyAge: null,
      key: caller.key,
      approval: null,
      amounts: {},
    },
    claimed: { subject: {}, object: {}, context: {} },
  }
}

/** Which scope an operation of ours needs is known where it is routed, and not in a record that somebody could change. */
function needing(facts: Facts, { action, scope }: OwnOperation): Facts {
  const actions = { version: 1, actions: { [action]: { anyOf: [scope], recorded: [] } } }
  return {
    ...facts,
    async resource(...asked) {
      const found = await facts.resource(...asked)
      return found && { ...found, actions }
    },
  }
}

function ungoverned(facts: Facts): Facts {
  return {
    ...facts,
    async governing(...asked) {
      const { epoch, halts } = await facts.governing(...asked)
      return {
        epoch,
        active: undefined,
        shadow: undefined,
        halts: halts.filter(({ kind }) => kind !== 'tenant'),
      }
    },
  }
}

/** What the entry of the operation says of the decision; nothing where no policies are in force. */
export function decisionFacts({
  policy,
  shadow,
}: Decided): Readonly<Record<string, string | number | boolean | readonly string[]>> {
  return {
    ...(policy.version === 0 ? {} : { policy_version: policy.version, ...reasonsOf(policy.reasons) }),
    ...(shadow === null ? {} : { shadow_version: shadow.version, shadow_decision: shadow.allowed }),
  }
}
