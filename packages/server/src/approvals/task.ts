// A task as the AuthZEN access request profile shows it ("Access Request Response"), to its requester and in callbacks.
import { type Approval, stateOf } from '../domain/authorization/approval.ts'

const instant = (at: number): string => new Date(at * 1000).toISOString()

/** `endpoint`: where access requests are filed. */
export function taskOf(approval: Approval, endpoint: string, now: number): Record<string, unknown> {
  const status = stateOf(approval, now)
  const statusEndpoint = `${endpoint}/${approval.id}`
  const task = {
    id: approval.id,
    status,
    status_endpoint: statusEndpoint,
    ...(status === 'pending'
      ? { expires_at: instant(approval.expiresAt), links: { cancel: `${statusEndpoint}/cancel` } }
      : {}),
  }
  const { approvedUntil } = approval
  if (status !== 'approved' || approvedUntil === null) return { task }
  return {
    task,
    result: {
      // "Completion Semantics": a denial is never turned into a permission; the same question is asked again.
      mode: 'reevaluate',
      approval: {
        id: approval.id,
        approved_at: instant(approval.stateAt),
        approved_until: instant(approvedUntil),
      },
    },
  }
}
