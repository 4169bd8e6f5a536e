// What a request to a protocol endpoint shows for itself, collected by the face and not yet judged.

/** Parameters of a form (RFC 6749 Appendix B), each at most once unless declared repeatable; none of them empty. */
export type Form = ReadonlyMap<string, readonly string[]>

export interface Evidence {
  readonly method: string
  /** The URI as published, without query: never built from headers of the request. */
  readonly uri: string
  readonly form: Form
  readonly authorization: string | undefined
  readonly dpop: string | undefined
}

/** The one value of a parameter, or undefined. */
export function one(form: Form, name: string): string | undefined {
  return form.get(name)?.[0]
}
