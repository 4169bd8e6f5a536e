// Generated from docs/openapi.json by tools/openapi.ts; never edited. What the operations below /agents take and answer.

import type { Reason } from './shared.ts'

interface Agent {
  readonly id: string
  readonly name: string
  /** The id of a person, or of the operator */
  readonly owner: string
  readonly purpose: string
  readonly kind: string | null
  readonly model: string | null
  readonly provider: string | null
  readonly version: string | null
  readonly labels: Readonly<Record<string, string>>
  readonly status: 'active' | 'suspended' | 'retired'
  readonly status_reason: string | null
  readonly status_at: string
  readonly expires_at: string | null
  readonly created_at: string
  readonly updated_at: string
}

interface AgentCreate {
  readonly name: string
  /** The id or login of a person, or the id of the operator */
  readonly owner: string
  readonly purpose: string
  readonly kind?: string | null
  readonly model?: string | null
  readonly provider?: string | null
  readonly version?: string | null
  readonly labels?: Readonly<Record<string, string>>
  readonly expires_at?: string | null
  /** Public keys; each makes one instance */
  readonly jwks?: {
    readonly keys: readonly Readonly<Record<string, unknown>>[]
  }
}

interface AgentUpdate {
  readonly name?: string
  /** The id or login of a person, or the id of the operator */
  readonly owner?: string
  readonly purpose?: string
  readonly kind?: string | null
  readonly model?: string | null
  readonly provider?: string | null
  readonly version?: string | null
  readonly labels?: Readonly<Record<string, string>>
  readonly expires_at?: string | null
}

interface Enrollment {
  readonly token: string
  readonly expires_at: string
  readonly enroll_uri: string
}

interface Instance {
  readonly id: string
  readonly agent: string
  /** By a token of its own, or by an administrator */
  readonly origin: 'enrolled' | 'registered'
  readonly created_at: string
}

interface Key {
  readonly kid: string
  /** RFC 7638, SHA-256 */
  readonly thumbprint: string
  readonly instance: string | null
  readonly state: 'staged' | 'active' | 'retiring' | 'retired' | 'revoked'
  readonly state_reason: string | null
  readonly state_at: string
  readonly jwk: Readonly<Record<string, unknown>>
  readonly not_before: string
  readonly expires_at: string | null
  readonly created_at: string
  readonly last_used_at: string | null
  readonly last_used_from: string | null
}

interface KeyCreate {
  readonly jwk: Readonly<Record<string, unknown>>
  /** The configured life of a key unless told; null for a key without an end */
  readonly expires_at?: string | null
}

export interface AgentsOperations {
  /** Create an agent; without a grant it can do nothing. */
  'agents.create': { readonly input: { readonly body: AgentCreate }; readonly answer: Agent }
  /** See an agent. */
  'agents.get': { readonly input: { readonly params: { readonly id: string } }; readonly answer: Agent }
  /** List agents in the order of their creation. */
  'agents.list': {
    readonly input: {
      readonly query?: {
        readonly limit?: string | number
        readonly after?: string | number
        readonly owner?: string | number
        readonly status?: 'active' | 'suspended' | 'retired'
        readonly name?: string | number
      }
    }
    readonly answer: {
      readonly items: readonly Agent[]
      readonly next: string | null
    }
  }
  /** Let a suspended agent obtain tokens again; the old ones stay dead. */
  'agents.resume': {
    readonly input: { readonly params: { readonly id: string }; readonly body: Reason }
    readonly answer: Agent
  }
  /** End an agent for ever; it stays resolvable for the audit. */
  'agents.retire': {
    readonly input: { readonly params: { readonly id: string }; readonly body: Reason }
    readonly answer: Agent
  }
  /** Stop an agent at once; every token of it is dead. */
  'agents.suspend': {
    readonly input: { readonly params: { readonly id: string }; readonly body: Reason }
    readonly answer: Agent
  }
  /** Change what is said about an agent; null clears a member. */
  'agents.update': {
    readonly input: { readonly params: { readonly id: string }; readonly body: AgentUpdate }
    readonly answer: Agent
  }
  /** Make a single-use token by which one new instance enrols with its own key. */
  'enrollments.create': {
    readonly input: { readonly params: { readonly id: string } }
    readonly answer: Enrollment
  }
  /** List the instances of an agent, in the order in which they came. */
  'instances.list': {
    readonly input: {
      readonly params: { readonly id: string }
      readonly query?: { readonly limit?: string | number; readonly after?: string | number }
    }
    readonly answer: {
      readonly items: readonly Instance[]
      readonly next: string | null
    }
  }
  /** Register a public key; it makes a new instance of the agent. */
  'keys.create': {
    readonly input: { readonly params: { readonly id: string }; readonly body: KeyCreate }
    readonly answer: Key
  }
  /** See a key of an agent. */
  'keys.get': {
    readonly input: { readonly params: { readonly id: string; readonly kid: string } }
    readonly answer: Key
  }
  /** List the keys of an agent with their states and last use, in the order in which they were registered. */
  'keys.list': {
    readonly input: {
      readonly params: { readonly id: string }
      readonly query?: { readonly limit?: string | number; readonly after?: string | number }
    }
    readonly answer: {
      readonly items: readonly Key[]
      readonly next: string | null
    }
  }
  /** Revoke a key at once, with every token that was obtained by it or is bound to it. */
  'keys.revoke': {
    readonly input: { readonly params: { readonly id: string; readonly kid: string }; readonly body: Reason }
    readonly answer: Key
  }
}
