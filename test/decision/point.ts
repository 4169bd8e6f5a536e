// An enforcement point in front of an authority: an agent with the leaves of the decision point and a token for it.
import { expect, newAgent } from '../harness/agent.ts'
import type { Authority } from '../harness/authority.ts'
import type { Answer, Party } from '../harness/party.ts'

export interface EnforcementPoint {
  readonly party: Party
  readonly token: string
  /** Posts to an endpoint below `/access/v1/`. */
  ask(endpoint: string, body: unknown, headers?: Record<string, string>): Promise<Answer>
}

/** Leaves of the management API that the point is granted; all of the decision point unless it is said. */
export async function enforcementPoint(
  writ: Authority,
  scopes: readonly string[] = ['writ:decisions'],
): Promise<EnforcementPoint> {
  const party = await newAgent(writ, { members: { name: 'gateway' } })
  const management = `${writ.issuer}/api/v1`
  expect(
    await writ.operator.manage('POST', '/grants', {
      agent: party.clientId,
      resource: management,
      scopes,
      reason: 'enforces',
    }),
    201,
  )
  const token = await party.token(management)
  return {
    party,
    token,
    ask: (endpoint, body, headers = {}) =>
      party.call('POST', `${writ.issuer}/access/v1/${endpoint}`, { token, body, headers }),
  }
}
