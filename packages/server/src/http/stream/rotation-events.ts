// Rotations as they move: one stream of server-sent events for whoever may see them. Each event is a rotation as shown.
import { decideAs } from '../../admin/access.ts'
import { showRotation } from '../../admin/rotation/rotations.ts'
import { readAs } from '../../audit/reading.ts'
import type { Ctx } from '../../context.ts'
import { decisionFacts } from '../../decision/own.ts'
import type { Caller } from '../../domain/caller.ts'
import { authenticate, type VerifiedTokens } from '../../protocol/access.ts'
import type { SignalAt } from '../../store/store.ts'
import { singleProof } from '../oauth.ts'
import { type FaceDeps, published, type Route } from '../route.ts'

/** After so long the stream ends and its reader comes back with a fresh token: rights are looked at anew. */
const longestSeconds = 300
const heartbeatSeconds = 15
/** A reader that is behind by more events is cut off; it comes back, and reads the list. */
const mostUnread = 1000
/** Rotations of a batch that are read in one query. */
const readAtOnce = 500
const path = '/api/v1/rotations/events'

export function rotationEventsRoute(face: { readonly verifiedTokens: VerifiedTokens }): Route {
  return {
    name: 'rotation-events',
    method: 'GET',
    path,
    face: 'problem',
    cors: false,
    publishedAs: { writ: 'rotation_events' },
    async handle(ctx, deps, request) {
      const evidence = {
        authorization: request.headers.get('authorization') ?? undefined,
        dpop: singleProof(request),
        method: request.method,
        uri: published(ctx.issuer, path),
      }
      const audience = published(ctx.issuer, '/api/v1')
      const caller = await authenticate(ctx, { ...deps, ...face }, evidence, audience)
      const reading = { type: 'management.read', action: 'rotations.events', caller } as const
      await readAs(ctx, deps, reading, async attempt => {
        const asked = { operation: 'rotations.list', ...attempt }
        const decided = await decideAs(ctx, deps, caller, asked)
        const { bases, spends } = decided
        return { facts: decisionFacts(decided), answer: undefined, change: { bases, spends } }
      })
      return request.method === 'HEAD' ? new Response(null, { headers }) : stream(ctx, deps, request, caller)
    },
  }
}

const headers = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store',
  'x-accel-buffering': 'no',
}
const encoder = new TextEncoder()

function stream(ctx: Ctx, deps: FaceDeps, request: Request, caller: Caller): Response {
  const endings: (() => void)[] = []
  const end = (): void => {
    for (const ending of endings.splice(0)) ending()
  }
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      endings.push(() => controller.close())
      const write = (text: string): void => {
        if ((controller.desiredSize ?? 0) < -mostUnread) end()
        else if (endings.length > 0) controller.enqueue(encoder.encode(text))
      }
      // One batch after the other: events come in the order in which they became true.
      let last = Promise.resolve()
      const hear = (tenant: string, signals: readonly SignalAt[]): void => {
        if (tenant !== ctx.tenant) return
        if (endsRights(signals, caller)) end()
        else last = last.then(() => tell(ctx, deps, signals, write)).catch(end)
      }
      endings.push(deps.store.signals.subscribe(hear))
      const beat = setInterval(() => write(': still here\n\n'), heartbeatSeconds * 1000)
      const limit = setTimeout(end, longestSeconds * 1000)
      endings.push(() => {
        clearInterval(beat)
        clearTimeout(limit)
      })
      for (const signal of [request.signal, deps.closing]) {
        signal.addEventListener('abort', end, { once: true })
        endings.push(() => signal.removeEventListener('abort', end))
        if (signal.aborted) return end()
      }
      write(': rotations from here on\n\n')
    },
    cancel() {
      // The reader is gone, and there is nothing left to close.
      endings.shift()
      end()
    },
  })
  return new Response(body, { headers })
}

/** What the caller's token rests on may end while the stream is open: then so does the stream. */
function endsRights(signals: readonly SignalAt[], { basis }: Caller): boolean {
  return signals.some(({ kind, subject }) => kind === 'narrowed' && basis.subjects.includes(subject))
}

async function tell(
  ctx: Ctx,
  deps: FaceDeps,
  signals: readonly SignalAt[],
  write: (text: string) => void,
): Promise<void> {
  const moved = signals.filter(({ subject }) => subject.startsWith('rot_'))
  for (let at = 0; at < moved.length; at += readAtOnce) {
    const some = moved.slice(at, at + readAtOnce)
    const named = some.map(({ subject }) => subject)
    const found = new Map((await deps.store.rotations.among(ctx, named)).map(one => [one.id as string, one]))
    for (const { subject, epoch } of some) {
      const rotation = found.get(subject)
      if (rotation === undefined) continue
      write(`event: rotation\nid: ${epoch}\ndata: ${JSON.stringify(showRotation(rotation))}\n\n`)
    }
  }
}
