// Generated from docs/openapi.json by tools/openapi.ts; never edited. What the operations below /activations take and answer.

import type { Approval } from './shared.ts'

interface ActivationCreate {
  readonly eligibility: string
  /** Why; kept in the audit log */
  readonly reason: string
  /** How long, from the approval on */
  readonly seconds: number
  readonly scopes?: readonly string[]
  /** RFC 9396 authorization details */
  readonly authorization_details?: readonly Readonly<Record<string, unknown>>[]
  /** Open it before anybody has approved; somebody else has to review it */
  readonly break_glass?: boolean
}

export interface ActivationsOperations {
  /** Ask that rights an agent is eligible for are opened for a while; they end by themselves. */
  'activations.create': { readonly input: { readonly body: ActivationCreate }; readonly answer: Approval }
}
