// Somebody eligible, somebody who may approve, and what each of them asks.

import { api, expect, newAgent, registerApi } from '../harness/agent.ts'
import type { Authority } from '../harness/authority.ts'
import { type Answer, assertionType, type Party } from '../harness/party.ts'

export interface Scene {
  readonly agent: Party
  readonly approver: Party
}

/** An agent without any right, and another one that may decide for others. */
export async function scene(writ: Authority): Promise<Scene> {
  await registerApi(writ)
  const [agent, approver] = [await newAgent(writ), await administrator(writ, ['writ:approvals'])]
  return { agent, approver }
}

/** An agent with these scopes of the management API. */
export async function administrator(writ: Authority, scopes: readonly string[]): Promise<Party> {
  const party = await newAgent(writ)
  const body = { agent: party.clientId, resource: `${writ.issuer}/api/v1`, scopes, reason: 'test' }
  expect(await writ.operator.manage('POST', '/grants', body), 201)
  return party
}

/** One call to the management API with a token of exactly these scopes. */
export async function as(party: Party, scope: string, call: [string, string, unknown?]): Promise<Answer> {
  const audience = `${party.issuer}/api/v1`
  const [method, path, body] = call
  return party.call(method, audience + path, { token: await party.token(audience, scope), body })
}

export async function eligibility(
  writ: Authority,
  agent: Party,
  members: Record<string, unknown> = {},
): Promise<string> {
  const body = {
    agent: agent.clientId,
    resource: api,
    scopes: ['read', 'write'],
    max_seconds: 600,
    approval: 'required',
    reason: 'on call',
    ...members,
  }
  return expect(await writ.operator.manage('POST', '/eligibilities', body), 201).id
}

/** The agent's own request, as a good instance makes it; members and headers replace and add. */
export async function own(
  writ: Authority,
  agent: Party,
  path: string,
  { headers = {}, ...members }: Record<string, unknown> & { readonly headers?: Record<string, string> },
): Promise<Answer> {
  const body = {
    client_assertion_type: assertionType,
    client_assertion: agent.assertion({ cnf: { jkt: agent.key.jkt } }),
    ...members,
  }
  const answer = await writ.fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', dpop: agent.proof(path), ...headers },
    body: JSON.stringify(body),
  })
  return { status: answer.status, headers: answer.headers, body: await answer.json() }
}

/** Asks for ten minutes of everything. */
export const activate = (
  writ: Authority,
  agent: Party,
  of: string,
  members: Record<string, unknown> = {},
): Promise<Answer> =>
  own(writ, agent, '/activations', { eligibility: of, reason: 'the disk is full', seconds: 600, ...members })

/** The scopes that the agent is given now; empty where it is given none, or no token. */
export async function scopesNow(agent: Party, scope?: string): Promise<string> {
  const answer = await agent.tokenRequest({ resource: api, ...(scope === undefined ? {} : { scope }) })
  return answer.status === 200 ? (answer.body.scope ?? '') : ''
}

interface Entry {
  readonly agent: string
  readonly decision: Readonly<Record<string, unknown>>
}

export async function entries(writ: Authority, type: string): Promise<readonly Entry[]> {
  return expect(await writ.operator.manage('GET', `/events?type=${type}`), 200).items
}
