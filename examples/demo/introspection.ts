// The operator asks the authority whether a token lives: RFC 7662, by an OAuth library of others.
import * as oauth from 'oauth4webapi'
import type { Stage } from './stage.ts'

// The demo stays on loopback, where http is as good as https.
const insecure = { [oauth.allowInsecureRequests]: true }

/** A function that answers whether a token is active. */
export async function introspector({
  issuer,
  operator,
}: Stage): Promise<(token: string) => Promise<boolean>> {
  const url = new URL(issuer)
  const discovered = await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...insecure })
  const server = await oauth.processDiscoveryResponse(url, discovered)
  const jwk = operator.jwk as JsonWebKey & { readonly kid?: string }
  const key = await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, [
    'sign',
  ])
  const authentication = oauth.PrivateKeyJwt(jwk.kid === undefined ? key : { key, kid: jwk.kid })
  const client = { client_id: operator.client_id }
  return async token => {
    const answer = await oauth.introspectionRequest(server, client, authentication, token, insecure)
    return (await oauth.processIntrospectionResponse(server, client, answer)).active
  }
}
