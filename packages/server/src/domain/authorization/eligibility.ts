// Eligibilities: what an agent may have activated for a while. Eligible is not active: without an activation it is no right.
import type { AuthorizationDetail } from '@writ/sdk/protocol/details/detail'
import type { AgentId, ClientId, EligibilityId, PersonId } from '@writ/sdk/protocol/identifier'
import type { Budget } from './budget.ts'

export interface Eligibility {
  readonly id: EligibilityId
  readonly agent: AgentId
  /** The resource's canonical identifier. */
  readonly resource: string
  readonly scopes: readonly string[]
  readonly authorizationDetails: readonly AuthorizationDetail[]
  readonly condition: string | null
  readonly budgets: readonly Budget[]
  /** The longest activation. */
  readonly maxSeconds: number
  /** Whether somebody has to approve each activation, and who may: agents or people; empty for whoever may approve. */
  readonly approval: 'none' | 'required'
  readonly approvers: readonly string[]
  /** Whether it may be activated without its approval in an emergency, to be reviewed afterwards. */
  readonly breakGlass: boolean
  readonly reason: string
  readonly expiresAt: number | null
  readonly createdAt: number
  readonly createdBy: AgentId | PersonId | ClientId
  readonly revokedAt: number | null
}

/**
 * The subject that is narrowed with each activation: whoever ends an eligibility has to have seen all that was opened from
 * it, and looks again where it has not. Activations do not hinder each other.
 */
export function openedSubject(id: EligibilityId): string {
  return `opened:${id}`
}

export function isEligibilityLive(eligibility: Eligibility, now: number): boolean {
  return eligibility.revokedAt === null && (eligibility.expiresAt === null || now < eligibility.expiresAt)
}
