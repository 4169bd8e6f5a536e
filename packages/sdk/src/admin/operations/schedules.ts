// Generated from docs/openapi.json by tools/openapi.ts; never edited. What the operations below /schedules take and answer.

interface Schedule {
  readonly id: string
  readonly kind: 'instance_key' | 'issuer_key' | 'root_key' | 'tenant_key' | 'secret' | 'client_secret'
  /** `*` for every target of the kind */
  readonly target: string
  readonly cron: string | null
  readonly max_age_seconds: number | null
  readonly jitter_seconds: number
  readonly status: 'active' | 'suspended'
  readonly next_at: string
  readonly last_at: string | null
  readonly last_rotation: string | null
  readonly created_at: string
  readonly updated_at: string
}

interface ScheduleCreate {
  readonly kind: 'instance_key' | 'issuer_key' | 'root_key' | 'tenant_key' | 'secret' | 'client_secret'
  /** `*` unless told */
  readonly target?: string
  /** Five fields, UTC */
  readonly cron?: string
  readonly max_age_seconds?: number
  readonly jitter_seconds?: number
}

interface ScheduleUpdate {
  readonly cron?: string | null
  readonly max_age_seconds?: number | null
  readonly jitter_seconds?: number
  readonly status?: 'active' | 'suspended'
}

export interface SchedulesOperations {
  /** Rotate by a cron expression or a maximum age, from now on. */
  'schedules.create': { readonly input: { readonly body: ScheduleCreate }; readonly answer: Schedule }
  /** End a schedule; rotations that it began go on. */
  'schedules.delete': {
    readonly input: { readonly params: { readonly id: string } }
    readonly answer: undefined
  }
  /** See one schedule. */
  'schedules.get': { readonly input: { readonly params: { readonly id: string } }; readonly answer: Schedule }
  /** List schedules of rotations, the oldest first. */
  'schedules.list': {
    readonly input: {
      readonly query?: {
        readonly limit?: string | number
        readonly after?: string | number
        readonly kind?: 'instance_key' | 'issuer_key' | 'root_key' | 'tenant_key' | 'secret' | 'client_secret'
      }
    }
    readonly answer: {
      readonly items: readonly Schedule[]
      readonly next: string | null
    }
  }
  /** Change its rhythm, or suspend and resume it. */
  'schedules.update': {
    readonly input: { readonly params: { readonly id: string }; readonly body: ScheduleUpdate }
    readonly answer: Schedule
  }
}
