// The management API as a resource of its own issuer: its one identifier, and the right to look at tokens.

/** Below the issuer. */
const managementPath = '/api/v1'

/** The audience of tokens for it (RFC 8707). */
export function managementIdentifier({ issuer }: { readonly issuer: string }): string {
  return `${issuer}${managementPath}`
}

/** Lets its holder introspect the tokens of every resource (RFC 7662 §4). */
export const introspectionScope = 'writ:tokens:read'
