// Schedules of rotations: when the next one is due, by a cron expression or an age, spread by jitter.
import type { RotationId, ScheduleId } from '@writ/sdk/protocol/identifier'
import { sha256 } from './hash.ts'
import type { RotationKind } from './rotation.ts'

export interface Schedule {
  readonly id: ScheduleId
  readonly kind: RotationKind
  /** As in a rotation; `*` for every target of the kind. */
  readonly target: string
  /** Five fields, UTC; null where an age decides. */
  readonly cron: string | null
  /** After how long a version is rotated; null where a cron expression decides. */
  readonly maxAgeSeconds: number | null
  /** Each due time is put off by up to so much, differently for each target, so that many do not come at once. */
  readonly jitterSeconds: number
  readonly owner: string | null
  readonly status: 'active' | 'suspended'
  /** When it begins the next rotation. */
  readonly nextAt: number
  readonly lastAt: number | null
  readonly lastRotation: RotationId | null
  /** While one time is served in parts, for it has many targets: the page after which the next part goes on. */
  readonly goesOnAfter: string | null
  readonly createdAt: number
  readonly updatedAt: number
}

/** Seconds to put a due time off, from 0 to below `withinSeconds`: the same for the same name, spread over all names. */
export function spread(name: string, withinSeconds: number): number {
  if (withinSeconds <= 0) return 0
  const word = Buffer.from(sha256(Buffer.from(name, 'utf8'))).readUInt32BE(0)
  return Math.floor((word / 2 ** 32) * withinSeconds)
}
