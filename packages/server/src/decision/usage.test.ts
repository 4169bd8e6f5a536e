// Use of grants: counted from what was committed, kept where the store is away, and nothing else.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EntryDraft } from '../domain/audit-entry.ts'
import { defaultTenant } from '../domain/tenant.ts'
import type { UsageRow } from '../store/authorization.ts'
import type { Store } from '../store/store.ts'
import { createUsage } from './usage.ts'

const entry = (more: Partial<EntryDraft>): EntryDraft => ({
  type: 'token.issued',
  outcome: 'allowed',
  agent: 'agt_1',
  instance: 'ins_1',
  requestId: 'r',
  ...more,
})

function counter() {
  const added: UsageRow[] = []
  const state = { isAway: false }
  const store = {
    usage: {
      async add(_scope: unknown, rows: readonly UsageRow[]) {
        if (state.isAway) throw new Error('away')
        added.push(...rows)
      },
    },
  } as unknown as Pick<Store, 'usage'>
  const usage = createUsage({ store })
  return { added, state, usage, flush: () => usage.flush({ tenant: defaultTenant }) }
}

const brief = (rows: readonly UsageRow[]) =>
  rows.map(({ grant, scope, tool, caller, firstAt, lastAt, count }) =>
    [grant, scope, tool, caller, firstAt, lastAt, count].join(' '),
  )

test('tokens count under each of their scopes, decisions under their action and object, and refusals not at all', async () => {
  const { usage, added, flush } = counter()
  const issued = entry({ action: 'read write', decision: { rule: 'r', grants: ['grt_1'] } })
  usage.saw('default', issued, 10)
  usage.saw('default', issued, 12)
  usage.saw('default', entry({ ...issued, outcome: 'refused' }), 13)
  usage.saw(
    'default',
    entry({
      type: 'decision.evaluated',
      action: 'call',
      decision: { rule: 'granted', grants: ['grt_1', 'grt_2'] },
      facts: { object: 'tool:send' },
    }),
    14,
  )
  const items = [
    { decision: true, grants: ['grt_3'], action: 'read' },
    { decision: false, grants: [], action: 'read' },
  ].map(item => JSON.stringify(item))
  usage.saw('default', entry({ type: 'decision.evaluations', outcome: 'refused', facts: { items } }), 15)
  const facts = { granted: ['grt_4'], count: 7 }
  usage.saw('default', entry({ type: 'decision.repeated', instance: null, action: 'see', facts }), 16)
  usage.saw('default', entry({ type: 'grant.created', decision: { rule: 'scope', grants: ['grt_5'] } }), 17)
  assert.equal(await flush(), 6)
  assert.deepEqual(brief(added), [
    'grt_1 read  ins_1 10 12 2',
    'grt_1 write  ins_1 10 12 2',
    'grt_1 call tool:send ins_1 14 14 1',
    'grt_2 call tool:send ins_1 14 14 1',
    'grt_3 read  ins_1 15 15 1',
    'grt_4 see  agt_1 16 16 7',
  ])
  assert.equal(await flush(), 0)
})

test('what could not be added is added with the next', async () => {
  const { usage, added, state, flush } = counter()
  const issued = entry({ action: 'read', decision: { rule: 'r', grants: ['grt_1'] } })
  usage.saw('default', issued, 10)
  state.isAway = true
  await assert.rejects(flush())
  usage.saw('default', issued, 11)
  state.isAway = false
  await flush()
  assert.deepEqual(brief(added), ['grt_1 read  ins_1 10 11 2'])
})
