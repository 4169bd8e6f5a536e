// The runner of background loops, driven turn by turn: time passes only where a test lets it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../context.ts'
import { defaultTenant, type Tenant, type TenantId } from '../domain/tenant.ts'
import type { Leases } from '../store/store.ts'
import { type Loop, leaseSeconds, type RunnerOptions, type RunReport, startRunner } from './runner.ts'

const tenant = (id: string): Tenant => ({ id: id as TenantId, issuer: `https://${id}.example`, createdAt: 0 })

/** A pause that ends when the test says so. */
interface Pause {
  readonly seconds: number
  end(): void
}

class Stage {
  readonly reports: RunReport[] = []
  readonly lines: Readonly<Record<string, unknown>>[] = []
  readonly pauses: Pause[] = []
  steady = 1000
  nowMs = 1_700_000_000_900
  tenants: readonly Tenant[] = [tenant(defaultTenant)]

  options<D>(loops: readonly Loop<D>[], deps: D, leases: Leases): RunnerOptions<D> {
    return {
      loops,
      deps,
      leases,
      holder: 'node-1',
      tenants: async () => this.tenants,
      nowMs: () => this.nowMs,
      log: (level, facts, error) => void this.lines.push({ level, ...facts, error }),
      onRun: report => void this.reports.push(report),
      steadySeconds: () => this.steady,
      pause: (seconds, signal) =>
        new Promise(resolve => {
          if (signal.aborted) return resolve()
          signal.addEventListener('abort', () => resolve())
          this.pauses.push({ seconds, end: resolve })
        }),
    }
  }

  /** Ends the next pause and answers its length once the run behind it, if there is one, has led to another pause. */
  async turn(): Promise<number> {
    const pause = await this.nextPause()
    this.steady += pause.seconds
    this.nowMs += pause.seconds * 1000
    pause.end()
    return pause.seconds
  }

  async nextPause(): Promise<Pause> {
    for (let tries = 0; tries < 1000; tries += 1) {
      const pause = this.pauses.shift()
      if (pause !== undefined) return pause
      await new Promise(setImmediate)
    }
    throw new Error('the loop did not come to a pause')
  }

  async idle(): Promise<void> {
    const pause = await this.nextPause()
    this.pauses.unshift(pause)
  }
}

/** Leases as the store keeps them, on the steady clock of the stage. */
class MemoryLeases implements Leases {
  asked = 0
  released: string[] = []
  fail: Fault | undefined
  readonly #stage: Stage
  readonly #held = new Map<string, { holder: string; until: number; fence: number }>()

  constructor(stage: Stage) {
    this.#stage = stage
  }

  async hold(name: string, holder: string, seconds: number): Promise<{ fence: number } | 'held'> {
    this.asked += 1
    if (this.fail) throw this.fail
    const now = this.#stage.steady
    const lease = this.#held.get(name)
    if (lease && lease.holder !== holder && lease.until > now) return 'held'
    const fence = lease === undefined ? 1 : lease.holder === holder ? lease.fence : lease.fence + 1
    this.#held.set(name, { holder, until: now + seconds, fence })
    return { fence }
  }

