// A small issuer on loopback for the tests of a resource: it signs, publishes and ends, and misbehaves when told to.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { AlgorithmName } from '../../protocol/algorithms.ts'
import { createProof } from '../../protocol/dpop.ts'
import { generateKeyPair, type KeyPair } from '../../protocol/jwk.ts'
import { signJws } from '../../protocol/jws.ts'
import {
  formatEvent,
  type Narrowing,
  type StreamMessage,
  subjectDigest,
  writeMessage,
} from '../../protocol/revocation.ts'

export interface IssuerFixture {
  readonly url: string
  /** The key that signs now, and those that are published. */
  signer: KeyPair
  published: { readonly kid: string; readonly key: KeyPair }[]
  /** Members laid over the metadata documents, by their well-known name. */
  readonly documents: Record<string, Record<string, unknown>>
  /** How often each path was asked for. */
  readonly asked: Map<string, number>
  /** Ends a subject: all listeners are told. */
  narrow(...subjects: string[]): void
  /** Sends any message to the listeners of the stream, true or not. */
  push(message: Partial<StreamMessage>): void
  /** Sends bytes to the listeners of the stream. */
  pushRaw(text: string): void
  epoch: number
  /** While true, nothing is answered and nothing is sent, but every connection stays open. */
  silent: boolean
  /** While true, every request to the stream is answered with 503. */
  unavailable: boolean
  /** While true, heartbeats stop but polls are answered. */
  heartless: boolean
  readonly listeners: () => number
  dropListeners(): void
  issue(claims?: Record<string, unknown>, options?: IssueOptions): string
  close(): Promise<void>
}

export interface IssueOptions {
  readonly key?: KeyPair
  readonly typ?: string
  readonly kid?: string
}

export interface IssuerOptions {
  readonly heartbeatSeconds?: number
  readonly stalenessSeconds?: number
  readonly path?: string
  readonly keysCacheSeconds?: number
}

export const kidOf = (key: KeyPair): string => key.verify.jkt

