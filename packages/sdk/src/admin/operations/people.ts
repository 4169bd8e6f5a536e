// Generated from docs/openapi.json by tools/openapi.ts; never edited. What the operations below /people take and answer.

import type { Person, Reason } from './shared.ts'

interface PersonCreate {
  readonly login: string
  readonly name?: string | null
  readonly password?: string | null
}

interface PersonUpdate {
  readonly login?: string
  readonly name?: string | null
  readonly password?: string | null
}

export interface PeopleOperations {
  /** Create a person. */
  'people.create': { readonly input: { readonly body: PersonCreate }; readonly answer: Person }
  /** Delete a person who owns no agent that lives. */
  'people.delete': {
    readonly input: { readonly params: { readonly id: string } }
    readonly answer: undefined
  }
  /** See a person. */
  'people.get': { readonly input: { readonly params: { readonly id: string } }; readonly answer: Person }
  /** List people in the order of their creation. */
  'people.list': {
    readonly input: {
      readonly query?: {
        readonly limit?: string | number
        readonly after?: string | number
        readonly login?: string | number
      }
    }
    readonly answer: {
      readonly items: readonly Person[]
      readonly next: string | null
    }
  }
  /** Let a suspended person act again. */
  'people.resume': {
    readonly input: { readonly params: { readonly id: string }; readonly body: Reason }
    readonly answer: Person
  }
  /** Suspend a person; no new agent can be theirs. */
  'people.suspend': {
    readonly input: { readonly params: { readonly id: string }; readonly body: Reason }
    readonly answer: Person
  }
  /** Change a person; null clears a member. */
  'people.update': {
    readonly input: { readonly params: { readonly id: string }; readonly body: PersonUpdate }
    readonly answer: Person
  }
}
