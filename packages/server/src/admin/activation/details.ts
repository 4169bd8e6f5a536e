// RFC 9396 details as the operations on activations take them: in their canonical form, or refused.
import type { AuthorizationDetail } from '@writ/sdk/protocol/details/detail'
import { parseDetails } from '@writ/sdk/protocol/details/index'
import { Fault } from '@writ/sdk/protocol/fault'
import { z } from 'zod'

export const detailsGiven = z
  .array(z.looseObject({ type: z.string().min(1).max(128) }))
  .max(64)
  .meta({ description: 'RFC 9396 authorization details' })

/** Throws `invalid_value` for what no type of details has. */
export function detailsOf(
  given: readonly Readonly<Record<string, unknown>>[] | undefined,
): readonly AuthorizationDetail[] | undefined {
  if (given === undefined) return undefined
  const parsed = parseDetails(given)
  if ('problem' in parsed)
    throw new Fault('invalid_value', `The member authorization_details ${parsed.problem}.`, {
      kind: 'details',
    })
  return parsed
}
