// Where a resource stands, from configuration alone: RFC 8707 identifier, the address clients use, RFC 9449 §11.1.
import { Fault } from '../protocol/fault.ts'
import { canonicalHtu, canonicalResource } from '../protocol/uri.ts'
import { pathOf } from './evidence.ts'

export interface Place {
  /** The identifier in its canonical form: what `aud` must be. */
  readonly resource: string
  /**
   * The address of a request as clients know it, for its proof to name. Nothing that the request says about its host
   * counts: a forwarded host would let a proof for one server serve another. Throws `invalid_request`, or `not_found`
   * for a path that is not the resource's: a token for `/v1` opens nothing beside it.
   */
  uriOf(target: string): string
}

/** Throws a RangeError for what is no resource, or a `publicUrl` elsewhere. */
export function placeOf(options: {
  readonly resource: string
  readonly publicUrl?: string | undefined
}): Place {
  const resource = canonicalResource(options.resource)
  const root = resource === undefined ? undefined : canonicalHtu(resource)
  if (resource === undefined || root === undefined || resource.includes('?')) {
    throw new RangeError('resource must be an http or https URL without query')
  }
  const { origin } = new URL(resource)
  const publicUrl = canonicalHtu(options.publicUrl ?? origin)
  if (!publicUrl?.startsWith(`${origin}/`))
    throw new RangeError('publicUrl must lie on the origin of the resource')
  const base = publicUrl.replace(/\/$/, '')
  const below = root.endsWith('/') ? root : `${root}/`

  return {
    resource,
    uriOf(target) {
      const uri = canonicalHtu(base + pathOf(target))
      if (uri === undefined) {
        throw new Fault('invalid_request', 'The request target is not acceptable.', { kind: 'target' })
      }
      if (uri === root || uri.startsWith(below)) return uri
      throw new Fault('not_found', 'This path is not part of the resource.', { kind: 'outside', uri })
    },
  }
}
