// The feed of signals among nodes on one PostgreSQL: NOTIFY as a hint, a poll behind it, on one connection that is watched.
import pg from 'pg'
import type { TenantId } from '../../../domain/tenant.ts'
import type { SignalAt, Signals } from '../../store.ts'
import { connectionOptions } from '../engine/postgres.ts'
import { channel } from '../writer.ts'
import { type Delivery, deliver, type Feed, subscriptionsOf, tellEars } from './feed.ts'

const pollMs = 250
/** A poll without an answer for this long means that the connection is dead, whatever the socket says. */
const deadMs = 900
const retryMs = 100
const batchSize = 1000

export interface SharedFeedOptions {
  readonly url: string
  readonly delivery: Delivery
  readonly after: Signals['after']
}

interface Link {
  readonly client: pg.Client
  /** Whether the connection broke. */
  broken: boolean
}

/** Follows the signals of all nodes until `close`. */
export function sharedFeed({ url, delivery, after }: SharedFeedOptions): Feed {
  let contactMs = 0
  let link: Link | undefined
  let closed = false
  let healthy = true
  let poke = (): void => {}

  const connect = async (): Promise<Link> => {
    const client = new pg.Client({
      ...connectionOptions,
      connectionString: url,
      connectionTimeoutMillis: 2000,
      query_timeout: deadMs,
    })
    const made: Link = { client, broken: false }
    const lost = (): void => {
      made.broken = true
      poke()
    }
    client.on('error', lost)
    client.on('end', lost)
    client.on('notification', () => poke())
    try {
      await client.connect()
      await client.query(`listen ${channel}`)
      return made
    } catch (error) {
      discard(client)
      throw error
    }
  }
  const poll = async (): Promise<void> => {
    if (link === undefined || link.broken) link = await connect()
    // The answer is of this instant or later: contact counts from before the question.
    const askedMs = Date.now()
    const { rows } = await link.client.query<{ tenant: string; epoch: string }>(
      'select tenant, epoch from heads',
    )
    for (const { tenant, epoch } of rows) await catchUp(delivery, after, tenant, Number(epoch))
    contactMs = askedMs
  }
  const follow = async (): Promise<void> => {
    while (!closed) {
      const waited = new Promise<void>(resolve => {
        poke = resolve
      })
      let pause = pollMs
      try {
        await poll()
        healthy = true
      } catch (error) {
        if (closed) return
        // One word for an outage, however long it lasts.
        if (healthy) delivery.onError(error)
        healthy = false
        if (link !== undefined) discard(link.client)
        link = undefined
        pause = retryMs
      }
      await Promise.race([waited, sleep(pause)])
    }
  }
  const running = follow()
  return {
    ...subscriptionsOf(delivery),
    offer(tenant, signals) {
      tellEars(delivery, tenant, signals)
      // Others committed before this and are not yet known here: the poll brings all of them in order.
      if (!deliver(delivery, tenant, signals)) poke()
    },
    contactMs: () => contactMs,
    async close() {
      closed = true
      poke()
      if (link !== undefined) discard(link.client)
      await running
      // One that was being made just then would keep the process alive.
      if (link !== undefined) discard(link.client)
    },
  }
}

const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms).unref())

/** Ends a connection that may be dead, without waiting for it. */
function discard(client: pg.Client): void {
  client.on('error', () => {})
  client.end().catch(() => {})
  const { stream } = (client as unknown as { connection: { stream: { destroy(): void } } }).connection
  stream.destroy()
}

/** Fetches and delivers everything up to `epoch`. */
async function catchUp(
  delivery: Delivery,
  after: Signals['after'],
  tenant: string,
  epoch: number,
): Promise<void> {
  for (;;) {
    const seen = delivery.seen.get(tenant) ?? 0
    if (seen >= epoch) return
    const signals: readonly SignalAt[] = await after({ tenant: tenant as TenantId }, seen, batchSize)
    const [first] = signals
    if (first === undefined) {
      // All of them were swept: they are older than any token that could live.
      skipTo(delivery, tenant, epoch)
      return
    }
    if (first.epoch > (delivery.seen.get(tenant) ?? 0) + 1) {
      // The first ones were swept while this node was cut off.
      skipTo(delivery, tenant, first.epoch - 1)
    }
    tellEars(delivery, tenant, signals)
    deliver(delivery, tenant, signals)
  }
}

function skipTo(delivery: Delivery, tenant: string, epoch: number): void {
  for (const ear of delivery.ears) ear.lose(tenant, epoch)
  delivery.seen.set(tenant, epoch)
}
