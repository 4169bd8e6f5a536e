// The context of one request or one background run: an argument, never ambient. One reading of the clock.
import type { TenantId } from './domain/tenant.ts'

/** Facts attached for the one log line of a request; never a secret or a token. */
export type Note = Readonly<Record<string, string | number | boolean | undefined>>

export interface Ctx {
  readonly tenant: TenantId
  /** The tenant's issuer identifier, byte for byte as published. */
  readonly issuer: string
  /** Epoch seconds, whole; the one clock reading of this request. */
  readonly now: number
  /** The same instant in epoch milliseconds. */
  readonly nowMs: number
  /** Also the `x-request-id` of the answer and the `request_id` of the audit entry. */
  readonly requestId: string
  /** As the caller names its request (`X-Request-ID`): any text of one line, of any length. */
  readonly callerRequestId?: string | undefined
  /** W3C trace id where the caller sent a valid one. */
  readonly traceId: string | undefined
  /** The network peer that we believe: the socket's address unless a configured proxy vouches for another. */
  readonly peer: string | undefined
  note(facts: Note): void
}
