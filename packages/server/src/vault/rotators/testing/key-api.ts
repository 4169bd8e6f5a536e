// An API that keeps several live keys, as those that `http` rotates at do: real, local, and able to misbehave.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'

/** How it misbehaves. */
export type Trouble =
  | 'lose-answer'
  | 'half-apply'
  | 'refuse-echoing'
  | 'hang'
  | 'drip'
  | 'huge'
  | 'endless'
  | 'not-json'
  | 'other-json'
  | 'redirect'
  | 'fail'
  | 'cut'

export interface Seen {
  readonly method: string
  /** As it was sent, not resolved. */
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export interface KeyApi {
  readonly origin: string
  readonly port: number
  /** Handle → key. */
  readonly keys: Map<string, string>
  readonly seen: Seen[]
  /** What happens to the next requests of this method. */
  trouble(method: string, trouble: Trouble, times?: number): void
  /** Whether the administrator may change nothing from now on. */
  refuse(isRefusing: boolean): void
  close(): Promise<void>
}

export const adminKey = 'the-admin-key-of-this-api'

export async function startKeyApi(options: { readonly elsewhere?: string } = {}): Promise<KeyApi> {
  const keys = new Map<string, string>()
  const seen: Seen[] = []
  const answered = new Map<string, { id: string; key: string }>()
  const troubles = new Map<string, { trouble: Trouble; times: number }>()
  const open = new Set<ServerResponse>()
  let isRefusing = false

  const take = (method: string): Trouble | undefined => {
    const next = troubles.get(method)
    if (next === undefined || next.times === 0) return undefined
    next.times -= 1
    return next.trouble
  }

  // POST makes a key, or takes the one that is given; the same idempotency key has the same answer.
  const make = (request: Seen): { id: string; key: string } => {
    const once = String(request.headers['idempotency-key'])
    const known = answered.get(once)
    if (known && keys.get(known.id) === known.key) return known
    const asked = JSON.parse(request.body || '{}') as { name?: string; key?: string }
    const made = {
      id: asked.name ?? `k_${randomBytes(6).toString('hex')}`,
      key: asked.key ?? randomBytes(24).toString('hex'),
    }
    answered.set(once, made)
    keys.set(made.id, made.key)
    return made
  }

  const serve = async (incoming: IncomingMessage, answer: ServerResponse): Promise<void> => {
    const { method = '', url = '', headers } = incoming
    const request: Seen = { method, url, headers, body: await text(incoming) }
    seen.push(request)
    open.add(answer)
    const trouble = take(method)
    if (misbehave(trouble, request, answer, options.elsewhere)) return
    const send = (status: number, body: unknown): void => {
      if (trouble === 'lose-answer') answer.destroy()
      else answer.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    }
    const bearer = headers.authorization?.replace(/^Bearer /, '') ?? ''
    if (method === 'GET') return send([...keys.values()].includes(bearer) ? 200 : 401, {})
    if (bearer !== adminKey) return send(401, { error: `no such key: ${bearer}` })
    if (isRefusing) return send(403, { error: `not for ${bearer}` })
    if (method === 'DELETE') {
      const handle = decodeURIComponent(url.split('/').at(-1) ?? '')
      return send(keys.delete(handle) ? 204 : 404, {})
    }
    const made = make(request)
    if (trouble === 'half-apply') return send(500, { error: `made ${made.key}, then failed` })
    if (trouble === 'other-json') return send(201, [made])
    send(201, { data: made })
  }

  const server = createServer((incoming, answer) => void serve(incoming, answer)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    keys,
    seen,
    trouble: (method, trouble, times = 1) => void troubles.set(method, { trouble, times }),
    refuse: refusing => {
      isRefusing = refusing
    },
    async close() {
      for (const answer of open) answer.destroy()
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Whether the request was answered by the trouble alone, with nothing done. */
function misbehave(
  trouble: Trouble | undefined,
  { headers, body }: Seen,
  answer: ServerResponse,
  elsewhere = 'http://127.0.0.1:1',
): boolean {
  switch (trouble) {
    case 'hang':
      return true
    case 'drip':
      // Headers at once, and then never the rest.
      answer.writeHead(200, { 'content-type': 'application/json' }).write('{"data":')
      return true
    case 'cut':
      answer.writeHead(200, { 'content-length': '100' }).write('{"data":', () => answer.destroy())
      return true
    case 'endless': {
      answer.writeHead(200)
      const more = (): void => void (answer.destroyed || answer.write('x'.repeat(16_384), more))
      more()
      return true
    }
    case 'huge':
      answer.writeHead(200).end(JSON.stringify({ data: { id: 'a', key: 'k'.repeat(100_000) } }))
      return true
    case 'not-json':
      answer.writeHead(200, { 'content-type': 'text/html' }).end(`<p>${headers.authorization} ${body}</p>`)
      return true
    case 'refuse-echoing':
      answer.writeHead(422).end(JSON.stringify({ error: `cannot: ${headers.authorization} ${body}` }))
      return true
    case 'redirect':
      answer.writeHead(307, { location: `${elsewhere}/keys` }).end()
      return true
    case 'fail':
      answer.writeHead(503).end(`${headers.authorization} ${body}`)
      return true
    default:
      return false
  }
}
