// Generated from docs/openapi.json by tools/openapi.ts; never edited. What the operations below /resources take and answer.

interface Resource {
  readonly id: string
  readonly identifier: string
  readonly name: string
  readonly scopes: readonly {
    readonly name: string
    readonly description: string
    readonly includes: readonly string[]
    readonly sensitive: boolean
  }[]
  readonly introspection_clients: readonly string[]
  readonly bearer_allowed: boolean
  readonly actions: Readonly<
    Record<
      string,
      {
        readonly any_of: readonly string[]
        readonly recorded: readonly string[]
      }
    >
  > | null
  /** Grows by one with each change of the map */
  readonly actions_version: number | null
  readonly created_at: string
  readonly updated_at: string
}

interface ResourceCreate {
  /** RFC 8707 §2: an absolute URI */
  readonly identifier: string
  readonly name: string
  readonly scopes: readonly {
    readonly name: string
    readonly description: string
    readonly includes?: readonly string[]
    readonly sensitive?: boolean
  }[]
  /** Clients and agents that may introspect tokens for this resource */
  readonly introspection_clients?: readonly string[]
  /** Whether tokens without a key binding may be issued for it; no unless told */
  readonly bearer_allowed?: boolean
  /** What each action needs; one without a row needs the scope of its own name */
  readonly actions?: Readonly<
    Record<
      string,
      {
        /** Any one of these scopes is enough */
        readonly any_of: readonly string[]
        /** Arguments whose values are kept in the record of a decision; no others are */
        readonly recorded?: readonly string[]
      }
    >
  >
}

interface ResourceUpdate {
  readonly name?: string
  readonly scopes?: readonly {
    readonly name: string
    readonly description: string
    readonly includes?: readonly string[]
    readonly sensitive?: boolean
  }[]
  /** Clients and agents that may introspect tokens for this resource */
  readonly introspection_clients?: readonly string[]
  /** Whether tokens without a key binding may be issued for it; no unless told */
  readonly bearer_allowed?: boolean
  /** What each action needs; one without a row needs the scope of its own name */
  readonly actions?: Readonly<
    Record<
      string,
      {
        /** Any one of these scopes is enough */
        readonly any_of: readonly string[]
        /** Arguments whose values are kept in the record of a decision; no others are */
        readonly recorded?: readonly string[]
      }
    >
  >
}

export interface ResourcesOperations {
  /** Register a protected resource with its scopes. */
  'resources.create': { readonly input: { readonly body: ResourceCreate }; readonly answer: Resource }
  /** Delete a protected resource with its grants; the tokens for it are dead. */
  'resources.delete': {
    readonly input: { readonly params: { readonly id: string } }
    readonly answer: undefined
  }
  /** See a protected resource. */
  'resources.get': { readonly input: { readonly params: { readonly id: string } }; readonly answer: Resource }
  /** List protected resources in the order of their registration. */
  'resources.list': {
    readonly input: {
      readonly query?: {
        readonly limit?: string | number
        readonly after?: string | number
        readonly identifier?: string | number
      }
    }
    readonly answer: {
      readonly items: readonly Resource[]
      readonly next: string | null
    }
  }
  /** Change a protected resource; removing a scope ends the tokens for it. */
  'resources.update': {
    readonly input: { readonly params: { readonly id: string }; readonly body: ResourceUpdate }
    readonly answer: Resource
  }
}
