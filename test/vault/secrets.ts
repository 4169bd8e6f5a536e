// What tests of the vault begin with: a secret with a value that is found wherever it leaks, and who may have it.
import { randomBytes } from 'node:crypto'
import { expect } from '../harness/agent.ts'
import type { Authority } from '../harness/authority.ts'
import type { Party } from '../harness/party.ts'

/** A value that stands nowhere by chance. */
export const canary = (): string => `canary${randomBytes(12).toString('hex')}`

export async function newSecret(
  writ: Authority,
  body: Record<string, unknown> & { readonly name: string },
): Promise<{ id: string; uri: string; value: string }> {
  const value = canary()
  const { id, uri } = expect(await writ.operator.manage('POST', '/secrets', { value, ...body }), 201)
  return { id, uri, value }
}

/** Answers the id of the grant. */
export async function grantSecret(writ: Authority, agent: string, name: string): Promise<string> {
  const body = { agent, resource: `${writ.issuer}/vault/${name}`, scopes: ['secret:read'], reason: 'test' }
  return expect(await writ.operator.manage('POST', '/grants', body), 201).id
}

/** Reads as the agent does: a token for this very secret, and a proof. */
export async function readSecret(writ: Authority, agent: Party, name: string) {
  const url = `${writ.issuer}/vault/${name}`
  return agent.call('GET', url, { token: await agent.token(url, 'secret:read') })
}

/** Every item of a list. */
export async function allOf(writ: Authority, path: string): Promise<unknown[]> {
  const items: unknown[] = []
  for (let after = ''; ; ) {
    const page = expect(await writ.operator.manage('GET', `${path}?limit=200${after}`), 200)
    items.push(...page.items)
    if (page.next === null) return items
    after = `&after=${encodeURIComponent(page.next)}`
  }
}
