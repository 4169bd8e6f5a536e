// Generated from docs/openapi.json by tools/openapi.ts; never edited. Objects of several parts of the management API.

export interface Event {
  readonly id: string
  /** Position in the log, from 0 */
  readonly index: number
  readonly time: string
  readonly type: string
  readonly outcome: 'allowed' | 'refused' | 'failed'
  readonly reason: string | null
  /** The agent that it is about; who did it is in the chain */
  readonly agent: string | null
  readonly instance: string | null
  /** Thumbprint of the key that proved the caller */
  readonly key: string | null
  readonly person: string | null
  readonly chain: readonly {
    readonly sub: string
    readonly kind: 'person' | 'agent' | 'instance' | 'client'
  }[]
  readonly resource: string | null
  readonly action: string | null
  readonly decision: Readonly<Record<string, unknown>> | null
  readonly request_id: string
  readonly trace_id: string | null
  readonly peer: string | null
}

export interface Reason {
  /** Why; kept in the audit log */
  readonly reason: string
}
