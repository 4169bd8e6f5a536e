// What a protected resource says about itself: RFC 9728 §2 and §3.
import { algorithmsOf } from '../protocol/algorithms.ts'
import { isScopeToken } from '../protocol/scope.ts'
import { wellKnown } from './issuer/discovery.ts'

export interface MetadataOptions {
  readonly issuer: string
  readonly bearer?: boolean
  /** The scopes of the resource, for clients that choose before they are challenged. */
  readonly scopes?: readonly string[]
  /** A name for people. */
  readonly name?: string
  readonly documentation?: string
}

/** The `alg` values that proofs may use, and that challenges name. */
export const proofAlgorithms: readonly string[] = algorithmsOf('holder').filter(name => name !== 'EdDSA')

/** RFC 9728 §3.1: the document's address, its name inserted before the path of the resource. */
export const metadataUrlOf = (resource: string): string => wellKnown(resource, 'oauth-protected-resource')

/** The document. `resource` in canonical form. Throws a RangeError for scopes that may not be advertised. */
export function metadataOf(resource: string, options: MetadataOptions): Readonly<Record<string, unknown>> {
  const { scopes, name, documentation, bearer = false } = options
  for (const scope of scopes ?? []) {
    if (!isScopeToken(scope)) throw new RangeError(`${JSON.stringify(scope)} is no scope`)
    // MCP 2026-07-28, authorization: asking for it is the client's business with the authorization server.
    if (scope === 'offline_access') throw new RangeError('a resource does not advertise offline_access')
  }
  return {
    resource,
    authorization_servers: [options.issuer],
    ...(scopes === undefined ? {} : { scopes_supported: scopes }),
    bearer_methods_supported: ['header'],
    ...(name === undefined ? {} : { resource_name: name }),
    ...(documentation === undefined ? {} : { resource_documentation: documentation }),
    dpop_signing_alg_values_supported: proofAlgorithms,
    dpop_bound_access_tokens_required: !bearer,
  }
}
