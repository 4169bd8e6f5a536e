// writ drill: halts a canary again and again, and says how long it took until everybody who enforces had it.
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import type { Command } from 'commander'
import { CommandFailure, command, type Terminal, wholeNumber } from '../command.ts'
import { acting } from '../session.ts'
import { confirmed } from './confirmation.ts'

const reason = 'drill'

export function drillCommand(terminal: Terminal): Command {
  interface Options {
    readonly rounds: number
  }
  return command('drill', 'halt a canary and measure until every connected enforcement point enforces it')
    .option('--rounds <number>', 'how often', wholeNumber(1, 999), 20)
    .action(
      acting<Options>(terminal, async ({ admin, clientId, issuer, openFetch, options, print }) => {
        const limits = await limitsAt(issuer, openFetch)
        const { items } = await admin.call('enforcement-points.list', {})
        if (items.length === 0)
          throw new CommandFailure(
            'no enforcement point is connected: there is nothing to measure before a resource listens to the stream',
          )
        print.hint(`halting a canary ${options.rounds} times; a round takes two seconds at most`)
        const canary = await admin.call('agents.create', {
          body: {
            name: `drill-${Date.now().toString(36)}`,
            owner: clientId,
            purpose: 'Is halted by drills, and can do nothing',
            jwks: { keys: [{ ...generateKeyPair('ES256').verify.jwk }] },
          },
        })
        const delays: number[] = []
        let [points, missed] = [0, 0]
        try {
          for (let round = 0; round < options.rounds; round += 1) {
            const body = { kind: 'agent' as const, target: canary.id, reason }
            const halt = await admin.call('halts.create', { body })
            const seen = await confirmed(admin)
            points = Math.max(points, seen.points)
            missed += seen.points - seen.confirmed
            delays.push(...seen.afterMs)
            await admin.call('halts.lift', { params: { id: halt.id }, body: { reason } })
          }
        } finally {
          await admin.call('agents.retire', { params: { id: canary.id }, body: { reason } })
        }
        if (points === 0) throw new CommandFailure('every enforcement point went away: nothing was measured')
        delays.sort((a, b) => a - b)
        const [p50, p99, worst] = [at(delays, 0.5), at(delays, 0.99), delays.at(-1) ?? 0]
        // Who did not confirm denies everything once it has heard nothing for that long.
        const residual = missed === 0 ? worst : Math.max(worst, limits.stalenessSeconds * 1000)
        print.object(
          { rounds: options.rounds, points, missed, p50_ms: p50, p99_ms: p99, residual_ms: residual },
          {
            rounds: String(options.rounds),
            'enforcement points': String(points),
            'did not confirm': String(missed),
            p50: `${p50} ms`,
            p99: `${p99} ms`,
            'longest residual validity': `${residual} ms`,
            'without a connection': `${limits.tokenSeconds} s, the life of a token`,
          },
        )
        if (missed > 0)
          throw new CommandFailure(`${missed} times an enforcement point did not confirm in 2 s`)
      }),
    )
}

interface Limits {
  readonly stalenessSeconds: number
  readonly tokenSeconds: number
}

async function limitsAt(issuer: string, ask: typeof fetch): Promise<Limits> {
  const read = async (url: string) => (await (await ask(url)).json()) as Record<string, unknown>
  const { origin, pathname } = new URL(issuer)
  const places = await read(`${origin}/.well-known/writ-configuration${pathname.replace(/\/$/, '')}`)
  const limits = await read(String(places['limits']))
  return {
    stalenessSeconds: Number(limits['staleness_seconds']),
    tokenSeconds: Number(limits['access_token_seconds']),
  }
}

const at = (sorted: readonly number[], part: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0
