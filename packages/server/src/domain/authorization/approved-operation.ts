// Whether an approval counts for an operation (AuthZEN access request profile, "Completion Semantics"): it is no bearer right.
import type { Approval } from './approval.ts'
import { operationDigest } from './operation-digest.ts'
import type { Party, Question, Refusal } from './question.ts'

/** What a decision knows of an approval that counts; policies read it as `context.approval`. */
export interface ApprovalFact {
  readonly id: string
  /** Who approved. */
  readonly by: string
  readonly approvedAt: number
  readonly approvedUntil: number
}

/** The reason codes of the profile for an approval that does not count. */
export type ApprovalReason = 'approval_unverifiable' | 'approval_expired' | 'out_of_scope'

const say: Readonly<Record<ApprovalReason, string>> = {
  approval_unverifiable: 'There is no such approval.',
  approval_expired: 'The approval is not valid any more.',
  out_of_scope: 'The approval is for another operation.',
}

/**
 * The approval that the question names, as a fact, or why it does not count. It counts for the very operation that was
 * approved: same subject, chain, action, object, arguments and attributes, by their digest. `approval` is what was read
 * for the id of the question.
 */
export function approvalFor(
  question: Question,
  approval: Approval | undefined,
): { readonly fact: ApprovalFact } | { readonly refusal: Refusal } {
  const refuse = (rule: ApprovalReason): { refusal: Refusal } => ({
    refusal: { party: partyId(question.subject), by: 'approval', rule, say: say[rule] },
  })
  if (approval === undefined || approval.id !== question.context.approval)
    return refuse('approval_unverifiable')
  // What was never approved, for whatever reason, is no better than what never was.
  if (approval.state !== 'approved' || approval.decidedBy === null || approval.approvedUntil === null)
    return refuse('approval_unverifiable')
  // What another enforcement point filed is none that this one was told of ("Approval Reference Substitution").
  if (question.askedBy !== undefined && question.askedBy !== approval.requestedBy)
    return refuse('approval_unverifiable')
  if (question.context.nowMs >= approval.approvedUntil * 1000) return refuse('approval_expired')
  const { operation } = approval.asked
  // An activation opens a grant; it says nothing about one operation.
  if (operation === null || !isSame(approval, question) || operation.digest !== operationDigest(question))
    return refuse('out_of_scope')
  const { id, decidedBy: by, stateAt: approvedAt, approvedUntil } = approval
  return { fact: { id, by, approvedAt, approvedUntil } }
}

/** What the digest says in one piece, once more in words: a mistake in one of them must not be one in both. */
function isSame({ asked }: Approval, { subject, chain, operation }: Question): boolean {
  const agents = [subject, ...chain].flatMap(party => (party.kind === 'agent' ? [party.id] : []))
  const { action, object } = asked.operation ?? {}
  return (
    agents.includes(asked.agent) &&
    asked.resource === operation.resource &&
    action === operation.action &&
    object?.type === operation.object?.type &&
    object?.id === operation.object?.id
  )
}

function partyId(party: Party): string {
  return party.id
}
