// Somebody with a key in front of an authority: makes assertions and proofs by hand, good ones and bad ones.
import { randomUUID } from 'node:crypto'
import { createProof } from '@writ/sdk/protocol/dpop'
import { importPrivate, type PrivateJwk, type SignKey } from '@writ/sdk/protocol/jwk'
import { signJws } from '@writ/sdk/protocol/jws'
import { Secret } from '@writ/sdk/protocol/secret'

export const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

export interface PartyOptions {
  readonly issuer: string
  readonly clientId: string
  readonly jwk: Record<string, unknown>
  readonly fetch: (path: string, init?: RequestInit) => Promise<Response>
  readonly nowMs: () => number
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at member by member in assertions
  readonly body: any
}

export class Party {
  readonly issuer: string
  readonly clientId: string
  readonly key: SignKey
  readonly #fetch: PartyOptions['fetch']
  readonly #nowMs: () => number
  #nonce: string | undefined
  readonly #tokens = new Map<string, string>()

  constructor(options: PartyOptions) {
    this.issuer = options.issuer
    this.clientId = options.clientId
    this.key = importPrivate(new Secret(options.jwk as unknown as PrivateJwk))
    this.#fetch = options.fetch
    this.#nowMs = options.nowMs
  }

  get now(): number {
    return Math.floor(this.#nowMs() / 1000)
  }

  /** A client assertion; `claims` and `header` replace members, undefined leaves one out. */
  assertion(claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}): string {
    const standard = {
      iss: this.clientId,
      sub: this.clientId,
      aud: this.issuer,
      jti: randomUUID(),
      iat: this.now,
      exp: this.now + 60,
    }
    const members = { typ: 'client-authentication+jwt', kid: this.key.jwk.kid ?? this.key.jkt, ...header }
    return signJws(members, { ...standard, ...claims }, this.key)
  }

  /** A DPoP proof for a path below the issuer, or for a whole URL. */
  proof(
    path: string,
    options: { method?: string; accessToken?: string; nonce?: string; key?: SignKey; iat?: number } = {},
  ): string {
    const { method = 'POST', key = this.key, iat = this.now, ...rest } = options
    const uri = path.startsWith('http') ? path : `${this.issuer}${path}`
    return createProof({ key, method, uri, nowSeconds: iat, ...rest })
  }

  /** The newest nonce of the token endpoint. */
  async nonce(): Promise<string> {
    if (this.#nonce === undefined) {
      const answer = await this.post(
        '/token',
        { grant_type: 'client_credentials' },
        { dpop: this.proof('/token') },
      )
      this.#nonce = answer.headers.get('dpop-nonce') ?? undefined
    }
    if (this.#nonce === undefined) throw new Error('the token endpoint gave no nonce')
    return this.#nonce
  }

  /** Posts a form. An array repeats its parameter. */
  async post(
    path: string,
    form: Record<string, string | readonly string[]>,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const body = new URLSearchParams()
    for (const [name, value] of Object.entries(form)) for (const one of [value].flat()) body.append(name, one)
    return answerOf(
      await this.#fetch(path, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
        body: body.toString(),
      }),
    )
  }

  /** A token request as a good client makes it, a stale nonce answered once; `form` and `headers` replace members. */
  async tokenRequest(
    form: Record<string, string | readonly string[]> = {},
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const attempt = async (): Promise<Answer> =>
      this.post(
        '/token',
        {
          grant_type: 'client_credentials',
          client_assertion_type: assertionType,
          client_assertion: this.assertion(),
          ...form,
        },
        { dpop: this.proof('/token', { nonce: await this.nonce() }), ...headers },
      )
    let answer = await attempt()
    this.#nonce = answer.headers.get('dpop-nonce') ?? this.#nonce
    if (answer.body.error === 'use_dpop_nonce' && headers['dpop'] === undefined) answer = await attempt()
    return answer
  }

  /** An access token, or an Error with what was answered. */
  async token(resource: string, scope?: string): Promise<string> {
    const answer = await this.tokenRequest({ resource, ...(scope === undefined ? {} : { scope }) })
    if (answer.status !== 200) throw new Error(`no token: ${answer.status} ${JSON.stringify(answer.body)}`)
    return answer.body.access_token
  }

  /** Calls the management API with a token for all of it, kept as long as it works. */
  async manage(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const audience = `${this.issuer}/api/v1`
    const token = this.#tokens.get(audience) ?? (await this.token(audience, 'writ:*'))
    this.#tokens.set(audience, token)
    const answer = await this.call(method, `${audience}${path}`, { token, body, headers })
    if (answer.status === 401) this.#tokens.delete(audience)
    return answer
  }

  /** One call with a token and a fresh proof of this party's key. */
  async call(
    method: string,
    url: string,
    request: { token: string; body?: unknown; headers?: Record<string, string> },
  ): Promise<Answer> {
    const proof = this.proof(url.split('?', 1)[0] as string, { method, accessToken: request.token })
    return answerOf(
      await this.#fetch(url, {
        method,
        headers: {
          authorization: `DPoP ${request.token}`,
          dpop: proof,
          ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
          ...request.headers,
        },
        ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
      }),
    )
  }
}

export async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text()
  const isJson = /^application\/(problem\+)?json/.test(response.headers.get('content-type') ?? '')
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text }
}
