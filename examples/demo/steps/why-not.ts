// Step 5: the operator asks why, and files the answer as a grant.
import { expectEqual } from '../check.ts'
import type { Say } from '../narrator.ts'
import type { Shop } from '../shop.ts'

export async function whyNot({ typed, admin, south, agent }: Shop, say: Say): Promise<void> {
  const printed = await typed('why-not', 'clerk', 'orders:refund', south)
  say.line('$ writ why-not clerk orders:refund SOUTH')
  const lines = new Map(
    printed
      .trimEnd()
      .split('\n')
      .map(line => /^(.+?) {2,}(.+)$/.exec(line)?.slice(1) as [string, string]),
  )
  expectEqual('it says which kind of check refuses', lines.get('by'), 'grant: no_grant')
  for (const name of ['decision', 'by', 'says']) say.line(`${name.padEnd(16)}${lines.get(name)}`)
  const smallest = JSON.parse(lines.get('smallest grant') ?? '') as SmallestGrant
  const { agent: id, resource, scopes } = smallest
  expectEqual(
    'the smallest grant is of one scope of one resource',
    [resource, scopes],
    [south, ['orders:refund']],
  )
  say.line('smallest grant')
  for (const [name, value] of Object.entries({ agent: id, resource, scopes }))
    say.line(`  ${name.padEnd(14)}${JSON.stringify(value)}`)

  await admin.call('grants.create', { body: { agent: id, resource, scopes, reason: 'as writ why-not says' } })
  const answer = await agent.fetch(`${south}/refunds`, {
    method: 'POST',
    resource: south,
    scope: 'orders:refund',
  })
  await answer.body?.cancel()
  expectEqual('with it the call passes', answer.status, 200)
  say.fact('POST /refunds', '200, with exactly that grant')
}

interface SmallestGrant {
  readonly agent: string
  readonly resource: string
  readonly scopes: string[]
}
