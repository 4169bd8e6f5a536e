// What a protected resource says about itself: RFC 9728 §2 and §3, RFC 9396 §10.
import { algorithmsOf } from '../protocol/algorithms.ts'
import { detailTypes } from '../protocol/details/index.ts'
import { formatScopeActions, type ScopeActionMap } from '../protocol/details/scope-actions.ts'
import { isScopeToken } from '../protocol/scope.ts'
import { wellKnown } from './issuer/discovery.ts'

export interface MetadataOptions {
  readonly issuer: string
  readonly bearer?: boolean
  /** The scopes of the resource, for clients that choose before they are challenged. */
  readonly scopes?: readonly string[]
  /** RFC 9396 §10: the types of authorization details that the resource understands. */
  readonly authorizationDetailsTypes?: readonly string[]
  /** The map from its actions to the scopes they need, as it is registered with the issuer. */
  readonly scopeActions?: ScopeActionMap
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
  const { scopes, name, documentation, bearer = false, authorizationDetailsTypes, scopeActions } = options
  for (const scope of scopes ?? []) {
    if (!isScopeToken(scope)) throw new RangeError(`${JSON.stringify(scope)} is no scope`)
    // MCP 2026-07-28, authorization: asking for it is the client's business with the authorization server.
    if (scope === 'offline_access') throw new RangeError('a resource does not advertise offline_access')
  }
  for (const type of authorizationDetailsTypes ?? []) {
    if (!Object.hasOwn(detailTypes, type))
      throw new RangeError(`${JSON.stringify(type)} is no type of details`)
  }
  return {
    resource,
    authorization_servers: [options.issuer],
    ...(scopes === undefined ? {} : { scopes_supported: scopes }),
    bearer_methods_supported: ['header'],
    ...(authorizationDetailsTypes === undefined
      ? {}
      : { authorization_details_types_supported: authorizationDetailsTypes }),
    // Ours: RFC 9728 §2 leaves room for members of others.
    ...(scopeActions === undefined ? {} : { writ_scope_actions: formatScopeActions(scopeActions) }),
    ...(name === undefined ? {} : { resource_name: name }),
    ...(documentation === undefined ? {} : { resource_documentation: documentation }),
    dpop_signing_alg_values_supported: proofAlgorithms,
    dpop_bound_access_tokens_required: !bearer,
  }
}
