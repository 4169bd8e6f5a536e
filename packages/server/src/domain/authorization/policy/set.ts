// Policy sets: Cedar texts in versions. One is in force, at most one is tried in its shadow, and the former one returns in one step.
import type { AgentId, ClientId, PersonId, PolicySetId } from '@writ/sdk/protocol/identifier'

/** `draft`: written and valid. `shadow`: evaluated beside the active one, without effect. `former`: was active once. */
export type PolicySetState = 'draft' | 'shadow' | 'active' | 'former'

export interface PolicySet {
  readonly id: PolicySetId
  /** Counts the sets of the tenant from 1; what decisions name as their policy version. */
  readonly number: number
  /** The Cedar text, as it was validated. */
  readonly source: string
  /** SHA-256 of the text, base64url. */
  readonly digest: string
  /** Names of actions that its policies may speak of beside those of registered resources. */
  readonly actions: readonly string[]
  readonly state: PolicySetState
  readonly note: string
  readonly createdAt: number
  readonly createdBy: AgentId | PersonId | ClientId
  readonly stateAt: number
  /** When it was last put into force; null where it never was. */
  readonly activatedAt: number | null
}

/** The subject of the signal that other policies are in force: whatever was decided under the former ones is stale. */
export const policySubject = 'policies'

/** Longest text of a set, in bytes of UTF-8. */
export const policyBytes = 128 * 1024
