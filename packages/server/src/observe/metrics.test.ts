// The metrics page: valid OpenMetrics, the numbers that the documentation names, and no failure where the store is away.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { Fault } from '@writ/sdk/protocol/fault'
import { defaultTenant } from '../domain/tenant.ts'
import type { Store } from '../store/store.ts'
import { createMetrics, type Metrics, type Watched } from './metrics.ts'

const away = (): never => {
  throw new Fault('temporarily_unavailable', 'The store is away.')
}

const watched: Watched = {
  store: {
    gauges: { commit: () => ({ groups: 7, changes: 40, lastMs: 12 }) },
    signals: { contactMs: () => 98_500 } as Store['signals'],
    log: { size: async () => 512 } as unknown as Store['log'],
  },
  checkpoints: { lag: async () => ({ entries: 12, seconds: 3.5 }) },
  keys: {
    states: () =>
      (['staged', 'active', 'retiring', 'retiring'] as const).map(state => ({
        state,
      })) as unknown as ReturnType<Watched['keys']['states']>,
  },
  tenants: async () => [{ id: defaultTenant, issuer: 'https://writ.example', createdAt: 0 }],
  clockMs: () => 100_000,
}

function filled(): Metrics {
  const metrics = createMetrics()
  metrics.watch(watched)
  metrics.request({ route: 'token', status: 200, ms: 1.5 })
  metrics.request({ route: 'token', status: 200, ms: 3 })
  metrics.request({ route: 'token', status: 400, ms: 0.2, code: 'invalid_grant' })
  metrics.ran({ loop: 'checkpoint', outcome: 'done' })
  return metrics
}

/** Name with its labels → value, of every sample of the page. */
function samplesOf(page: string): Map<string, string> {
  return new Map(
    page
      .split('\n')
      .filter(line => line !== '' && !line.startsWith('#'))
      .map(line => [line.slice(0, line.lastIndexOf(' ')), line.slice(line.lastIndexOf(' ') + 1)]),
  )
}

test('requests, refusals, runs, commits, the checkpoint and the keys are counted', async () => {
  const samples = samplesOf(await filled().page())
  const expected = {
    'writ_requests_total{route="token",status="200"}': '2',
    'writ_requests_total{route="token",status="400"}': '1',
    'writ_refusals_total{code="invalid_grant"}': '1',
    'writ_loop_runs_total{loop="checkpoint",outcome="done"}': '1',
    writ_commit_groups_total: '7',
    writ_commit_changes_total: '40',
    writ_commit_last_seconds: '0.012',
    writ_signals_contact_age_seconds: '1.5',
    'writ_audit_entries{tenant="default"}': '512',
    'writ_checkpoint_lag_entries{tenant="default"}': '12',
    'writ_checkpoint_lag_seconds{tenant="default"}': '3.5',
    'writ_issuer_keys{tenant="default",state="active"}': '1',
    'writ_issuer_keys{tenant="default",state="retiring"}': '2',
    'writ_request_duration_seconds_count{route="token"}': '3',
    'writ_request_duration_seconds_bucket{route="token",le="0.0025"}': '2',
  }
  for (const [name, value] of Object.entries(expected)) assert.equal(samples.get(name), value, name)
})

test('decisions are counted by type and outcome, those that were committed and no others', async () => {
  const metrics = createMetrics()
  let kind = 'done'
  const store = metrics.counted({ commit: async () => ({ kind }) } as unknown as Store)
  const ctx = { tenant: defaultTenant, now: 0, nowMs: 0 }
  const entries = [
    { type: 'token.issued', outcome: 'allowed', requestId: 'r' },
    { type: 'agent.created', outcome: 'allowed', requestId: 'r' },
  ] as const
  await store.commit(ctx, { entries })
  await store.commit(ctx, { entries: [{ type: 'token.issued', outcome: 'refused', requestId: 'r' }] })
  kind = 'stale'
  await store.commit(ctx, { entries })
  const samples = samplesOf(await metrics.page())
  assert.equal(samples.get('writ_decisions_total{type="token.issued",outcome="allowed"}'), '1')
  assert.equal(samples.get('writ_decisions_total{type="token.issued",outcome="refused"}'), '1')
  assert.equal(samples.get('writ_decisions_total{type="agent.created",outcome="allowed"}'), '1')
})

test('the page follows OpenMetrics: families announced once and before their samples, and an end', async () => {
  const page = await filled().page()
  assert.ok(page.endsWith('\n# EOF\n'))
  assert.ok(!page.includes('\n\n'))
  const types = new Map<string, string>()
  let family = ''
  for (const line of page.split('\n').slice(0, -2)) {
    const announced = /^# (HELP|TYPE|UNIT) (\w+) (.+)$/.exec(line)
    if (announced?.[2] !== undefined) {
      const [, what, name, value = ''] = announced
      if (what === 'TYPE') {
        assert.ok(!types.has(name), `${name} comes twice`)
        types.set(name, value)
      }
      // OpenMetrics 1.0: the unit is the end of the name.
      if (what === 'UNIT') assert.ok(name.endsWith(`_${value}`), line)
      family = name
      continue
    }
    const sample = /^(\w+?)(_total|_bucket|_count|_sum)?(\{(\w+="[^"\n]*",?)+\})? -?[\d.e+-]+$/.exec(line)
    assert.ok(sample, line)
    const suffix: Record<string, (string | undefined)[]> = {
      counter: ['_total'],
      histogram: ['_bucket', '_count', '_sum'],
      gauge: [undefined],
    }
    const type = types.get(family) ?? ''
    assert.ok(line.startsWith(family) && suffix[type]?.includes(sample[2]), line)
  }
  assert.ok(types.size >= 13)
})

test('a store that is away leaves a page without its numbers, not no page', async () => {
  const metrics = createMetrics()
  metrics.watch({ ...watched, tenants: away })
  metrics.request({ route: 'token', status: 503, ms: 1, code: 'temporarily_unavailable' })
  const samples = samplesOf(await metrics.page())
  assert.equal(samples.get('writ_refusals_total{code="temporarily_unavailable"}'), '1')
  assert.equal(samples.get('writ_audit_entries{tenant="default"}'), undefined)
})

test('names that come from outside by mistake cannot fill the memory', async () => {
  const metrics = createMetrics()
  for (let at = 0; at < 5000; at++) metrics.request({ route: `r${at}`, status: 200 })
  const samples = samplesOf(await metrics.page())
  assert.ok([...samples.keys()].filter(name => name.startsWith('writ_requests')).length <= 2000)
})

test('every metric is documented, and every documented metric is there', async () => {
  const document = readFileSync(new URL('../../../../docs/reference/metrics.md', import.meta.url), 'utf8')
  const documented = [...document.matchAll(/^\| `(\w+)`/gm)].map(match => match[1])
  const metrics = filled()
  await metrics
    .counted({ commit: async () => ({ kind: 'done' }) } as unknown as Store)
    .commit(
      { tenant: defaultTenant, now: 0, nowMs: 0 },
      { entries: [{ type: 'a', outcome: 'allowed', requestId: 'r' }] },
    )
  const families = [...(await metrics.page()).matchAll(/^# TYPE (\w+) (\w+)/gm)].map(([, name, type]) =>
    type === 'counter' ? `${name}_total` : name,
  )
  assert.deepEqual(documented.sort(), families.sort())
})
