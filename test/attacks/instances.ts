// Instances that enrol and rotate by hand, so that each part of a request can be a wrong one.
import { generateKeyPair, type KeyPair } from '@writ/sdk/protocol/jwk'
import { expect } from '../harness/agent.ts'
import type { Authority } from '../harness/authority.ts'
import { type Answer, answerOf, assertionType, type Party } from '../harness/party.ts'

export const newPair = (): KeyPair => generateKeyPair('ES256')

export const partyOf = (writ: Authority, clientId: string, pair: KeyPair): Party =>
  writ.party(clientId, pair.secret.reveal() as unknown as Record<string, unknown>)

/** Whatever stands for the authority: in this process, or a node of it. */
type Asked = Pick<Authority, 'fetch' | 'operator'>

/** An enrolment token of the agent. */
export async function invite(writ: Asked, agent: string): Promise<string> {
  return expect(await writ.operator.manage('POST', `/agents/${agent}/enrollments`), 201).token
}

async function postJson(
  writ: Asked,
  path: string,
  body: unknown,
  headers: Record<string, string>,
): Promise<Answer> {
  const sent = { 'content-type': 'application/json', ...headers }
  return answerOf(await writ.fetch(path, { method: 'POST', headers: sent, body: JSON.stringify(body) }))
}

export interface Enrolling {
  readonly token: unknown
  readonly pair: KeyPair
  /** Instead of the public half of the pair. */
  readonly jwk?: unknown
  /** Instead of a good proof; null for none. */
  readonly proof?: string | null
}

export function enroll(writ: Asked, { token, pair, jwk, proof }: Enrolling): Promise<Answer> {
  const good = writ.operator.proof('/enroll', { key: pair.sign })
  const dpop = proof === null ? {} : { dpop: proof ?? good }
  return postJson(writ, '/enroll', { token, jwk: jwk ?? pair.verify.jwk }, dpop)
}

/** A new instance of the agent. */
export async function enrolled(writ: Authority, agent: string, jwk?: (pair: KeyPair) => unknown) {
  const pair = newPair()
  const body = expect(await enroll(writ, { token: await invite(writ, agent), pair, jwk: jwk?.(pair) }), 201)
  return { pair, instance: body.instance as string, party: partyOf(writ, agent, pair) }
}

export interface Rotating {
  /** Who signs the assertion. */
  readonly old: Party
  readonly next: KeyPair
  readonly jwk?: unknown
  readonly proof?: string | null
  readonly assertion?: string
}

export function rekey(writ: Asked, { old, next, jwk, proof, assertion }: Rotating): Promise<Answer> {
  const good = old.proof('/rekey', { key: next.sign })
  const body = {
    client_assertion_type: assertionType,
    // For this successor alone: whoever sees it can hand the instance to no other.
    client_assertion: assertion ?? old.assertion({ cnf: { jkt: next.sign.jkt } }),
    jwk: jwk ?? next.verify.jwk,
  }
  return postJson(writ, '/rekey', body, proof === null ? {} : { dpop: proof ?? good })
}

/** The keys of the agent, by thumbprint. */
export async function keysOf(
  writ: Authority,
  agent: string,
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at member by member in assertions
): Promise<ReadonlyMap<string, any>> {
  const { items } = expect(await writ.operator.manage('GET', `/agents/${agent}/keys`), 200)
  return new Map(items.map((key: { thumbprint: string }) => [key.thumbprint, key]))
}
