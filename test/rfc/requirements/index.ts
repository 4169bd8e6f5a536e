// Every specification whose requirements are written down: one import and one entry each.
import { rfc6750 } from './rfc6750.ts'

export const specifications = [rfc6750] as const

/** The id of a requirement that exists; a misspelt one does not compile. */
export type RequirementId = (typeof specifications)[number]['requirements'][number]['id']
