// Another authorization server that keeps two secrets of a client (RFC 7592, RFC 6749 §2.3.1): real, local, misbehaving.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'

/** What it does beyond, or short of, what the specification has. */
export interface Habits {
  /** Gives a new registration access token with every update, and forgets the old one. */
  readonly replacesToken?: boolean
  readonly keepsSecret?: boolean
  /** Tells the newest secret when it is read. */
  readonly tellsSecret?: boolean
  /** Members that its answers have besides, or instead. */
  readonly answers?: Readonly<Record<string, unknown>>
  readonly updateStatus?: number
  readonly tokenAnswer?: { readonly status: number; readonly body: unknown }
}

export interface Registrar {
  readonly port: number
  readonly tokenEndpoint: string
  /** What a registration was answered with, at a URI of this port. */
  registration(port?: number): string
  readonly seen: { readonly method: string; readonly body: string; readonly authorization: string }[]
  /** Oldest first. */
  readonly secrets: string[]
  habits: Habits
  close(): Promise<void>
}

export const clientId = 'the client: 1+1'

export async function startRegistrar(habits: Habits = {}): Promise<Registrar> {
  const newSecret = (): string => `s:${randomBytes(24).toString('base64')}% +`
  const secrets = [newSecret()]
  const used = new Set<string>()
  let token = randomBytes(24).toString('base64url')
  const seen: Registrar['seen'] = []
  let metadata: Record<string, unknown> = { client_name: 'gate', redirect_uris: ['https://gate.example/cb'] }

  const registered = (uri: string): Record<string, unknown> => ({
    ...metadata,
    client_id: clientId,
    client_id_issued_at: 1_700_000_000,
    client_secret_expires_at: 0,
    registration_client_uri: uri,
    registration_access_token: token,
    ...registrar.habits.answers,
  })
  const update = (uri: string, body: string): [number, unknown] => {
    const { client_id, client_secret, ...asked } = JSON.parse(body)
    const forbidden = ['registration_access_token', 'registration_client_uri', 'client_id_issued_at']
    const isWrong =
      client_id !== clientId ||
      !secrets.includes(client_secret) ||
      [...forbidden, 'client_secret_expires_at'].some(name => name in asked)
    if (isWrong) return [400, { error: 'invalid_client_metadata', error_description: body }]
    metadata = asked
    if (!registrar.habits.keepsSecret) {
      const newest = secrets.at(-1) ?? ''
      if (secrets.length === 2 && (used.has(newest) || client_secret === newest)) secrets.shift()
      else if (secrets.length === 2) secrets.pop()
      secrets.push(newSecret())
    }
    if (registrar.habits.replacesToken) token = randomBytes(24).toString('base64url')
    return [200, { ...registered(uri), client_secret: secrets.at(-1), ...registrar.habits.answers }]
  }
  const obtain = (authorization: string): [number, unknown] => {
    const [id, secret] = Buffer.from(authorization.replace(/^Basic /, ''), 'base64')
      .toString()
      .split(':')
      .map(part => new URLSearchParams(`x=${part}`).get('x') ?? '')
    if (id !== clientId || !secrets.includes(secret ?? ''))
      return [401, { error: 'invalid_client', error_description: `${id} ${secret}` }]
    used.add(secret ?? '')
    return [200, { access_token: 'a', token_type: 'Bearer' }]
  }
  const answerTo = async (request: IncomingMessage): Promise<[number, unknown]> => {
    const { method = '', url, headers } = request
    const { authorization = '', host } = headers
    const body = await text(request)
    seen.push({ method, body, authorization })
    if (url === '/token') {
      const { tokenAnswer } = registrar.habits
      return tokenAnswer === undefined ? obtain(authorization) : [tokenAnswer.status, tokenAnswer.body]
    }
    if (authorization !== `Bearer ${token}`)
      return [401, { error: 'invalid_token', error_description: token }]
    const uri = `http://${host}${url}`
    if (method === 'PUT')
      return registrar.habits.updateStatus === undefined
        ? update(uri, body)
        : [registrar.habits.updateStatus, { error: 'server_error', error_description: body }]
    const told = registrar.habits.tellsSecret ? { client_secret: secrets.at(-1) } : {}
    return [200, { ...registered(uri), ...told }]
  }

  const server = createServer(async (request, response) => {
    const [status, body] = await answerTo(request)
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const registrar: Registrar = {
    port,
    tokenEndpoint: `http://127.0.0.1:${port}/token`,
    registration: (at = port) =>
      JSON.stringify({ ...registered(`http://127.0.0.1:${at}/register/1`), client_secret: secrets.at(-1) }),
    seen,
    secrets,
    habits,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return registrar
}
