// The sockets: plain or TLS, bounded in headers and time, drained on the way out. What answers is handed in.
import { readFileSync } from 'node:fs'
import { createServer as createPlainServer, type Server } from 'node:http'
import { createServer as createTlsServer, Server as TlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { Fault } from '@writ/sdk/protocol/fault'
import { fixedLimits } from '../limits.ts'
import type { Connection } from './app.ts'
import { selfSigned } from './self-signed.ts'

export type Answer = (request: Request, connection: Connection) => Promise<Response>

export interface ListenOptions {
  readonly host: string
  readonly port: number
  /** How clients call us where that is not the address we listen on; it goes into a certificate for trials. */
  readonly issuer?: string | undefined
  readonly tlsCert: string | undefined
  readonly tlsKey: string | undefined
  readonly tlsSelfSigned: 'on' | 'off'
}

export interface Listening {
  /** The origin of this socket, such as `http://127.0.0.1:8455`. */
  readonly origin: string
  /** The certificate that was made for trials, as PEM; undefined where none was. */
  readonly certificate: string | undefined
  /** Until this is called, every request hears 503. */
  answerWith(answer: Answer): void
  /** No new connections; open requests may take this long, then their connections are cut. */
  close(withinSeconds: number): Promise<void>
}

const starting: Answer = async () =>
  new Response('{"error":"temporarily_unavailable","error_description":"The server is starting."}', {
    status: 503,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store', 'retry-after': '1' },
  })

/** Binds the socket. Rejects with the error of the operating system, such as EADDRINUSE. */
export async function listen(options: ListenOptions): Promise<Listening> {
  let answer = starting
  const listener = getRequestListener((request, env) => answer(request, env as Connection), {
    overrideGlobalObjects: false,
  })
  // Slow or endless headers and bodies end here, before any parser of ours sees them (threat C65).
  const bounds = {
    maxHeaderSize: fixedLimits.maxHeaderBytes,
    headersTimeout: 10_000,
    requestTimeout: 30_000,
    keepAliveTimeout: 30_000,
    connectionsCheckingInterval: 5_000,
  }
  const tls = certificateOf(options)
  const server =
    tls === undefined
      ? createPlainServer(bounds, listener)
      : checked(() => createTlsServer({ ...bounds, ...tls, minVersion: 'TLSv1.2' }, listener))
  const silent = silentConnections(server)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.host, resolve)
  })
  const { port } = server.address() as AddressInfo
  const host = options.host.includes(':') ? `[${options.host}]` : options.host
  const scheme = tls === undefined ? 'http' : 'https'
  const isStandard = port === (tls === undefined ? 80 : 443)
  return {
    origin: `${scheme}://${host}${isStandard ? '' : `:${port}`}`,
    certificate: options.tlsSelfSigned === 'on' ? tls?.cert.toString() : undefined,
    answerWith(next) {
      answer = next
    },
    close: withinSeconds => drain(server, silent, withinSeconds),
  }
}

interface Certificate {
  readonly cert: string | Buffer
  readonly key: string | Buffer
}

function certificateOf({
  tlsCert,
  tlsKey,
  tlsSelfSigned,
  host,
  issuer,
}: ListenOptions): Certificate | undefined {
  if (tlsCert !== undefined && tlsKey !== undefined) {
    return checked(() => ({ cert: readFileSync(tlsCert), key: readFileSync(tlsKey) }))
  }
  if (tlsSelfSigned === 'off') return undefined
  // URLs put IPv6 addresses in brackets.
  return selfSigned(host, ...(issuer === undefined ? [] : [new URL(issuer).hostname.replace(/^\[|\]$/g, '')]))
}

function checked<T>(use: () => T): T {
  try {
    return use()
  } catch (cause) {
    const say = `The TLS certificate and its key cannot be used (${(cause as Error).message}): give PEM files that belong together.`
    throw new Fault('server_error', say, { kind: 'tls_files' }, { cause })
  }
}

/** Connections that were kept alive become idle one by one as their answers end; nobody shall wait for the rest. */
const idleCheckMs = 50
/** A request may be on its way already; a connection that brings none by then was opened for later. */
const silentMs = 500

async function drain(server: Server, silent: ReadonlySet<Socket>, withinSeconds: number): Promise<void> {
  const closed = new Promise<void>(resolve => server.close(() => resolve()))
  server.closeIdleConnections()
  const sweep = setInterval(() => server.closeIdleConnections(), idleCheckMs)
  const hush = setTimeout(() => silent.forEach(socket => void socket.destroy()), silentMs)
  const cut = setTimeout(() => server.closeAllConnections(), withinSeconds * 1000)
  await closed
  clearInterval(sweep)
  clearTimeout(hush)
  clearTimeout(cut)
}

/** Connections that have brought no request yet: Node counts them as busy. */
function silentConnections(server: Server): ReadonlySet<Socket> {
  const silent = new Set<Socket>()
  server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', (socket: Socket) => {
    silent.add(socket)
    socket.once('close', () => silent.delete(socket))
  })
  server.on('request', ({ socket }) => void silent.delete(socket))
  return silent
}
