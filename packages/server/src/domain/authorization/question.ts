// One question to the decision point, and everything that was read to answer it: inert values, no I/O.
import type { AuthorizationDetail, Operation } from '@writ/sdk/protocol/details/detail'
import type { AgentId, ApprovalId, GrantId, InstanceId, PersonId } from '@writ/sdk/protocol/identifier'
import type { Agent, Key } from '../agent.ts'
import type { Client, Person } from '../client.ts'
import type { Grant } from '../grant.ts'
import type { Resource } from '../resource.ts'
import type { Approval } from './approval.ts'
import type { Halt } from './halt.ts'
import type { PolicySet } from './policy/set.ts'
import type { Session } from './session.ts'
import type { Amounts } from './spending.ts'

/** Somebody whose rights are asked for. Entities that are not of ours (`other`) have rights from policies alone. */
export type Party =
  | { readonly kind: 'agent'; readonly id: AgentId; readonly instance: InstanceId | null }
  | { readonly kind: 'person'; readonly id: PersonId }
  | { readonly kind: 'client'; readonly id: string }
  | { readonly kind: 'other'; readonly type: string; readonly id: string }

/** An attribute with the word of whom we have it from. Only what we registered or verified ourselves is attested. */
export interface Claimed {
  readonly value: string | number | boolean
  readonly attested: boolean
  readonly source: string
}

/** The ceiling of a token that the call came with: nothing beyond it is allowed, whatever is granted. */
export interface Ceiling {
  readonly grants: readonly GrantId[]
  readonly scopes: readonly string[]
  readonly authorizationDetails: readonly AuthorizationDetail[]
  /** What else ends the token; absent where only its rights are known. */
  readonly token?: ShownToken
}

/** A token of ours as the enforcement point has verified it. */
export interface ShownToken {
  readonly jti: string
  /** RFC 7638 thumbprint of the key that authenticated its client. */
  readonly key: string
  /** Thumbprint of the key that it is bound to, where that is another one (RFC 9449 §6.1); absent or null where not. */
  readonly boundTo?: string | null
  readonly epoch: number
  readonly expiresAt: number
}

export interface Question {
  /** The enforcement point that asks; absent where we ask ourselves. */
  readonly askedBy?: string
  /** Who makes the call. */
  readonly subject: Party
  /** On whose behalf, the person or first agent first; empty where the subject acts for itself. All must be allowed. */
  readonly chain: readonly Party[]
  readonly operation: Operation
  /** Set where the resource is none of ours: its type and id as given. */
  readonly foreign: { readonly type: string; readonly id: string } | null
  /** Set where a name is spelt in a way that others could read as another one: what is wrong with it. */
  readonly misspelt?: string
  readonly ceiling: Ceiling | null
  readonly context: {
    /** Epoch milliseconds: the clock of the decision point, never the caller's. */
    readonly nowMs: number
    readonly peer: string | null
    readonly session: string | null
    readonly task: string | null
    /** Seconds since the caller authenticated, and since its key was made; null where nobody knows. */
    readonly authenticationAge: number | null
    readonly keyAge: number | null
    readonly key: string | null
    readonly approval: ApprovalId | null
    /** What the call will cost at most, by unit of budgets; `calls` is 1 unless it is said otherwise. */
    readonly amounts: Amounts
  }
  /** Attributes that came with the question: of the subject, the object, and the call. */
  readonly claimed: {
    readonly subject: Readonly<Record<string, Claimed>>
    readonly object: Readonly<Record<string, Claimed>>
    readonly context: Readonly<Record<string, Claimed>>
  }
}

export interface AgentFacts {
  readonly agent: Agent
  readonly grants: readonly Grant[]
  /** Those that were not dead when they were read; absent where no instance is asked about. */
  readonly keys?: readonly Key[]
}

/** What was read to answer. Everything a rule looks at is in here or in the question. */
export interface DecisionFacts {
  readonly agents: ReadonlyMap<string, AgentFacts>
  readonly people: ReadonlyMap<string, Person>
  readonly clients: ReadonlyMap<string, Client>
  readonly resource: Resource | undefined
  readonly session: Session | undefined
  readonly approval: Approval | undefined
  /** By id of the subject. */
  readonly risks: ReadonlyMap<string, number>
  readonly policies: { readonly active: PolicySet | undefined; readonly shadow: PolicySet | undefined }
  readonly halts: readonly Halt[]
}

/** What refused: whose part it is, and which rule of which kind. For the operator; a caller hears one dull sentence. */
export interface Refusal {
  readonly party: string
  readonly by:
    | 'halt'
    | 'standing'
    | 'session'
    | 'ceiling'
    | 'grant'
    | 'details'
    | 'condition'
    | 'policy'
    | 'policy_error'
    | 'approval'
    | 'budget'
    | 'resource'
  /** A policy id, a grant, a halt, a status: what exactly. */
  readonly rule: string
  readonly say: string
}
