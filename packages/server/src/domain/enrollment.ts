// Enrolment tokens: how one is found again without being stored.
import { hashParts } from './hash.ts'

/** The prefix lets secret scanners find a token that leaked. */
export const enrollmentPrefix = 'writ_enr_'

/** The key of the one-time artefact; the token itself is never stored. */
export function enrollmentKey(token: string): string {
  return hashParts('enrollment', token).toString('base64url')
}
