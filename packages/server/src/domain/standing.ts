// Whether a client or a person may act: two states, and the moves between them.
import type { Status } from './client.ts'

export type StandingMove = 'suspend' | 'resume'

const moves: Readonly<Record<StandingMove, { readonly from: Status; readonly to: Status }>> = {
  suspend: { from: 'active', to: 'suspended' },
  resume: { from: 'suspended', to: 'active' },
}

interface Standing {
  readonly status: Status
  readonly statusReason: string | null
  readonly updatedAt: number
}

/** The record after the move, or undefined where its status does not allow it. */
export function moveStanding<T extends Standing>(
  record: T,
  move: StandingMove,
  reason: string,
  at: number,
): T | undefined {
  const { from, to } = moves[move]
  return record.status === from ? { ...record, status: to, statusReason: reason, updatedAt: at } : undefined
}
