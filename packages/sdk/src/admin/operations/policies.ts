// Generated from docs/openapi.json by tools/openapi.ts; never edited. What the operations below /policies take and answer.

interface PolicyProblem {
  readonly policy: string | null
  readonly line: number | null
  readonly say: string
}

interface PolicyReplay {
  /** How many decisions were looked at */
  readonly decisions: number
  readonly changed: readonly PolicyReplayChange[]
  readonly unknown: readonly PolicyReplayUnknown[]
  /** Pass it as `after` to go on; null at the end */
  readonly next: string | null
}

interface PolicyReplayChange {
  readonly event: string
  /** Which one of a batch, from 0 */
  readonly item: number | null
  readonly request_id: string
  readonly time: string
  /** How often it was answered so, more than once from memory */
  readonly count: number
  readonly subject: string
  readonly on_behalf_of: readonly string[]
  readonly action: string
  readonly resource: string
  readonly object: string | null
  readonly before: {
    readonly decision: boolean
    readonly rule: string
    readonly policies: readonly string[]
    readonly policy_version: number
  }
  readonly after: {
    readonly decision: boolean
    readonly rule: string | null
    /** Whom the policies refuse */
    readonly party: string | null
    readonly policies: readonly string[]
  }
}

interface PolicyReplayRequest {
  /** Cedar policies, at most 128 KiB */
  readonly source: string
  /** Names of actions that no registered resource has */
  readonly actions?: readonly string[]
  /** Decisions from this instant on */
  readonly since: string
  /** Decisions before this instant */
  readonly until?: string
  /** How many entries of the log a page looks at; 200 unless told */
  readonly limit?: number
  /** The `next` of the page before */
  readonly after?: string
}

interface PolicyReplayUnknown {
  readonly event: string
  readonly item: number | null
  readonly request_id: string
  readonly time: string
  readonly count: number
  readonly subject: string
  readonly action: string
  /** Why nobody can say what it would be */
  readonly why: string
}

interface PolicyRollback {
  readonly active: PolicySet | null
  readonly former: PolicySet
}

interface PolicySet {
  readonly id: string
  readonly number: number
  readonly state: 'draft' | 'shadow' | 'active' | 'former'
  readonly note: string
  /** SHA-256 of the text, base64url */
  readonly digest: string
  readonly actions: readonly string[]
  readonly created_at: string
  readonly created_by: string
  readonly activated_at: string | null
  readonly source: string
}

interface PolicySetCreate {
  /** Cedar policies, at most 128 KiB */
  readonly source: string
  /** Names of actions that no registered resource has */
  readonly actions?: readonly string[]
  readonly note?: string
}

interface PolicySetListed {
  readonly id: string
  readonly number: number
  readonly state: 'draft' | 'shadow' | 'active' | 'former'
  readonly note: string
  /** SHA-256 of the text, base64url */
  readonly digest: string
  readonly actions: readonly string[]
  readonly created_at: string
  readonly created_by: string
  readonly activated_at: string | null
}

interface PolicySetMove {
  /** Why; kept in the audit log */
  readonly reason: string
}

interface PolicySetProposed {
  /** Cedar policies, at most 128 KiB */
  readonly source: string
  /** Names of actions that no registered resource has */
  readonly actions?: readonly string[]
}

interface PolicySetVerdict {
  readonly valid: boolean
  readonly problems: readonly PolicyProblem[]
}

export interface PoliciesOperations {
  /** Put a policy set into force at once, in place of the one that is. */
  'policies.activate': {
    readonly input: { readonly params: { readonly id: string }; readonly body: PolicySetMove }
    readonly answer: PolicySet
  }
  /** Store a policy set that is valid; it has no effect until it is activated. */
  'policies.create': { readonly input: { readonly body: PolicySetCreate }; readonly answer: PolicySet }
  /** See a policy set with its text. */
  'policies.get': { readonly input: { readonly params: { readonly id: string } }; readonly answer: PolicySet }
  /** List policy sets in the order of their creation, without their texts. */
  'policies.list': {
    readonly input: {
      readonly query?: {
        readonly limit?: string | number
        readonly after?: string | number
        readonly state?: 'draft' | 'shadow' | 'active' | 'former'
      }
    }
    readonly answer: {
      readonly items: readonly PolicySetListed[]
      readonly next: string | null
    }
  }
  /** List the recorded decisions that a policy set would answer otherwise, without storing it. */
  'policies.replay': { readonly input: { readonly body: PolicyReplayRequest }; readonly answer: PolicyReplay }
  /** Put the policy set that was in force before into force again; without one, none is. */
  'policies.rollback': { readonly input: { readonly body: PolicySetMove }; readonly answer: PolicyRollback }
  /** Evaluate a policy set beside the one in force, without effect, and record where they differ. */
  'policies.shadow': {
    readonly input: { readonly params: { readonly id: string }; readonly body: PolicySetMove }
    readonly answer: PolicySet
  }
  /** Say what is wrong with a policy set, without storing it. */
  'policies.validate': {
    readonly input: { readonly body: PolicySetProposed }
    readonly answer: PolicySetVerdict
  }
  /** End the trial of a policy set. */
  'policies.withdraw': {
    readonly input: { readonly params: { readonly id: string }; readonly body: PolicySetMove }
    readonly answer: PolicySet
  }
}
