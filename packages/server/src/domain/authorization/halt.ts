// Halts: kill switches that say "nothing of this, until it is lifted", for whatever a decision can name.
import type { HaltId } from '@writ/sdk/protocol/identifier'

export type HaltKind = 'agent' | 'instance' | 'key' | 'grant' | 'tool' | 'resource' | 'person' | 'tenant'

export interface Halt {
  readonly id: HaltId
  readonly kind: HaltKind
  /** An id, a thumbprint, a resource's identifier, `<identifier>#<tool>`, or the issuer for the tenant. */
  readonly target: string
  readonly reason: string
  readonly by: string
  readonly createdAt: number
  readonly liftedAt: number | null
  readonly liftedBy: string | null
}

/** The subject of the signal that halts changed. */
export const haltSubject = 'halts'
