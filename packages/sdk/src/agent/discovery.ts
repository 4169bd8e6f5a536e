// Where the issuer's endpoints are: RFC 8414 §3 in the order of places that MCP asks for, and our own document.
import { Fault } from '../protocol/fault.ts'
import type { JsonObject } from '../protocol/json.ts'
import { isSecureUrl } from '../protocol/uri.ts'
import { getDocument, type Wire } from './wire.ts'

export interface Discovery {
  readonly issuer: string
  /** RFC 8414 `token_endpoint`. Throws `server_error` where the metadata is not this issuer's. */
  tokenEndpoint(): Promise<string>
  /** A member of `/.well-known/writ-configuration`. Throws `server_error` where the issuer has none. */
  endpoint(
    member:
      | 'enrollment_endpoint'
      | 'key_rotation_endpoint'
      | 'activation_endpoint'
      | 'session_endpoint'
      | 'revocation_stream'
      | 'vault',
  ): Promise<string>
}

/** Long enough to cost nothing, short enough that a moved endpoint is found. */
const keptMs = 600_000

/** Throws `invalid_request` for an issuer that is not https, or http on this machine. */
export function createDiscovery(wire: Wire, issuer: string): Discovery {
  if (!isSecureUrl(issuer) || /[?#]/.test(issuer)) {
    throw new Fault('invalid_request', 'The issuer must be an https URL without query and fragment.', {
      kind: 'issuer',
      issuer,
    })
  }
  const oauth = kept(wire, () => first(wire, issuer, wellKnown(issuer)))
  const writ = kept(wire, () => first(wire, issuer, [inserted(issuer, 'writ-configuration')]))
  return {
    issuer,
    async tokenEndpoint() {
      const metadata = await oauth()
      // What is not offered would fail later with less to say.
      if (!lists(metadata, 'token_endpoint_auth_methods_supported', 'private_key_jwt'))
        throw broken(issuer, 'no_private_key_jwt')
      if (!lists(metadata, 'dpop_signing_alg_values_supported', 'ES256')) throw broken(issuer, 'no_dpop')
      return secureUrl(metadata, 'token_endpoint', issuer)
    },
    endpoint: async member => secureUrl(await writ(), member, issuer),
  }
}

/** RFC 8414 §3.1 puts the path after the well-known part; OpenID Connect Discovery §4 before it. */
function wellKnown(issuer: string): string[] {
  const oauth = inserted(issuer, 'oauth-authorization-server')
  const openid = inserted(issuer, 'openid-configuration')
  const appended = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  return appended === openid ? [oauth, openid] : [oauth, openid, appended]
}

function inserted(issuer: string, name: string): string {
  const { origin, pathname } = new URL(issuer)
  return `${origin}/.well-known/${name}${pathname.replace(/\/$/, '')}`
}

async function first(wire: Wire, issuer: string, urls: readonly string[]): Promise<JsonObject> {
  for (const url of urls) {
    const document = await getDocument(wire, url)
    if (document === undefined) continue
    // RFC 8414 §3.3: identical, byte for byte; else one server could speak for another (mix-up, threat C08).
    if (document['issuer'] !== issuer)
      throw broken(issuer, 'issuer_mismatch', { url, named: document['issuer'] })
    return document
  }
  throw broken(issuer, 'no_metadata', { urls })
}

/** One request at a time; its answer for ten minutes, its failure never. */
function kept(wire: Wire, read: () => Promise<JsonObject>): () => Promise<JsonObject> {
  let current: { readonly document: Promise<JsonObject>; readonly untilMs: number } | undefined
  return () => {
    if (current !== undefined && wire.clock() < current.untilMs) return current.document
    const mine = { document: read(), untilMs: wire.clock() + keptMs }
    current = mine
    mine.document.catch(() => {
      if (current === mine) current = undefined
    })
    return mine.document
  }
}

function lists(metadata: JsonObject, member: string, value: string): boolean {
  const values = metadata[member]
  return Array.isArray(values) && values.includes(value)
}

function secureUrl(document: JsonObject, member: string, issuer: string): string {
  const url = document[member]
  if (typeof url !== 'string' || !isSecureUrl(url)) throw broken(issuer, 'endpoint', { member })
  return url
}

function broken(issuer: string, kind: string, facts?: Record<string, unknown>): Fault {
  return new Fault('server_error', `${issuer} does not describe itself as an issuer that agents can use.`, {
    kind,
    issuer,
    ...facts,
  })
}
