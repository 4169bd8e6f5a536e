// Step 6: how long from a halt until every connected enforcement point enforces it.
import { expectEqual, expectTrue } from '../check.ts'
import type { Say } from '../narrator.ts'
import { memberOf, type Shop } from '../shop.ts'

const boundMs = 2000

export async function drill({ typed, writ, call }: Shop, say: Say): Promise<void> {
  const printed = await typed('drill', '--rounds', '5')
  say.line('$ writ drill --rounds 5')
  for (const line of printed.trimEnd().split('\n')) say.line(line)
  const seen = new Map(
    printed
      .trimEnd()
      .split('\n')
      .map(line => /^(.+?) {2,}(.+)$/.exec(line)?.slice(1) as [string, string]),
  )
  expectEqual('both processes of the API are connected', seen.get('enforcement points'), '2')
  expectEqual('all of them confirmed each halt', seen.get('did not confirm'), '0')
  const worst = Number.parseInt(seen.get('longest residual validity') ?? '', 10)
  expectTrue('within the bound', worst < boundMs, seen.get('longest residual validity'))

  const halted = await writ('halt', 'create', 'agent', 'clerk', '--reason', 'enough seen', '--yes', '--json')
  expectEqual('the clerk is halted', halted.code, 0)
  const answer = await call('GET', '/orders', 'orders:read').catch((error: unknown) => String(error))
  expectTrue('it is refused everywhere', answer !== '200', answer)
  say.fact('writ halt', `create agent clerk: ${memberOf(halted.stdout, 'status')}, and it is refused`)
}
