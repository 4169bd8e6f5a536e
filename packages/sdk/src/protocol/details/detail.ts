// RFC 9396 §2: one authorization detail, and what a type of them has to answer. Each type is one file beside this one.

/** As it stands in `authorization_details`; its type says which further members there are. */
export interface AuthorizationDetail {
  readonly type: string
  readonly [member: string]: unknown
}

/** One operation at a resource, as the enforcement point sees it: what a detail covers or does not. */
export interface Operation {
  /** The action's name: of a map of the resource, `call` for a tool, a method in lower case for HTTP, a verb for SQL. */
  readonly action: string
  /** The registered resource, canonical. */
  readonly resource: string
  /** What within the resource: a tool, a path, a table; null for the resource as a whole. */
  readonly object: { readonly type: string; readonly id: string } | null
  /** Arguments of the call, as they were parsed once; empty where there are none. */
  readonly arguments: Readonly<Record<string, unknown>>
}

/**
 * A type of details: how it is read, and its subset logic. Everything fails closed: what is not understood is not
 * covered, and a text that cannot be compared is contained in nothing (RFC 9396 §5, threat C29).
 */
export interface DetailType {
  readonly type: string
  /** The detail in its canonical form, or what is wrong with it. Unknown members are wrong. */
  parse(value: Readonly<Record<string, unknown>>): AuthorizationDetail | { readonly problem: string }
  /** Whether everything that `inner` permits, `outer` permits as well; both canonical, of this type. */
  contains(outer: AuthorizationDetail, inner: AuthorizationDetail): boolean
  /** Whether the operation is one of those the detail permits. */
  covers(detail: AuthorizationDetail, operation: Operation): boolean
}