/** Starts an issuer that answers on a free port of loopback. */
export async function startIssuer(options: IssuerOptions = {}): Promise<IssuerFixture> {
  const { heartbeatSeconds = 0.2, stalenessSeconds = 5, path = '', keysCacheSeconds = 60 } = options
  const streams = new Set<ServerResponse>()
  const narrowings: Narrowing[] = []
  const asked = new Map<string, number>()
  const first = generateKeyPair('ES256')

  const message = (type: StreamMessage['type'], narrowed: readonly Narrowing[] = []): StreamMessage => ({
    type,
    epoch: fixture.epoch,
    at: Date.now(),
    narrowed,
  })
  const send = (text: string): void => {
    if (fixture.silent) return
    for (const stream of streams) stream.write(text)
  }

  const bodies: Record<string, () => unknown> = {
    [`/.well-known/oauth-authorization-server${path}`]: () => ({
      issuer: fixture.url,
      jwks_uri: `${fixture.url}/jwks`,
      ...fixture.documents['oauth-authorization-server'],
    }),
    [`/.well-known/writ-configuration${path}`]: () => ({
      issuer: fixture.url,
      revocation_stream: `${fixture.url}/revocations`,
      limits: `${fixture.url}/limits`,
      ...fixture.documents['writ-configuration'],
    }),
    [`${path}/limits`]: () => ({
      heartbeat_seconds: heartbeatSeconds,
      staleness_seconds: stalenessSeconds,
      jwks_cache_seconds: keysCacheSeconds,
    }),
    [`${path}/jwks`]: () => ({
      keys: fixture.published.map(({ kid, key }) => ({ ...key.verify.jwk, kid, use: 'sig' })),
    }),
  }

  const stream = (request: IncomingMessage, response: ServerResponse, after: string | null): void => {
    if (fixture.unavailable) return void response.writeHead(503).end()
    if (request.headers.accept?.includes('text/event-stream')) {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(formatEvent(writeMessage(message('snapshot', narrowings))))
      streams.add(response)
      response.on('close', () => streams.delete(response))
      return
    }
    const news = narrowings.filter(([epoch]) => epoch > Number(after ?? -1))
    answerJson(
      response,
      after === null
        ? message('snapshot', narrowings)
        : message(news.length > 0 ? 'narrowed' : 'heartbeat', news),
    )
  }

  const server = createServer((request, response) => {
    const target = new URL(request.url ?? '', 'http://issuer')
    asked.set(target.pathname, (asked.get(target.pathname) ?? 0) + 1)
    if (fixture.silent) return
    const body = bodies[target.pathname]
    if (target.pathname === `${path}/revocations`) stream(request, response, target.searchParams.get('after'))
    else if (body === undefined) response.writeHead(404).end()
    else answerJson(response, body())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const beats = setInterval(
    () => fixture.heartless || send(formatEvent(writeMessage(message('heartbeat')))),
    heartbeatSeconds * 1000,
  )

  const fixture: IssuerFixture = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`,
    signer: first,
    published: [{ kid: kidOf(first), key: first }],
    documents: {},
    asked,
    epoch: 1,
    silent: false,
    unavailable: false,
    heartless: false,
    listeners: () => streams.size,
    narrow(...subjects) {
      fixture.epoch += 1
      const narrowed = subjects.map((subject): Narrowing => [fixture.epoch, subjectDigest(subject)])
      narrowings.push(...narrowed)
      send(formatEvent(writeMessage(message('narrowed', narrowed))))
    },
    push: partial => send(formatEvent(writeMessage({ ...message('heartbeat'), ...partial }))),
    pushRaw: send,
    dropListeners() {
      for (const listener of streams) listener.destroy()
    },
    issue: (claims = {}, options = {}) => issue(fixture, claims, options),
    async close() {
      clearInterval(beats)
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
  return fixture
}

function answerJson(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

/** A token as the issuer would make it, with claims laid over; `undefined` leaves one out. */
function issue(fixture: IssuerFixture, claims: Record<string, unknown>, options: IssueOptions): string {
  const key = options.key ?? fixture.signer
  const now = Math.floor(Date.now() / 1000)
  return signJws(
    { typ: options.typ ?? 'at+jwt', kid: options.kid ?? kidOf(key) },
    {
      iss: fixture.url,
      sub: 'agt_1',
      aud: 'https://api.example',
      client_id: 'agt_1',
      jti: randomBytes(12).toString('base64url'),
      iat: now,
      exp: now + 300,
      scope: 'invoices:read',
      agent_instance_id: 'ins_1',
      writ: { epoch: fixture.epoch, key: 'client-key', grants: ['grt_1'] },
      ...claims,
    },
    key.sign,
  )
}

export interface Holder {
  readonly key: KeyPair
  readonly jkt: string
  /** A fresh proof; members laid over make it a wrong one. */
  prove(request: ProofOf): string
  /** The headers of a call with this token. */
  headers(token: string, request: ProofOf): Record<string, string>
}

export interface ProofOf {
  readonly uri: string
  readonly method?: string
  readonly token?: string
  readonly nonce?: string
  readonly jti?: string
  readonly nowSeconds?: number
}

/** Somebody with a key. */
export function createHolder(alg: AlgorithmName = 'ES256'): Holder {
  const key = generateKeyPair(alg)
  const prove = ({ uri, method = 'GET', token, nonce, jti, nowSeconds }: ProofOf): string =>
    createProof({
      key: key.sign,
      method,
      uri,
      jti: jti ?? randomBytes(12).toString('base64url'),
      nowSeconds: nowSeconds ?? Math.floor(Date.now() / 1000),
      ...(token === undefined ? {} : { accessToken: token }),
      ...(nonce === undefined ? {} : { nonce }),
    })
  return {
    key,
    jkt: key.verify.jkt,
    prove,
    headers: (token, request) => ({ authorization: `DPoP ${token}`, dpop: prove({ token, ...request }) }),
  }
}

/** Waits until `condition` holds, asking often; fails after `withinMs`. */
export async function until(condition: () => unknown, withinMs = 10_000): Promise<void> {
  const end = performance.now() + withinMs
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited ${withinMs} ms in vain for ${condition}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}
