// Generated from docs/openapi.json by tools/openapi.ts; never edited. What the operations below /risks take and answer.

interface Risk {
  readonly subject: string
  readonly score: number
  readonly reason: string
  readonly source: string
  readonly created_at: string
  readonly expires_at: string | null
}

interface RiskReport {
  readonly subject: string
  readonly score: number
  /** Why; kept in the audit log */
  readonly reason: string
  readonly expires_at?: string | null
}

export interface RisksOperations {
  /** List the scores that were reported. */
  'risks.list': {
    readonly input: {
      readonly query?: { readonly limit?: string | number; readonly after?: string | number }
    }
    readonly answer: {
      readonly items: readonly Risk[]
      readonly next: string | null
    }
  }
  /** Say how risky a subject is; policies see it from the next call on. */
  'risks.report': { readonly input: { readonly body: RiskReport }; readonly answer: Risk }
}
