// Generated from docs/openapi.json by tools/openapi.ts; never edited. What the operations below /sessions take and answer.

interface Session {
  readonly id: string
  readonly agent: string
  readonly instance: string
  readonly task: string | null
  readonly peer: string | null
  readonly status: 'live' | 'ended'
  readonly created_at: string
  readonly expires_at: string
  readonly ended_at: string | null
  readonly end_reason: string | null
}

interface SessionEnd {
  /** Why; kept in the audit log */
  readonly reason: string
}

export interface SessionsOperations {
  /** End a session at once, with every token of it; the instance may begin another. */
  'sessions.end': {
    readonly input: { readonly params: { readonly id: string }; readonly body: SessionEnd }
    readonly answer: Session
  }
  /** See a session. */
  'sessions.get': { readonly input: { readonly params: { readonly id: string } }; readonly answer: Session }
  /** List sessions in the order in which they began. */
  'sessions.list': {
    readonly input: {
      readonly query?: {
        readonly limit?: string | number
        readonly after?: string | number
        readonly agent?: string | number
        readonly instance?: string | number
      }
    }
    readonly answer: {
      readonly items: readonly Session[]
      readonly next: string | null
    }
  }
}
