// Step 4: a budget of the grant, decremented as each call is decided.
import { expectEqual } from '../check.ts'
import type { Say } from '../narrator.ts'
import type { Shop } from '../shop.ts'

export async function spend({ typed, north, call }: Shop, say: Say): Promise<void> {
  await typed(
    ...['grant', 'create', '--agent', 'clerk', '--resource', north, '--scope', 'orders:ship'],
    ...['--budget', 'calls=3/1h', '--reason', 'three parcels an hour'],
  )
  say.fact('writ grant', 'create --scope orders:ship --budget calls=3/1h')
  // All at once: whoever is first, there are three and no more.
  const answers = await Promise.all(Array.from({ length: 5 }, () => call('POST', '/parcels', 'orders:ship')))
  expectEqual('three of five pass', answers.filter(answer => answer === '200').length, 3)
  expectEqual('the others are refused', answers.filter(answer => answer === '403 access_denied').length, 2)
  say.fact('POST /parcels', 'five at once: three 200, two 403 access_denied')
  expectEqual('and the next one', await call('POST', '/parcels', 'orders:ship'), '403 access_denied')
  say.fact('POST /parcels', '403 access_denied')
}
