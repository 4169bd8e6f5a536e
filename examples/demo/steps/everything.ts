// Everything rotates at once, as an operator does it; the meter of each drain falls to zero, and not one call fails.
import { setTimeout as pause } from 'node:timers/promises'
import type { AdminClient, Answer } from '@writ/sdk/admin'
import { expectEqual, expectTrue } from '../check.ts'
import { roleThatLogsIn } from '../database.ts'
import type { Say } from '../narrator.ts'
import { operatorOf, type Stage } from '../stage.ts'
import { startTraffic } from '../traffic.ts'
import type { Hired } from './identity.ts'
import type { Vault } from './vault.ts'

type Rotation = Answer<'rotations.get'>

const limitMs = 20_000

export async function rotateEverything(
  stage: Stage,
  { id, agent }: Hired,
  { say, vault }: { readonly say: Say; readonly vault: Vault },
): Promise<void> {
  const { admin, api, writ } = stage
  await admin.call('resources.create', {
    body: {
      identifier: api,
      name: 'Reports',
      scopes: [{ name: 'reports:read', description: 'Read reports' }],
    },
  })
  await admin.call('grants.create', {
    body: { agent: id, resource: api, scopes: ['reports:read'], reason: 'Reads' },
  })
  const roles = new Set<string>()
  const traffic = startTraffic({
    'GET /reports': async () => {
      const answer = await agent.fetch(`${api}/reports`, { scope: 'reports:read' })
      if (answer.status !== 200) throw new Error(`status ${answer.status}`)
    },
    'log in': async () => {
      const { value } = await agent.secret(vault.rotated)
      roles.add(await roleThatLogsIn(value.reveal()))
    },
  })
  const before = agent.key().thumbprint
  let done: readonly Rotation[] = []
  try {
    await pause(300)
    const begun = await writ('rotate', '--all', '--reason', 'A drill', '--json')
    expectEqual('writ rotate --all', begun.code, 0)
    const { batch, items } = JSON.parse(begun.stdout) as { batch: string; items: Rotation[] }
    const kinds = new Set(items.map(({ kind }) => kind))
    say.fact('begun', `${items.length} rotations of ${kinds.size} kinds of keys`)
    // The operator's own key is among them: whoever went on with the old one would keep it from ending.
    say.fact('', 'staged/draining/ended, and what the old versions wait for:')
    done = await watch(operatorOf(stage), batch, say)
  } finally {
    await traffic.stop()
  }
  expectEqual('not one call fails', traffic.failures(), [])
  expectTrue('there were many calls', traffic.calls() > 50, traffic.calls())
  expectTrue('the agent has another key', agent.key().thumbprint !== before, before)
  expectTrue('the database is entered by another role', roles.size === 2, [...roles])
  expectTrue(
    'each has ended',
    done.every(({ state }) => state === 'retired'),
    done,
  )
  say.fact('calls', `${traffic.calls()} in the meantime, of which 0 failed`)
  say.fact('database', `entered as ${[...roles].join(', then as ')}`)
}

/** Until all have ended: how many still drain, and what keeps them, whenever that changes. */
async function watch(admin: AdminClient, batch: string, say: Say): Promise<readonly Rotation[]> {
  const beganMs = performance.now()
  for (let last = ''; ; await pause(250)) {
    const { items } = await admin.call('rotations.list', { query: { batch, limit: 200 } })
    const seen = await Promise.all(items.map(one => admin.call('rotations.get', { params: { id: one.id } })))
    const now = meterOf(seen)
    const seconds = ((performance.now() - beganMs) / 1000).toFixed(1)
    if (now !== last) say.fact(`after ${seconds} s`, now)
    last = now
    if (seen.every(({ state }) => ['retired', 'failed', 'blocked'].includes(state))) return seen
    expectTrue('all end in time', performance.now() - beganMs < limitMs, now)
  }
}

/** What keeps an old version, in the unit of its proof. */
const units = {
  last_use: 'in use',
  last_token: 's of tokens',
  no_records: 'records',
  live_sessions: 'sessions',
  none: '',
} as const

/** `4 drain: 2 s of tokens, 1 in use, 0 sessions`, with those that wait and those that have ended beside it. */
function meterOf(rotations: readonly Rotation[]): string {
  const draining = rotations.filter(({ state }) => state === 'active' || state === 'retiring')
  const waiting = rotations.filter(({ state }) => state === 'staged').length
  const left = Map.groupBy(draining, ({ proof }) => proof)
  const parts = [...left].map(([proof, some]) => {
    const sum = some.reduce((total, { drain }) => total + (drain?.remaining ?? 0), 0)
    return `${sum} ${units[proof]}`
  })
  const ended = rotations.length - draining.length - waiting
  const counts = `${waiting}/${draining.length}/${ended}`
  return parts.length === 0 ? counts : `${counts}  left: ${parts.join(', ')}`
}
