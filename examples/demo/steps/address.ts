// Steps 1 and 2: policies over where a call comes from and when it is made, in force from the next call on.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually, expectEqual } from '../check.ts'
import type { Say } from '../narrator.ts'
import { memberOf, type Shop } from '../shop.ts'

const office = (unless: string): string => `@id("office")
forbid (principal is Writ::Agent, action == Writ::Action::"orders:read", resource)
unless { context has peer && ${unless} };
`

/** Stores a set, which has no effect yet; answers its number. */
async function store({ typed }: Shop, file: string): Promise<string> {
  return String(memberOf(await typed('policy', 'create', file, '--json'), 'number'))
}

function written({ folder }: Shop, name: string, source: string): string {
  const file = join(folder, `${name}.cedar`)
  writeFileSync(file, source)
  return file
}

const read = ({ call }: Shop): Promise<string> => call('GET', '/orders', 'orders:read')

/** Answers how long it took to store a set and put it into force, in milliseconds. */
export async function deniedByAddress(shop: Shop, say: Say): Promise<number> {
  expectEqual('without policies the grant is enough', await read(shop), '200')
  say.fact('GET /orders', '200, by the grant')
  const source = office('context.peer.isInRange(ip("10.0.0.0/8"))')
  const beganAtMs = performance.now()
  const number = await store(shop, written(shop, 'office', source))
  await shop.typed('policy', 'activate', number, '--reason', 'Only from the office')
  const tookMs = performance.now() - beganAtMs
  say.fact('writ policy', 'activate: orders:read only from 10.0.0.0/8')
  // The resource answers from memory until the server's word arrives, and that takes a second at most.
  await eventually('the same token is refused', 1, async () =>
    (await read(shop)) === '403 access_denied' ? true : undefined,
  )
  say.fact('GET /orders', '403 access_denied: it comes from 127.0.0.1')
  const why = await shop.typed(
    ...['why-not', 'clerk', 'orders:read', shop.north, '--peer', '127.0.0.1', '--json'],
  )
  expectEqual('the operator hears which policy', memberOf(why, 'rule'), 'office')
  expectEqual('no grant would change it', memberOf(why, 'smallest_grant'), null)
  say.fact('writ why-not', 'policy: office; no grant would change it')
  return tookMs
}

/** `tookMs`: how long commands take on this machine, so that they do not outlast the window. */
export async function withinTheWindow(shop: Shop, tookMs: number, say: Say): Promise<void> {
  const windowSeconds = Math.ceil(1 + (2.5 * tookMs) / 1000)
  const until = new Date(Math.ceil(Date.now() / 1000 + windowSeconds) * 1000)
  const source = office(
    `(context.peer.isInRange(ip("10.0.0.0/8")) || context.now < datetime("${until.toISOString()}"))`,
  )
  const file = written(shop, 'window', source)
  const [replayed, number] = await Promise.all([
    shop.typed('policy', 'replay', file, '--since', '1h', '--json'),
    store(shop, file),
  ])
  const changed = memberOf(replayed, 'changed') as readonly {
    readonly after: { readonly decision: boolean }
  }[]
  expectEqual(
    'the replay names the call that was refused',
    changed.map(({ after }) => after.decision),
    [true],
  )
  say.fact('writ policy', 'replay: one recorded answer would change, to allowed')
  // The clerk tries all along, so that not even a slow machine misses the window.
  const passes = eventually('within the window the call passes', windowSeconds + 4, async () =>
    (await read(shop)) === '200' ? true : undefined,
  )
  await Promise.all([shop.typed('policy', 'activate', number, '--reason', 'Stocktaking from home'), passes])
  say.fact('GET /orders', `200, until ${until.toISOString().slice(11, 19)}`)
  const endedAtMs = await eventually('the window ends', windowSeconds + 4, async () => {
    const askedAtMs = Date.now()
    return (await read(shop)) === '200' ? undefined : askedAtMs
  })
  const earlyMs = until.getTime() - endedAtMs
  // Only what was asked within the window passed: one answer kept from before its end would be seen here.
  expectEqual('it ends when it says', earlyMs <= 250, true)
  expectEqual('and stays over', await read(shop), '403 access_denied')
  say.fact('GET /orders', `403 access_denied, seen ${endedAtMs - until.getTime()} ms after the end`)
  await shop.typed('policy', 'rollback', '--reason', 'The stocktaking is over')
  say.fact('writ policy', 'rollback: the former set is in force again')
}
