// What counting the use of grants costs a decision: the wrapper of the commit, the counts, and their share of a flush.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer } from '@writ/server'
import { countingUse, createUsage } from '@writ/server/testing'
import { median } from '../measure.ts'

/** Decisions between two flushes: five seconds of a busy node. */
const decisions = 20_000
const agents = 100
const rounds = 5

/** Microseconds for each decision, on a store that commits at once: everything that is measured is the counting. */
export async function usageMicroseconds(): Promise<number> {
  const data = mkdtempSync(join(tmpdir(), 'writ-bench-'))
  const server = await createServer({ data, issuer: 'https://usage.example' })
  try {
    const [tenant] = await server.store.tenants.list()
    if (tenant === undefined) throw new Error('nobody is there')
    const now = Math.floor(Date.now() / 1000)
    const ctx = { tenant: tenant.id, now, nowMs: now * 1000 }
    const usage = createUsage({ store: server.store })
    const done = { kind: 'done', first: { id: 'evt', index: 0 }, epoch: 0 } as const
    const store = countingUse({ ...server.store, commit: () => Promise.resolve(done) }, usage)
    const changes = Array.from({ length: agents }, (_, at) => ({
      entries: [
        {
          type: 'decision.evaluated',
          outcome: 'allowed',
          requestId: 'bench',
          agent: `agt_${at}`,
          instance: `ins_${at}`,
          action: 'read',
          decision: { rule: 'granted', grants: [`grt_${at}`] },
          facts: { object: 'https://api.example#search' },
        } as const,
      ] as const,
    }))
    const took: number[] = []
    for (let round = 0; round < rounds; round++) {
      const startedAt = performance.now()
      for (let at = 0; at < decisions; at++) {
        await store.commit(ctx, changes[at % agents] as (typeof changes)[number])
      }
      const rows = await usage.flush(ctx)
      took.push(((performance.now() - startedAt) * 1000) / decisions)
      if (rows !== agents) throw new Error(`counted ${rows} rows`)
    }
    return median(took)
  } finally {
    await server.close()
    rmSync(data, { recursive: true, force: true })
  }
}
