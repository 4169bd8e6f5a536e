// AuthZEN §6.2: what an enforcement point is told. A decision, and more only where it was asked for.
import { subjectDigest } from '@writ/sdk/protocol/revocation'
import type { Decided } from '../../decision/decided.ts'
import type { Asked } from '../../decision/question.ts'

/** The one sentence for whoever called: why exactly is the operator's to know. */
const dull = 'This is not allowed.'

export interface Answer {
  readonly decision: boolean
  readonly context?: object
}

/** `epoch`: at which everything that a permission rests on was seen to hold. */
export function answerOf(decided: Decided, wanted: Pick<Asked, 'explain' | 'cache'>, epoch: number): Answer {
  const context = {
    ...(wanted.explain ? explained(decided) : {}),
    ...(wanted.cache && decided.allowed && decided.cacheable ? { cache: cacheOf(decided, epoch) } : {}),
    ...reservationOf(decided),
  }
  return { decision: decided.allowed, ...(Object.keys(context).length === 0 ? {} : { context }) }
}

/** How long a permission may be kept, and by whose end it ends before: digests, as the revocation stream names them. */
function cacheOf({ until, bases }: Decided, epoch: number): object {
  const subjects = new Set(bases.flatMap(basis => basis.subjects))
  const end = until === null ? null : new Date(until * 1000).toISOString()
  return { until: end, epoch, subjects: [...subjects].map(subjectDigest) }
}

function reservationOf({ spends }: Decided): object {
  const reserved = spends.find(({ reservation }) => reservation !== null)?.reservation
  return reserved === undefined || reserved === null
    ? {}
    : { reservation: { id: reserved.id, expires_at: new Date(reserved.until * 1000).toISOString() } }
}

function explained(decided: Decided): object {
  const { refusal, policy, smallest, shadow } = decided
  const writ = {
    ...(refusal === null ? {} : { refused_by: refusal.by, party: refusal.party, rule: refusal.rule }),
    policy_version: policy.version,
    policies: policy.reasons,
    ...(shadow === null ? {} : { shadow: { policy_version: shadow.version, decision: shadow.allowed } }),
    ...(smallest === null ? {} : { smallest_grant: smallestShown(smallest) }),
  }
  return refusal === null ? { writ } : { reason_user: { en: dull }, reason_admin: { en: refusal.say }, writ }
}

/** As `POST /grants` takes it, but for the reason, which only whoever asks for it knows. */
function smallestShown(smallest: NonNullable<Decided['smallest']>): object {
  const { agent, resource, scopes, authorizationDetails = [], budgets = [] } = smallest
  return {
    agent,
    resource,
    scopes,
    ...(authorizationDetails.length === 0 ? {} : { authorization_details: authorizationDetails }),
    ...(budgets.length === 0
      ? {}
      : {
          budgets: budgets.map(({ unit, currency, limit, windowSeconds, burst }) => ({
            unit,
            ...(currency === null ? {} : { currency }),
            limit,
            window_seconds: windowSeconds,
            burst,
          })),
        }),
  }
}
