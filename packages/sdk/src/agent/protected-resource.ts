// Which resource a URL belongs to: RFC 9728 metadata, and the checks that keep a stranger from naming another's.
import { boundedCache } from '../protocol/bounded-cache.ts'
import { Fault } from '../protocol/fault.ts'
import { canonicalResource, isSecureUrl } from '../protocol/uri.ts'
import { getDocument, type Wire } from './wire.ts'

export interface ProtectedResources {
  /** The resource known to cover this URL, or undefined. */
  known(url: string): string | undefined
  /**
   * Finds the resource of a URL that answered 401; undefined where it describes none. `metadataUrl` is what its
   * challenge named. Throws `invalid_target` where the metadata is of another resource, or names other issuers.
   */
  discover(url: string, metadataUrl: string | undefined): Promise<string | undefined>
  /** After the issuer did not know the resource: it is looked up again next time. */
  forget(url: string): void
}

interface Known {
  readonly resource: string
  readonly untilMs: number
}

const keptMs = 3_600_000
const maxOrigins = 256
const maxPerOrigin = 32

/** `issuer` is the only one that tokens are asked of. */
export function createProtectedResources(wire: Wire, issuer: string): ProtectedResources {
  const byOrigin = boundedCache<readonly Known[]>(maxOrigins)
  const inFlight = new Map<string, Promise<string | undefined>>()
  const live = (url: string): readonly Known[] =>
    (byOrigin.get(new URL(url).origin) ?? []).filter(({ untilMs }) => wire.clock() < untilMs)

  const find = async (url: string, metadataUrl: string | undefined): Promise<string | undefined> => {
    const resource = await read(
      wire,
      issuer,
      url,
      metadataUrl === undefined ? wellKnown(url) : [sameOrigin(url, metadataUrl)],
    )
    if (resource === undefined) return undefined
    const others = live(url).filter(known => known.resource !== resource)
    byOrigin.set(
      new URL(url).origin,
      [{ resource, untilMs: wire.clock() + keptMs }, ...others].slice(0, maxPerOrigin),
    )
    return resource
  }

  return {
    // The longest wins: a resource below another one is a resource of its own.
    known: url =>
      live(url)
        .map(({ resource }) => resource)
        .filter(resource => covers(resource, url))
        .sort((a, b) => b.length - a.length)[0],
    discover(url, metadataUrl) {
      const name = JSON.stringify([new URL(url).origin, metadataUrl ?? url])
      const request = inFlight.get(name) ?? find(url, metadataUrl).finally(() => inFlight.delete(name))
      inFlight.set(name, request)
      // Shared by all who wait, so each checks it against its own URL.
      return request.then(resource => {
        if (resource !== undefined && !covers(resource, url))
          throw foreign('other_resource', url, { resource })
        return resource
      })
    },
    forget: url => byOrigin.delete(new URL(url).origin),
  }
}

/**
 * Whether a URL lies within a resource: the same origin, and the resource's path or one below it. A token for a
 * resource is never sent anywhere else.
 */
export function covers(resource: string, url: string): boolean {
  if (!URL.canParse(resource)) return false
  const outer = new URL(resource)
  const inner = new URL(url)
  if (outer.origin === 'null' || outer.origin !== inner.origin) return false
  if (outer.search !== '') return outer.pathname === inner.pathname && outer.search === inner.search
  const path = outer.pathname.replace(/\/$/, '')
  return inner.pathname === path || inner.pathname.startsWith(`${path}/`)
}

async function read(
  wire: Wire,
  issuer: string,
  url: string,
  places: readonly string[],
): Promise<string | undefined> {
  for (const place of places) {
    const document = await getDocument(wire, place)
    if (document === undefined) continue
    const { resource, authorization_servers: issuers } = document
    // RFC 9728 §3.3: else any server could have us fetch a token for somebody else's resource and hand it over.
    if (typeof resource !== 'string' || canonicalResource(resource) === undefined || !covers(resource, url)) {
      throw foreign('other_resource', url, { resource })
    }
    // Byte for byte (RFC 9728 §7.6): we know one issuer, and no resource can bring us another.
    if (!Array.isArray(issuers) || !issuers.includes(issuer)) throw foreign('other_issuer', url, { issuers })
    return resource
  }
  return undefined
}

/** RFC 9728 §3.1: the document of a resource lies on its own host. Elsewhere could be anywhere inside our network. */
function sameOrigin(url: string, metadataUrl: string): string {
  const isSame = isSecureUrl(metadataUrl) && new URL(metadataUrl).origin === new URL(url).origin
  if (!isSame) throw foreign('metadata_elsewhere', url, { metadataUrl })
  return metadataUrl
}

/** Where to look when the challenge does not say: for the URL's own path, then for the whole host. */
function wellKnown(url: string): string[] {
  const { origin, pathname } = new URL(url)
  const root = `${origin}/.well-known/oauth-protected-resource`
  return pathname === '/' ? [root] : [`${root}${pathname.replace(/\/$/, '')}`, root]
}

const says: Readonly<Record<string, string>> = {
  other_resource: 'describes itself as another resource',
  other_issuer: 'does not accept tokens of our issuer',
  metadata_elsewhere: 'describes itself on another host',
}

function foreign(kind: string, url: string, facts: Record<string, unknown>): Fault {
  return new Fault('invalid_target', `${new URL(url).origin} ${says[kind]}.`, { kind, ...facts })
}
