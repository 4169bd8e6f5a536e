// A server on a free loopback port whose handler works on Web requests, and can lose its answer on the way.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'

/** The answer, or `lost`: the work is done and the connection breaks before a byte of the answer. */
export type Handler = (request: Request) => Promise<Response | 'lost'>

export interface Listening extends AsyncDisposable {
  readonly origin: string
}

/** `clock` gives the epoch milliseconds for the `Date` header. */
export async function listen(handler: Handler, clock: () => number = Date.now): Promise<Listening> {
  const server = createServer((incoming, outgoing) => {
    void serve(handler, incoming, outgoing, clock)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    origin,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

async function serve(
  handler: Handler,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  clock: () => number,
): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  const { method = 'GET', headers } = incoming
  const body = chunks.length > 0 ? { body: Buffer.concat(chunks) } : {}
  const request = new Request(`http://${headers.host}${incoming.url}`, {
    method,
    headers: headersOf(incoming),
    ...body,
  })
  const answer = await handler(request).catch(error => new Response(String(error), { status: 500 }))
  if (answer === 'lost') {
    incoming.socket.destroy()
    return
  }
  outgoing.setHeader('date', new Date(clock()).toUTCString())
  outgoing.writeHead(answer.status, Object.fromEntries(answer.headers))
  if (answer.body === null) outgoing.end()
  // A client that leaves in the middle of a stream ends it.
  else await pipeline(answer.body, outgoing).catch(() => undefined)
}

function headersOf({ headersDistinct }: IncomingMessage): Headers {
  const headers = new Headers()
  for (const [name, values = []] of Object.entries(headersDistinct))
    for (const value of values) headers.append(name, value)
  return headers
}
