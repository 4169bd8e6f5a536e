// Enrolment tokens: how one is found again without being stored, and for how long it invites.
import type { Agent } from './agent.ts'
import { hashParts } from './hash.ts'

/** The prefix lets secret scanners find a token that leaked. */
export const enrollmentPrefix = 'writ_enr_'

/** The key of the one-time artefact; the token itself is never stored. */
export function enrollmentKey(token: string): string {
  return hashParts('enrollment', token).toString('base64url')
}

/**
 * What taking a token yields: the agent, and since when it has had its status. Whoever stops an agent ends what was
 * let out before: a token that had leaked must not come back to life with the agent.
 */
export function invitationOf({ id, statusAt }: Pick<Agent, 'id' | 'statusAt'>): string {
  return `${id} ${statusAt}`
}

/** The id of the agent in what a token yields. */
export function invitedAgent(invitation: string): string {
  return invitation.split(' ', 1)[0] ?? ''
}
