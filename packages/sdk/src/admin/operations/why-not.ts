// Generated from docs/openapi.json by tools/openapi.ts; never edited. What the operations below /why-not take and answer.

interface WhyNot {
  readonly decision: boolean
  /** Which kind of check refused; null where none did */
  readonly refused_by: string | null
  /** Whose part of it */
  readonly party: string | null
  /** A policy, a grant, a halt, a status: what exactly */
  readonly rule: string | null
  readonly says: string
  readonly policy_version: number
  readonly policies: readonly string[]
  readonly smallest_grant: {
    readonly agent: string
    readonly resource: string
    readonly scopes: readonly string[]
    readonly authorization_details: readonly Readonly<Record<string, unknown>>[]
  } | null
}

export interface WhyNotOperations {
  /** See what refuses an operation now, and the smallest grant that would allow it. */
  'decisions.why-not': {
    readonly input: {
      readonly body: {
        readonly agent: string
        /** The name of the action, such as `call` or `get` */
        readonly action: string
        /** The identifier of the resource, with `#` and an id for something within it */
        readonly resource: string
        /** What the id after `#` is; `tool` unless told */
        readonly type?: string
        /** On whose behalf */
        readonly person?: string
        readonly instance?: string
        readonly session?: string
        /** The address it comes from */
        readonly peer?: string
        /** Of the call */
        readonly arguments?: Readonly<Record<string, unknown>>
      }
    }
    readonly answer: WhyNot
  }
}
