// Generated from docs/openapi.json by tools/openapi.ts; never edited. What the operations below /groups take and answer.

import type { Person } from './shared.ts'

interface Group {
  readonly id: string
  readonly name: string
  readonly description: string
  readonly created_at: string
}

interface GroupCreate {
  readonly name: string
  readonly description?: string
}

interface GroupMember {
  readonly person: string
}

export interface GroupsOperations {
  /** Take a person into a group. */
  'groups.add': {
    readonly input: { readonly params: { readonly id: string }; readonly body: GroupMember }
    readonly answer: Person
  }
  /** Create a group of people. */
  'groups.create': { readonly input: { readonly body: GroupCreate }; readonly answer: Group }
  /** Delete a group that nobody belongs to. */
  'groups.delete': {
    readonly input: { readonly params: { readonly id: string } }
    readonly answer: undefined
  }
  /** See a group. */
  'groups.get': { readonly input: { readonly params: { readonly id: string } }; readonly answer: Group }
  /** List groups in the order of their creation. */
  'groups.list': {
    readonly input: {
      readonly query?: {
        readonly limit?: string | number
        readonly after?: string | number
        readonly name?: string | number
      }
    }
    readonly answer: {
      readonly items: readonly Group[]
      readonly next: string | null
    }
  }
  /** List who belongs to a group, in the order of their creation. */
  'groups.members': {
    readonly input: {
      readonly params: { readonly id: string }
      readonly query?: { readonly limit?: string | number; readonly after?: string | number }
    }
    readonly answer: {
      readonly items: readonly Person[]
      readonly next: string | null
    }
  }
  /** Take a person out of a group. */
  'groups.remove': {
    readonly input: { readonly params: { readonly id: string; readonly person: string } }
    readonly answer: Person
  }
}
