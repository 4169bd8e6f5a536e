// The counts of one process as OpenMetrics 1.0 text, kept by OpenTelemetry (docs/reference/metrics.md).
import type { Attributes, Meter, ObservableGauge } from '@opentelemetry/api'
import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus'
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics'
import type { Checkpoints } from '../audit/checkpoint.ts'
import type { Tenant } from '../domain/tenant.ts'
import type { Keys } from '../keys/keys.ts'
import type { Store } from '../store/store.ts'

/** What is asked for its state whenever the page is read. */
export interface Watched {
  readonly store: Pick<Store, 'gauges' | 'signals' | 'log'>
  readonly checkpoints: Pick<Checkpoints, 'lag'>
  readonly keys: Pick<Keys, 'states'>
  readonly tenants: () => Promise<readonly Tenant[]>
  readonly clockMs: () => number
}

export interface Metrics {
  /** Counts a line of the door: its members `route`, `status`, `ms` and, where it was refused, `code`. */
  request(line: Readonly<Record<string, unknown>>): void
  /** Counts a run of a background loop. */
  ran(report: { readonly loop: string; readonly outcome: string }): void
  /** The same store, with the decisions that it commits counted. */
  counted(store: Store): Store
  watch(watched: Watched): void
  /** The page. Where the store is away, what only it knows is missing from it. */
  page(): Promise<string>
}

/** How long one part may take to tell its state. */
const collectMs = 2000

/** Series of one counter; names are ours and few, and this holds should one ever come from outside. */
const mostSeries = 2000

const durationBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

export function createMetrics(): Metrics {
  const reader = new PageReader()
  const meter = new MeterProvider({ readers: [reader] }).getMeter('writ')
  const serializer = new PrometheusSerializer('', false, undefined, true, true)
  const requests = tally(meter, 'writ_requests', 'Requests answered.', ['route', 'status'])
  const refusals = tally(meter, 'writ_refusals', 'Requests refused or failed.', ['code'])
  const decisions = tally(meter, 'writ_decisions', 'Entries committed to the audit log by this process.', [
    'type',
    'outcome',
  ])
  const runs = tally(meter, 'writ_loop_runs', 'Runs of background loops.', ['loop', 'outcome'])
  const duration = meter.createHistogram('writ_request_duration_seconds', {
    description: 'How long requests took.',
    unit: 'seconds',
    advice: { explicitBucketBoundaries: durationBuckets },
  })
  meter
    .createObservableGauge('process_resident_memory_bytes', {
      description: 'Resident memory.',
      unit: 'bytes',
    })
    .addCallback(result => result.observe(process.memoryUsage.rss()))
  return {
    request({ route, status, ms, code }) {
      requests.add(String(route), String(status))
      if (code !== undefined) refusals.add(String(code))
      if (typeof ms === 'number') duration.record(ms / 1000, { route: String(route) })
    },
    ran: ({ loop, outcome }) => runs.add(loop, outcome),
    counted: store => ({
      ...store,
      async commit(ctx, change) {
        const committed = await store.commit(ctx, change)
        if (committed.kind === 'done')
          for (const { type, outcome } of change.entries) decisions.add(type, outcome)
        return committed
      },
    }),
    watch: watched => observe(meter, watched),
    async page() {
      const { resourceMetrics } = await reader.collect({ timeoutMillis: collectMs })
      return toOpenMetrics(serializer.serialize(resourceMetrics))
    },
  }
}

/** Hands out what was collected when it is asked; pushes nothing anywhere. */
class PageReader extends MetricReader {
  protected override async onShutdown(): Promise<void> {}
  protected override async onForceFlush(): Promise<void> {}
}

interface Tally {
  add(...labels: readonly string[]): void
}

/** A counter that costs a look into a map where it counts, and becomes attributes only where it is read. */
function tally(meter: Meter, name: string, description: string, labels: readonly string[]): Tally {
  const series = new Map<string, { readonly attributes: Attributes; count: number }>()
  meter.createObservableCounter(name, { description }).addCallback(result => {
    for (const { attributes, count } of series.values()) result.observe(count, attributes)
  })
  return {
    add(...values) {
      const key = values.join('\0')
      const known = series.get(key)
      if (known !== undefined) known.count += 1
      else if (series.size < mostSeries) {
        const attributes = Object.fromEntries(labels.map((label, at) => [label, values[at] ?? '']))
        series.set(key, { attributes, count: 1 })
      }
    },
  }
}

/** Everything that is looked at when the page is read. */
function observe(meter: Meter, watched: Watched): void {
  const gauge = (name: string, description: string, unit = ''): ObservableGauge =>
    meter.createObservableGauge(name, { description, unit })
  const { store, keys, checkpoints, clockMs } = watched

  const group = (name: string, description: string, of: 'groups' | 'changes'): void =>
    meter
      .createObservableCounter(name, { description })
      .addCallback(result => result.observe(store.gauges.commit()[of]))
  group('writ_commit_groups', 'Transactions that grouped changes were committed in.', 'groups')
  group('writ_commit_changes', 'Changes committed in groups.', 'changes')
  gauge('writ_commit_last_seconds', 'How long the last group took.', 'seconds').addCallback(result =>
    result.observe(store.gauges.commit().lastMs / 1000),
  )
  gauge(
    'writ_signals_contact_age_seconds',
    'Since when the store was last known reachable.',
    'seconds',
  ).addCallback(result => result.observe(Math.max(0, clockMs() - store.signals.contactMs()) / 1000))

  const entries = gauge('writ_audit_entries', 'Entries in the audit log.')
  const lagEntries = gauge('writ_checkpoint_lag_entries', 'Entries that no published checkpoint covers.')
  const lagSeconds = gauge('writ_checkpoint_lag_seconds', 'Age of the oldest of them.', 'seconds')
  const states = gauge('writ_issuer_keys', 'Token signing keys of the issuer, by state.')
  meter.addBatchObservableCallback(
    async result => {
      for (const { id: tenant } of await watched.tenants()) {
        const lag = await checkpoints.lag({ tenant, nowMs: clockMs() })
        result.observe(entries, await store.log.size({ tenant }), { tenant })
        result.observe(lagEntries, lag.entries, { tenant })
        result.observe(lagSeconds, lag.seconds, { tenant })
        for (const [state, of] of Map.groupBy(keys.states({ tenant }), key => key.state)) {
          result.observe(states, of.length, { tenant, state })
        }
      }
    },
    [entries, lagEntries, lagSeconds, states],
  )
}

/** OpenMetrics 1.0 names a counter without the `_total` of its samples, and ends with a line that says so. */
function toOpenMetrics(text: string): string {
  const named = text.replace(/^# (HELP|TYPE|UNIT) (\w+)_total /gm, '# $1 $2 ')
  return `${named.trimEnd()}\n# EOF\n`
}
