// Where the issuer keeps what a verifier needs: RFC 8414 metadata and our own document beside it.
import { isSecureUrl } from '../../protocol/uri.ts'
import { type DocumentOptions, fetchDocument } from './document.ts'

export interface IssuerPlaces {
  readonly jwksUri: string
  readonly revocationStream: string
  /** Where a verifier says what it enforces; undefined where the issuer does not ask. */
  readonly confirmationEndpoint: string | undefined
  readonly heartbeatSeconds: number
  /** After how long without contact the issuer wants verifiers to deny. */
  readonly stalenessSeconds: number
  /** How long verifiers may go without reading the keys anew. */
  readonly keysCacheSeconds: number
}

/**
 * Reads the discovery documents of `issuer`. Throws an Error when one is missing, names another issuer, or points to
 * an address that is neither https nor loopback: then nothing of it may be used.
 */
export async function discover(issuer: string, options: DocumentOptions): Promise<IssuerPlaces> {
  const [server, writ] = await Promise.all([
    fetchOwn(issuer, 'oauth-authorization-server', options),
    fetchOwn(issuer, 'writ-configuration', options),
  ])
  const limits = await fetchDocument(secureUrl(writ, 'limits'), options)
  return {
    jwksUri: secureUrl(server, 'jwks_uri'),
    revocationStream: secureUrl(writ, 'revocation_stream'),
    confirmationEndpoint:
      writ['confirmation_endpoint'] === undefined ? undefined : secureUrl(writ, 'confirmation_endpoint'),
    heartbeatSeconds: within(limits['heartbeat_seconds'], 0.05, 10, 1),
    stalenessSeconds: within(limits['staleness_seconds'], 0, 3600, 5),
    keysCacheSeconds: within(limits['jwks_cache_seconds'], 1, 3600, 60),
  }
}

async function fetchOwn(
  issuer: string,
  name: string,
  options: DocumentOptions,
): Promise<Record<string, unknown>> {
  const document = await fetchDocument(wellKnown(issuer, name), options)
  // RFC 8414 §3.3: byte for byte, or a server could answer for an issuer that it is not (mix-up).
  if (document['issuer'] !== issuer) throw new Error(`the ${name} of ${issuer} names another issuer`)
  return document
}

/** RFC 8414 §3.1: the name is inserted before the issuer's path, without its final slash. */
export function wellKnown(url: string, name: string): string {
  const { origin, pathname } = new URL(url)
  return `${origin}/.well-known/${name}${pathname.replace(/\/$/, '')}`
}

function secureUrl(document: Record<string, unknown>, member: string): string {
  const value = document[member]
  if (typeof value === 'string' && isSecureUrl(value)) return value
  throw new Error(`${member} of the issuer is not an https address`)
}

const within = (value: unknown, least: number, most: number, standard: number): number =>
  typeof value === 'number' && value >= least && value <= most ? value : standard
