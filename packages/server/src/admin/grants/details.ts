// RFC 9396: the authorization details of a grant, which must permit something at its resource.
import type { AuthorizationDetail } from '@writ/sdk/protocol/details/detail'
import { detailElsewhere } from '@writ/sdk/protocol/details/index'
import { Fault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../../context.ts'
import type { Resource } from '../../domain/resource.ts'
import { managementIdentifier } from '../access.ts'
import { detailsOf } from '../activation/details.ts'

/**
 * Throws `invalid_value` for details that no type has, that lie at another server or host than the resource, or of a
 * resource of ours, whose operations no type speaks of: stored, each would be a right that nobody has.
 */
export function detailsFor(
  ctx: Ctx,
  { identifier }: Resource,
  given: Parameters<typeof detailsOf>[0],
): readonly AuthorizationDetail[] {
  const details = detailsOf(given) ?? []
  if (details.length === 0) return details
  const isOurs = identifier === managementIdentifier(ctx) || identifier.startsWith(`${ctx.issuer}/vault`)
  if (isOurs)
    throw new Fault('invalid_value', 'Operations of this authority have no authorization_details.', {
      kind: 'own_resource',
    })
  const elsewhere = detailElsewhere(details, identifier)
  if (elsewhere !== undefined)
    throw new Fault(
      'invalid_value',
      `The member authorization_details has one of type ${elsewhere.type} that is not about ${identifier}.`,
      { kind: 'details_elsewhere' },
    )
  return details
}
