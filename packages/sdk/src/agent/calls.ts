// What an agent does, and each of its sessions alike: a `fetch` that proves who calls, and the tokens themselves.
import type { AuthorizationDetail } from '../protocol/details/detail.ts'
import type { Secret } from '../protocol/secret.ts'
import {
  type Authorization,
  type AuthorizedInit,
  authorizedFetch,
  type FetchDeps,
  scopesIn,
} from './authorized-fetch.ts'

export interface TokenOptions {
  readonly resource: string
  /** The issuer's default where left out. */
  readonly scope?: string
  /** RFC 9396: what it is limited to; whatever the grants limit it to where left out. */
  readonly authorizationDetails?: readonly AuthorizationDetail[]
  /** A token that anybody who holds it can use, where the resource allows that. */
  readonly bearer?: boolean
}

export interface ObtainedToken {
  readonly accessToken: Secret<string>
  readonly tokenType: 'DPoP' | 'Bearer'
  readonly scope: string
  /** Those that were granted; empty where the scopes alone say it. */
  readonly authorizationDetails: readonly AuthorizationDetail[]
  /** Epoch seconds. */
  readonly expiresAt: number
}

export interface Calls {
  /**
   * `fetch` with a token for the URL's resource and a proof for the request. Answers whatever the resource answers.
   *
   * @throws Fault `invalid_target` where the resource trusts other issuers than ours or claims to be another one,
   *   `invalid_request` where the call could give credentials away, `invalid_client` where the agent was stopped,
   *   `invalid_scope` where the scope is not granted, `invalid_authorization_details` where the details are not, `temporarily_unavailable` where the issuer does not answer.
   */
  fetch(input: string | URL | Request, init?: AuthorizedInit): Promise<Response>
  /** A `fetch` with these settled, for libraries that take one. */
  fetchFor(authorization?: Authorization): typeof fetch
  /** A token itself, kept until it ends. Throws what `fetch` throws. */
  token(options: TokenOptions): Promise<ObtainedToken>
}

export function callsWith(deps: FetchDeps): Calls {
  return {
    fetch: (input, init) => authorizedFetch(deps, input, init),
    fetchFor:
      (authorization = {}) =>
      (input, init) =>
        authorizedFetch(deps, input, { ...init, ...authorization }),
    token: options => obtain(deps, options),
  }
}

async function obtain(
  { tokens }: FetchDeps,
  { resource, scope, authorizationDetails: details, bearer = false }: TokenOptions,
): Promise<ObtainedToken> {
  const token = await tokens.get({ resource, scopes: scopesIn(scope), details, bearer })
  return {
    accessToken: token.accessToken,
    tokenType: token.key === undefined ? 'Bearer' : 'DPoP',
    scope: token.scopes.join(' '),
    authorizationDetails: token.details,
    expiresAt: Math.floor(token.expiresAtMs / 1000),
  }
}
