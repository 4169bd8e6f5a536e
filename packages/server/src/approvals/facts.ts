// What the entry of every move of a task says, whoever makes the move. The record itself stays for ever; this finds it.
import { type EntryDraft, excerpt } from '../domain/audit-entry.ts'
import type { Move } from './activation.ts'

const keptOfDetail = 256

export function factsOf({ approval, grant }: Pick<Move, 'approval' | 'grant'>): EntryDraft['facts'] & object {
  const { asked, approved } = approval
  const { scopes, authorizationDetails, seconds } = approved ?? asked
  return {
    approval: approval.id,
    state: approval.state,
    ...(asked.eligibility === null ? {} : { eligibility: asked.eligibility }),
    ...(asked.operation === null ? {} : { operation: asked.operation.action }),
    ...(grant === null ? {} : { grant: grant.id }),
    requested_by: approval.requestedBy,
    scopes,
    details: authorizationDetails.map(detail => excerpt(JSON.stringify(detail), keptOfDetail)),
    seconds,
    break_glass: approval.breakGlass,
  }
}