  async release(name: string, holder: string): Promise<void> {
    if (this.#held.get(name)?.holder !== holder) return
    this.#held.delete(name)
    this.released.push(name)
  }
}

const loop = (run: Loop<unknown>['run'], changes: Partial<Loop<unknown>> = {}): Loop<unknown> => ({
  name: 'work',
  everySeconds: 10,
  leased: false,
  per: 'tenant',
  run,
  ...changes,
})

const unavailable = new Fault('temporarily_unavailable', 'The store is away.')

test('the first run comes after a random part of the interval, the following ones a whole interval apart', async () => {
  const stage = new Stage()
  const runner = startRunner(stage.options([loop(async () => 0)], {}, new MemoryLeases(stage)))
  const first = await stage.turn()
  assert.ok(first >= 0 && first < 10, `${first}`)
  assert.deepEqual([await stage.turn(), await stage.turn()], [10, 10])
  assert.ok(await runner.stop(1))
})

test('each run gets a context with one reading of the clock, its tenant, its issuer and an id of its own', async () => {
  const stage = new Stage()
  const seen: Ctx[] = []
  const runner = startRunner(stage.options([loop(async ctx => seen.push(ctx))], {}, new MemoryLeases(stage)))
  await stage.turn()
  await stage.turn()
  await stage.idle()
  await runner.stop(1)
  const [first, second] = seen
  assert.ok(first && second)
  assert.equal(first.tenant, defaultTenant)
  assert.equal(first.issuer, 'https://default.example')
  assert.equal(first.now, Math.floor(first.nowMs / 1000))
  assert.equal(second.nowMs - first.nowMs, 10_000)
  assert.notEqual(first.requestId, second.requestId)
})

test('a run that did something leaves one line with what it noted, an idle one leaves none', async () => {
  const stage = new Stage()
  let due = 2
  const runner = startRunner(
    stage.options(
      [
        loop(async ctx => {
          const did = due
          due = 0
          ctx.note({ kid: 'k1' })
          return did
        }),
      ],
      {},
      new MemoryLeases(stage),
    ),
  )
  await stage.turn()
  await stage.turn()
  await stage.idle()
  await runner.stop(1)
  assert.deepEqual(stage.lines, [
    { level: 'info', loop: 'work', tenant: 'default', did: 2, kid: 'k1', error: undefined },
  ])
  assert.deepEqual(
    stage.reports.map(({ loop, outcome }) => `${loop} ${outcome}`),
    ['work done', 'work idle'],
  )
})

test('a loop never runs beside itself, however long a run takes', async () => {
  const stage = new Stage()
  let inside = 0
  let most = 0
  let release = (): void => undefined
  const slow = loop(async () => {
    inside += 1
    most = Math.max(most, inside)
    await new Promise<void>(resolve => {
      release = resolve
    })
    inside -= 1
    return 1
  })
  const runner = startRunner(stage.options([slow], {}, new MemoryLeases(stage)))
  await stage.turn()
  for (let look = 0; look < 20; look += 1) await new Promise(setImmediate)
  assert.equal(stage.pauses.length, 0)
  release()
  await stage.turn()
  for (let look = 0; look < 20; look += 1) await new Promise(setImmediate)
  release()
  await stage.idle()
  await runner.stop(1)
  assert.equal(most, 1)
})

test('a store that is away is asked less and less often, up to a few seconds, and at once again when it is back', async () => {
  const stage = new Stage()
  let away = true
  const flaky = loop(
    async () => {
      if (away) throw unavailable
      return 0
    },
    { everySeconds: 1 },
  )
  const runner = startRunner(stage.options([flaky], {}, new MemoryLeases(stage)))
  await stage.turn()
  const pauses: number[] = []
  for (let failure = 0; failure < 6; failure += 1) pauses.push(await stage.turn())
  assert.ok((pauses[0] ?? 0) >= 1 && (pauses[0] ?? 0) <= 2, pauses.join(' '))
  for (const pause of pauses) assert.ok(pause <= 4, pauses.join(' '))
  away = false
  await stage.turn()
  assert.equal(await stage.turn(), 1)
  await runner.stop(1)
  assert.ok(
    stage.lines.every(line => line['code'] === 'temporarily_unavailable' && line['error'] === unavailable),
  )
})

test('a failure that is a bug is logged with its cause, and the loop goes on with long pauses', async () => {
  const stage = new Stage()
  const bug = new TypeError('not a function')
  const broken = loop(
    async () => {
      throw bug
    },
    { everySeconds: 1 },
  )
  const runner = startRunner(stage.options([broken], {}, new MemoryLeases(stage)))
  await stage.turn()
  let longest = 0
  for (let failure = 0; failure < 12; failure += 1) longest = Math.max(longest, await stage.turn())
  await runner.stop(1)
  assert.ok(longest >= 30 && longest <= 60, `${longest}`)
  assert.equal(stage.lines[0]?.['error'], bug)
  assert.equal(stage.lines[0]?.['code'], 'server_error')
  assert.ok(stage.reports.every(({ outcome }) => outcome === 'failed'))
})

test('the trouble of one tenant does not keep a loop from the others', async () => {
  const stage = new Stage()
  stage.tenants = [tenant('a'), tenant('b'), tenant('c')]
  const ran: string[] = []
  const picky = loop(async ctx => {
    if (ctx.tenant === 'b') throw unavailable
    ran.push(ctx.tenant)
    return 1
  })
  const runner = startRunner(stage.options([picky], {}, new MemoryLeases(stage)))
  await stage.turn()
  await stage.idle()
  await runner.stop(1)
  assert.deepEqual(ran, ['a', 'c'])
  assert.equal(stage.reports[0]?.outcome, 'away')
})

test('a loop for the whole store runs once, not once per tenant', async () => {
  const stage = new Stage()
  stage.tenants = [tenant('a'), tenant('b')]
  const ran: string[] = []
  const whole = loop(async ctx => ran.push(ctx.tenant), { per: 'store' })
  const runner = startRunner(stage.options([whole], {}, new MemoryLeases(stage)))
  await stage.turn()
  await stage.idle()
  await runner.stop(1)
  assert.deepEqual(ran, ['a'])
})

test('of two nodes one runs a leased loop, and the other takes over once the lease of a dead one has ended', async () => {
  const stage = new Stage()
  const other = new Stage()
  const leases = new MemoryLeases(stage)
  const ran: string[] = []
  const leased = (name: string): Loop<unknown> => loop(async () => ran.push(name), { leased: true })
  const first = startRunner(stage.options([leased('first')], {}, leases))
  await stage.turn()
  await stage.idle()
  const second = startRunner({ ...other.options([leased('second')], {}, leases), holder: 'node-2' })
  await other.turn()
  await other.idle()
  assert.deepEqual(ran, ['first'])
  assert.equal(other.reports.at(-1)?.outcome, 'held')
  // The first node is silent from here on.
  stage.steady += leaseSeconds + 1
  await other.turn()
  await other.idle()
  assert.deepEqual(ran, ['first', 'second'])
  await second.stop(1)
  await first.stop(1)
})

test('a lease is renewed long before its end and not with every run', async () => {
  const stage = new Stage()
  const leases = new MemoryLeases(stage)
  const quick = loop(async () => 1, { leased: true, everySeconds: 1 })
  const runner = startRunner(stage.options([quick], {}, leases))
  for (let turn = 0; turn < 31; turn += 1) await stage.turn()
  await stage.idle()
  await runner.stop(1)
  assert.equal(stage.reports.filter(({ outcome }) => outcome === 'done').length, 31)
  assert.ok(leases.asked >= 6 && leases.asked <= 8, `${leases.asked}`)
})

test('a lease that cannot be renewed is not believed in any longer', async () => {
  const stage = new Stage()
  const leases = new MemoryLeases(stage)
  const ran: number[] = []
  const runner = startRunner(
    stage.options([loop(async () => ran.push(stage.steady), { leased: true })], {}, leases),
  )
  await stage.turn()
  await stage.idle()
  leases.fail = unavailable
  await stage.turn()
  await stage.turn()
  await stage.idle()
  assert.equal(ran.length, 1)
  leases.fail = undefined
  await stage.turn()
  await stage.idle()
  assert.equal(ran.length, 2)
  await runner.stop(1)
})

test('stopping waits for the run under way, begins no other, and hands the lease back', async () => {
  const stage = new Stage()
  const leases = new MemoryLeases(stage)
  let finish = (): void => undefined
  let runs = 0
  const slow = loop(
    async () => {
      runs += 1
      await new Promise<void>(resolve => {
        finish = resolve
      })
      return 1
    },
    { leased: true },
  )
  const runner = startRunner(stage.options([slow], {}, leases))
  await stage.turn()
  for (let look = 0; look < 20; look += 1) await new Promise(setImmediate)
  const stopped = runner.stop(30)
  assert.deepEqual(leases.released, [])
  finish()
  assert.equal(await stopped, true)
  assert.equal(runs, 1)
  assert.deepEqual(leases.released, ['loop:work'])
})

test('stopping does not wait for ever', async () => {
  const stage = new Stage()
  const stuck = loop(() => new Promise<number>(() => undefined))
  const runner = startRunner(stage.options([stuck], {}, new MemoryLeases(stage)))
  await stage.turn()
  for (let look = 0; look < 20; look += 1) await new Promise(setImmediate)
  assert.equal(await runner.stop(0.01), false)
})

test('a lease that cannot be handed back does not keep the process from stopping', async () => {
  const stage = new Stage()
  const leases = new MemoryLeases(stage)
  const runner = startRunner(stage.options([loop(async () => 1, { leased: true })], {}, leases))
  await stage.turn()
  await stage.idle()
  leases.release = async () => {
    throw unavailable
  }
  assert.equal(await runner.stop(1), true)
  assert.equal(stage.lines.at(-1)?.['code'], 'temporarily_unavailable')
})

test('real pauses end at their time, and at once when the runner stops', async () => {
  const reports: RunReport[] = []
  const stage = new Stage()
  const {
    pause: _,
    steadySeconds: __,
    ...options
  } = stage.options(
    [loop(async () => 1, { everySeconds: 0.01 }), loop(async () => 1, { name: 'rare', everySeconds: 3600 })],
    {},
    new MemoryLeases(stage),
  )
  const runner = startRunner({ ...options, onRun: report => void reports.push(report) })
  const deadline = Date.now() + 5000
  while (reports.length < 3 && Date.now() < deadline) await new Promise(resolve => setTimeout(resolve, 5))
  assert.ok(await runner.stop(5))
  assert.ok(reports.length >= 3)
  const after = reports.length
  for (let look = 0; look < 20; look += 1) await new Promise(setImmediate)
  assert.equal(reports.length, after)
})
