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
    { decision: true, grants: ['grt_3'], action: 'read', subject: 'agent:agt_1' },
    { decision: false, grants: [], action: 'read', subject: 'agent:agt_1' },
  ].map(item => JSON.stringify(item))
  usage.saw('default', entry({ type: 'decision.evaluations', outcome: 'refused', facts: { items } }), 15)
  const facts = { granted: ['grt_4'], count: 7 }
  usage.saw('default', entry({ type: 'decision.repeated', instance: null, action: 'see', facts }), 16)
  usage.saw('default', entry({ type: 'agent.enrolled', decision: { rule: 'token', grants: ['grt_5'] } }), 17)
  assert.equal(await flush(), 6)
  assert.deepEqual(brief(added), [
    'grt_1 read  ins_1 10 12 2',
    'grt_1 write  ins_1 10 12 2',
    'grt_1 call tool:send ins_1 14 14 1',
    'grt_2 call tool:send ins_1 14 14 1',
    'grt_3 read  agt_1 15 15 1',
    'grt_4 see  agt_1 16 16 7',
  ])
  assert.equal(await flush(), 0)
})

test('operations of ours count under their names, and the addresses by which the log is read under none', async () => {
  const { usage, added, flush } = counter()
  const chain = [{ sub: 'ins_1', kind: 'instance' }] as const
  const own = { chain, decision: { rule: 'scope', grants: ['grt_1'] } }
  usage.saw('default', entry({ ...own, type: 'grant.created', action: 'grants.create' }), 10)
  usage.saw('default', entry({ ...own, type: 'secret.read', action: 'secret:read' }), 11)
  usage.saw('default', entry({ ...own, type: 'audit.read', action: 'https://writ.example/audit?from=1' }), 12)
  usage.saw('default', entry({ ...own, type: 'audit.read', action: 'https://writ.example/audit?from=2' }), 13)
  await flush()
  assert.deepEqual(brief(added), [
    'grt_1  grants.create ins_1 10 10 1',
    'grt_1  secret:read ins_1 11 11 1',
    'grt_1   ins_1 12 13 2',
  ])
})

test('use is booked under the instance where it is known, else under the agent, and never under whom it was about', async () => {
  const { usage, added, flush } = counter()
  const facts = { granted: ['grt_1'], count: 7 }
  const repeated = entry({ type: 'decision.repeated', instance: 'ins_1', action: 'see', facts })
  usage.saw('default', repeated, 10)
  usage.saw('default', { ...repeated, instance: null }, 11)
  const item = { decision: true, action: 'see' }
  const items = [
    { ...item, grants: ['grt_2'], subject: 'agent:agt_2', instance: 'ins_2' },
    { ...item, grants: ['grt_3'], subject: 'agent:agt_3' },
  ].map(each => JSON.stringify(each))
  const batch = entry({ type: 'decision.evaluations', agent: null, instance: null, facts: { items } })
  usage.saw('default', batch, 12)
  const common = JSON.stringify({ subject: 'agent:agt_4', instance: 'ins_4' })
  const alike = [1, 2].map(() => JSON.stringify({ ...item, grants: ['grt_4'] }))
  usage.saw('default', { ...batch, agent: 'agt_4', facts: { common, items: alike } }, 13)
  const chain = [
    { sub: 'agt_5', kind: 'agent' },
    { sub: 'ins_5', kind: 'instance' },
  ] as const
  const decision = { rule: 'scope', grants: ['grt_5'] }
  const about = { type: 'agent.suspended', agent: 'agt_6', instance: null, action: 'agents.suspend' }
  usage.saw('default', entry({ ...about, chain, decision }), 14)
  await flush()
  assert.deepEqual(brief(added), [
    'grt_1 see  ins_1 10 10 7',
    'grt_1 see  agt_1 11 11 7',
    'grt_2 see  ins_2 12 12 1',
    'grt_3 see  agt_3 12 12 1',
    'grt_4 see  ins_4 13 13 2',
    'grt_5  agents.suspend ins_5 14 14 1',
  ])
})

test('ever other objects fill no table: beyond some names under a grant they count together', async () => {
  const { usage, added, flush } = counter()
  const decided = (at: number, grant = 'grt_1') =>
    entry({
      type: 'decision.evaluated',
      action: 'read',
      decision: { rule: 'granted', grants: [grant] },
      facts: { object: `invoice:${at}` },
    })
  for (let round = 0; round < 3; round += 1) {
    for (let at = 0; at < 500; at += 1) usage.saw('default', decided(at), at)
    usage.saw('default', decided(499, 'grt_2'), round)
    await flush()
  }
  const names = new Set(added.filter(({ grant }) => grant === 'grt_1').map(({ tool }) => tool))
  assert.equal(names.size, 65)
  const sum = added.filter(({ grant }) => grant === 'grt_1').reduce((all, { count }) => all + count, 0)
  assert.equal(sum, 1500, 'and none is lost')
  assert.ok(added.some(({ grant, tool }) => grant === 'grt_2' && tool === 'invoice:499'))
})

test('what a resource says that it repeated fills no table either: its names of actions and instances are bounded', async () => {
  const { usage, added, flush } = counter()
  const repeated = (at: number) =>
    entry({
      type: 'decision.repeated',
      instance: `ins_${at}`,
      action: `act ${at}`,
      facts: { granted: ['grt_1'], count: 2 },
    })
  for (let at = 0; at < 900; at += 1) usage.saw('default', repeated(at), at)
  usage.saw('default', entry({ action: 'act_901', decision: { rule: 'r', grants: ['grt_1'] } }), 1)
  await flush()
  assert.ok(added.length <= 260, `${added.length} rows`)
  assert.equal(
    added.reduce((all, { count }) => all + count, 0),
    1801,
    'and none is lost',
  )
  assert.ok(
    added.some(({ scope, caller }) => scope === 'act_901' && caller === 'ins_1'),
    'what was decided here is',
  )
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
