// Step 3: eligible is not active; a right opens for a reason and a time, and ends by itself.
import { eventually, expectEqual, expectFault, expectTrue } from '../check.ts'
import type { Say } from '../narrator.ts'
import { memberOf, type Shop } from '../shop.ts'

const seconds = 2
/** Between the instant of a decision and that at which its answer is here. */
const toleranceMs = 250

export async function grantedForSeconds(shop: Shop, say: Say): Promise<void> {
  const { typed, north } = shop
  const refund = (): Promise<string> => shop.call('POST', '/refunds', 'orders:refund')
  const made = await typed(
    ...['eligibility', 'create', '--agent', 'clerk', '--resource', north, '--scope', 'orders:refund'],
    ...['--up-to', '10s', '--no-approval', '--reason', 'refunds on request', '--json'],
  )
  const eligibility = String(memberOf(made, 'id'))
  await expectFault('eligible is not active', 'invalid_scope', refund())
  say.fact('POST /refunds', 'no token: eligible is not active')

  // The agent tries all along: it cannot know when somebody opens it, and two seconds are not to be missed.
  const first = eventually('the call passes', 15, async () =>
    (await refund().catch(() => 'refused')) === '200' ? Date.now() : undefined,
  )
  const [opened, passedAtMs] = await Promise.all([
    typed(
      ...['activate', eligibility, '--reason', 'order 17 arrived broken', '--for', `${seconds}s`, '--json'],
    ),
    first,
  ])
  expectEqual('it opens at once', memberOf(opened, 'state'), 'approved')
  const untilMs = Date.parse(String(memberOf(opened, 'approved_until')))
  say.fact('writ activate', `--reason "order 17 arrived broken" --for ${seconds}s`)
  say.fact('POST /refunds', `200, until ${new Date(untilMs).toISOString().slice(11, 19)}`)
  expectTrue('what passes does so within its time', passedAtMs < untilMs + toleranceMs, passedAtMs - untilMs)
  const endedAtMs = await eventually('it ends by itself', seconds + 3, async () => {
    const seen = await refund().catch(() => 'refused')
    return seen === '200' ? undefined : Date.now()
  })
  const lateMs = endedAtMs - untilMs
  expectTrue('not before its time', lateMs > -toleranceMs, lateMs)
  expectTrue('and right after it', lateMs < 1000, lateMs)
  say.fact('POST /refunds', `refused, seen ${Math.max(0, lateMs)} ms after the end; nobody took it back`)
}
