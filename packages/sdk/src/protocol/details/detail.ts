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

export interface Problem {
  /** What is wrong, to be put behind the name of what was given: `has no member tool`. */
  readonly problem: string
}

/**
 * A type of details: how it is read, and its subset logic. Everything fails closed: what is not understood is not
 * covered, and a text that cannot be compared is contained in nothing (RFC 9396 §5, threat C29).
 */
export interface DetailType {
  readonly type: string
  /** The detail with its members in order, or what is wrong with it. Unknown members and other spellings are wrong. */
  parse(value: Readonly<Record<string, unknown>>): AuthorizationDetail | Problem
  /** Whether everything that `inner` permits, `outer` permits as well; both as `parse` gave them, of this type. */
  contains(outer: AuthorizationDetail, inner: AuthorizationDetail): boolean
  /** Whether the operation is one of those the detail permits. */
  covers(detail: AuthorizationDetail, operation: Operation): boolean
  /** Whether it permits anything at the resource at all; one that lies elsewhere would be a right nobody has. */
  isAt(detail: AuthorizationDetail, resource: string): boolean
  /** How many steps `covers` takes at most for each letter of an operation; 0 where it is left out. */
  steps?(detail: AuthorizationDetail): number
  /** The least detail that covers the operation, as far as this type can say it; undefined where it covers none such. */
  least(operation: Operation): AuthorizationDetail | undefined
}
