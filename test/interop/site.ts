// An authority behind a real socket on loopback, for clients of others that bring their own HTTP.
import type { TestContext } from 'node:test'
import type { AlgorithmName } from '@writ/sdk/protocol/algorithms'
import type { Verifier } from '@writ/sdk/resource/verifier'
import { type Handler, listen } from '../agent/listening.ts'
import { expect, type NewAgent, newAgent } from '../harness/agent.ts'
import { type Authority, type AuthorityOptions, authority } from '../harness/authority.ts'

export interface SiteOptions extends AuthorityOptions {
  /** The path of the issuer; none by default. */
  readonly path?: string
}

/** Starts an authority whose issuer is the address it answers at, and ends it with the test. */
export async function site(t: TestContext, { path = '', ...options }: SiteOptions = {}): Promise<Authority> {
  let handler: Handler = async () => new Response('starting', { status: 503 })
  const socket = await listen(request => handler(request))
  t.after(() => socket[Symbol.asyncDispose]())
  const started = await authority(t, { ...options, issuer: `${socket.origin}${path}` })
  handler = request => started.server.fetch(request)
  return started
}

/** The handler of a resource, and the verifier behind it where it has one. */
export interface Resource {
  readonly handle: (request: Request) => Promise<Response>
  readonly verifier?: Verifier
}

/** A resource on a socket of its own, registered with the authority. Its identifier is its address with `path`. */
export async function resourceAt(
  t: TestContext,
  writ: Authority,
  { path = '', members = {}, make }: ResourceOptions,
): Promise<string> {
  let handler: Handler = async () => new Response('starting', { status: 503 })
  const socket = await listen(request => handler(request))
  t.after(() => socket[Symbol.asyncDispose]())
  const identifier = `${socket.origin}${path}`
  await register(writ, identifier, members)
  const { handle, verifier } = make(identifier)
  handler = handle
  if (verifier !== undefined) t.after(() => verifier.close())
  await verifier?.ready()
  return identifier
}

export interface ResourceOptions {
  readonly path?: string
  readonly members?: Record<string, unknown>
  readonly make: (identifier: string) => Resource
}

const scopes = ['read', 'write'].map(name => ({ name, description: name }))

/** Registers a resource with the scopes `read` and `write`, unless `members` say otherwise. */
export async function register(
  writ: Authority,
  identifier: string,
  members: Record<string, unknown> = {},
): Promise<void> {
  const answer = await writ.operator.manage('POST', '/resources', {
    identifier,
    name: 'API',
    scopes,
    ...members,
  })
  expect(answer, 201)
}

export interface Holder {
  readonly clientId: string
  /** The private key as others import it. */
  readonly jwk: JsonWebKey & { readonly kid: string; readonly alg: string }
}

/** An agent and its private key; `grants` are the scopes it has of each resource. */
export async function holder(
  writ: Authority,
  {
    grants = {},
    ...agent
  }: NewAgent & { readonly grants?: Readonly<Record<string, readonly string[]>> } = {},
): Promise<Holder> {
  const party = await newAgent(writ, agent)
  for (const [resource, scopes] of Object.entries(grants)) {
    const granted = { agent: party.clientId, resource, scopes, reason: 'interoperation' }
    expect(await writ.operator.manage('POST', '/grants', granted), 201)
  }
  const { alg = 'ES256' } = agent
  const jwk = party.key.key.export({ format: 'jwk' })
  return { clientId: party.clientId, jwk: { ...jwk, alg, kid: party.key.jkt } }
}

/** The same key for libraries that work on Web Crypto. */
export async function cryptoKeyOf({ jwk }: Holder): Promise<CryptoKey> {
  const algorithm: Record<string, EcKeyImportParams | Algorithm> = {
    ES256: { name: 'ECDSA', namedCurve: 'P-256' },
    Ed25519: { name: 'Ed25519' },
  } satisfies Partial<Record<AlgorithmName, unknown>>
  return crypto.subtle.importKey('jwk', jwk, algorithm[jwk.alg] as EcKeyImportParams, false, ['sign'])
}
