// Instances in great number: each the SDK as it comes, with a keystore of cheap keys and a wire that counts.
import type { AdminClient } from '@writ/sdk/admin'
import { Agent, type Held, type Keystore } from '@writ/sdk/agent'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'

/** Requests of all instances that are under way at once, so that they cost the machine no more than the server. */
const atOnce = 32

export interface Herd {
  readonly agents: readonly Agent[]
  /** Those that follow no stream, and hear with their next token. */
  readonly hearing: readonly Agent[]
  /** When each first came with its successor, by the steady clock. */
  readonly cameAtMs: ReadonlyMap<number, number>
  readonly renewedAtMs: ReadonlyMap<number, number>
  readonly failures: readonly string[]
  readonly tally: { readonly posts: number; readonly mostWaiting: number }
}

/** Enrols them, one of each agent; the first `listening` follow the stream. */
export async function raise(
  admin: AdminClient,
  { size, listening }: { readonly size: number; readonly listening: number },
): Promise<Herd> {
  const owner = (await admin.call('agents.list', { query: { name: 'operator', limit: 1 } })).items[0]?.id
  const cameAtMs = new Map<number, number>()
  const renewedAtMs = new Map<number, number>()
  const failures: string[] = []
  const wire = narrowWire()
  const agents: Agent[] = []
  await inParallel(
    Array.from({ length: size }, (_, at) => at),
    async at => {
      const body = { name: `instance-${at}`, owner: owner ?? '', purpose: 'bench' }
      const { id } = await admin.call('agents.create', { body })
      const { token, enroll_uri } = await admin.call('enrollments.create', { params: { id } })
      agents[at] = await Agent.load({
        keystore: cheapKeystore(),
        enrollment: `${enroll_uri}#${token}`,
        listen: at < listening,
        fetch(input, init) {
          if (`${input}`.endsWith('/rekey') && !cameAtMs.has(at)) cameAtMs.set(at, performance.now())
          return wire.fetch(input, init)
        },
        onRotation(report) {
          if (report.outcome === 'rotated') renewedAtMs.set(at, performance.now())
          else failures.push(`instance ${at}: ${report.error}`)
        },
      })
    },
  )
  return { agents, hearing: agents.slice(listening), cameAtMs, renewedAtMs, failures, tally: wire.tally }
}

/** Does the work for each, so many at once. */
export async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const left = items.values()
  const worker = async (): Promise<void> => {
    for (const item of left) await work(item)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

interface NarrowWire {
  readonly fetch: typeof fetch
  readonly tally: { posts: number; mostWaiting: number }
}

/** One `fetch` for all: what comes beyond `atOnce` waits for its turn, and is counted. */
function narrowWire(): NarrowWire {
  const tally = { posts: 0, mostWaiting: 0 }
  const waiting: (() => void)[] = []
  let free = atOnce
  return {
    tally,
    async fetch(input, init) {
      if (init?.method === 'POST') tally.posts += 1
      if (free > 0) free -= 1
      else {
        await new Promise<void>(resolve => waiting.push(resolve))
      }
      tally.mostWaiting = Math.max(tally.mostWaiting, waiting.length)
      try {
        const answer = await fetch(input, init)
        // Read whole here: the place is given back only when the answer is.
        const body = await answer.arrayBuffer()
        return new Response([204, 304].includes(answer.status) ? null : body, answer)
      } finally {
        const next = waiting.shift()
        if (next === undefined) free += 1
        else next()
      }
    },
  }
}

/** In memory, with the keys that are cheapest to make. */
function cheapKeystore(): Keystore {
  let held: Held = { member: undefined, active: undefined, staged: undefined }
  let turn: Promise<unknown> = Promise.resolve()
  return {
    read: async () => held,
    async stage(purpose) {
      if (held.staged?.purpose === purpose) return held.staged.key
      const key = generateKeyPair('Ed25519').sign
      held = { ...held, staged: { purpose, key } }
      return key
    },
    async activate(thumbprint, { kid, notBefore, expiresAt, ...member }) {
      const key = [held.staged?.key, held.active?.key].find(one => one?.jkt === thumbprint)
      if (key === undefined) throw new Error('this key is neither staged nor in use')
      held = { member, active: { key, kid, notBefore, expiresAt }, staged: undefined }
    },
    alone(work) {
      const mine = turn.then(work, work)
      turn = mine.catch(() => undefined)
      return mine
    },
  }
}
