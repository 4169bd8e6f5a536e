// Whether only an approval is missing, found by judging once more as if somebody had approved this very operation.
import type { ApprovalId } from '@writ/sdk/protocol/identifier'
import type { Approval } from './approval.ts'
import { judge, type Rules } from './judge.ts'
import { operationDigest } from './operation-digest.ts'
import type { DecisionFacts, Question } from './question.ts'

/** Names no approval that exists: identifiers of ours have 26 letters after the prefix. */
const supposed = 'apr_supposed' as ApprovalId
const supposedSeconds = 60

/** For a question that shows none and was refused by policies; a set that never speaks of one is not asked again. */
export function isApprovalAwaited(question: Question, facts: DecisionFacts, rules: Rules): boolean {
  const { subject, context, operation } = question
  if (context.approval !== null || subject.kind !== 'agent') return false
  if (facts.policies.active?.source.includes('approval') !== true) return false
  const { action, object, resource } = operation
  const at = Math.floor(context.nowMs / 1000)
  const approval: Approval = {
    id: supposed,
    kind: 'access_request',
    asked: {
      agent: subject.id,
      instance: subject.instance,
      person: null,
      eligibility: null,
      resource,
      scopes: [],
      authorizationDetails: [],
      operation: { action, object, digest: operationDigest(question) },
      seconds: supposedSeconds,
    },
    reason: 'supposed',
    breakGlass: false,
    requestedBy: question.askedBy ?? 'supposed',
    state: 'approved',
    decidedBy: 'supposed',
    decisionReason: null,
    approved: { scopes: [], authorizationDetails: [], seconds: supposedSeconds },
    approvedUntil: at + supposedSeconds,
    grant: null,
    review: null,
    callback: null,
    expiresAt: at + supposedSeconds,
    createdAt: at,
    stateAt: at,
  }
  const approved = { ...question, context: { ...context, approval: supposed } }
  const known = { ...facts, approval }
  return judge(approved, known, rules.over(approved, known)).refusal === null
}
