// A process that commits as fast as it can and says what was acknowledged, until it is killed in the middle of it.
import { randomBytes } from 'node:crypto'
import { writeSync } from 'node:fs'
import { defaultTenant } from '../../../domain/tenant.ts'
import { openStore } from '../open.ts'

const [file = '', round = ''] = process.argv.slice(2)
const store = await openStore({ kind: 'sqlite', file }, { randomBytes })
await store.tenants.ensure({ id: defaultTenant, issuer: 'https://writ.example', createdAt: 0 })
let count = 0

/** Each change leaves one entry, one signal and one replay mark: afterwards there must be as many of each. */
async function write(): Promise<never> {
  for (;;) {
    const key = `${round}-${count++}`
    const now = Math.floor(Date.now() / 1000)
    const committed = await store.commit(
      { tenant: defaultTenant, now, nowMs: now * 1000 },
      {
        claims: [{ key, until: now + 3600 }],
        signals: [{ subject: key, kind: 'changed' }],
        entries: [{ type: 'test.done', outcome: 'allowed', requestId: key, reason: 'x'.repeat(500) }],
      },
    )
    if (committed.kind !== 'done') throw new Error(committed.kind)
    writeSync(1, `${key} ${committed.first.index} ${committed.first.id}\n`)
  }
}

await Promise.all(Array.from({ length: 8 }, write))
