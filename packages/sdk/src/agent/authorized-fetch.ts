// `fetch` with proof of possession: a token for the resource, a proof for each request, each remedy at most once.
import { randomUUID } from 'node:crypto'
import type { AuthorizationDetail } from '../protocol/details/detail.ts'
import { createProof } from '../protocol/dpop.ts'
import { Fault, isFault } from '../protocol/fault.ts'
import { parseScope } from '../protocol/scope.ts'
import { isSecureUrl } from '../protocol/uri.ts'
import { challengeOf } from './challenge.ts'
import type { Sending } from './origins.ts'
import { covers, type ProtectedResources } from './protected-resource.ts'
import { type StepUps, union } from './step-up.ts'
import type { TokenCache } from './token-cache.ts'
import type { Ask, Token } from './token-request.ts'
import type { Wire } from './wire.ts'

/** What a call says beside what every `fetch` says. */
export interface Authorization {
  /** The scopes the call needs, separated by spaces; the issuer's default where left out. */
  readonly scope?: string
  /** The resource's identifier; found through the resource itself where left out. */
  readonly resource?: string
  /** RFC 9396: what the token of the call is limited to; whatever its grants limit it to where left out. */
  readonly authorizationDetails?: readonly AuthorizationDetail[]
}

export interface AuthorizedInit extends RequestInit, Authorization {}

export interface FetchDeps {
  readonly issuer: string
  readonly wire: Wire
  readonly resources: ProtectedResources
  readonly stepUps: StepUps
  readonly tokens: TokenCache
}

/** A request that can be sent, with the credentials put in by whoever sends it. */
interface Outgoing {
  readonly url: string
  readonly method: string
  readonly signal: AbortSignal | undefined
  /** Whether its body can be sent a second time. */
  readonly isRepeatable: boolean
  send(credentials: Readonly<Record<string, string>>): Promise<Response>
}

/**
 * The resource's own answer wherever there is one, also a refusal that could not be remedied. Throws what the issuer
 * refuses with where no token can be had at all, `invalid_target` for a resource that is not ours to visit, and
 * `invalid_request` for a call that could give credentials away. Redirects are never followed: the answer says where
 * to, and a token goes nowhere by itself.
 */
export async function authorizedFetch(
  deps: FetchDeps,
  input: string | URL | Request,
  init: AuthorizedInit = {},
): Promise<Response> {
  const outgoing = outgoingOf(deps.wire, input, init)
  const scopes = scopesIn(init.scope)
  const found = await resourceOf(deps, outgoing, init.resource)
  if (found instanceof Response) return found
  const ask: Ask = { resource: found, scopes, details: init.authorizationDetails }
  const token = await unlessAborted(firstToken(deps, outgoing, ask), outgoing.signal)
  return withRemedies(deps, outgoing, { ask, token })
}

/** What a request is made with; a remedy exchanges part of it. */
interface Attempt {
  /** As the call named it. */
  readonly ask: Ask
  readonly token: Token
}

type Remedy = (deps: FetchDeps, refusal: Refusal) => Promise<Attempt | undefined>

interface Refusal {
  readonly answer: Response
  readonly attempt: Attempt
  readonly sending: Sending
  /** The answer brought a nonce that the request did not have. */
  readonly hasNewNonce: boolean
  readonly challenge: ReadonlyMap<string, string>
}

async function withRemedies(deps: FetchDeps, outgoing: Outgoing, first: Attempt): Promise<Response> {
  // Each is tried once for one call, so that no answer of a resource can keep us asking (RFC 9449 §8, §9).
  const untried = new Set<Remedy>([useNonce, correctClock, replaceToken, widenScope])
  let attempt = first
  for (;;) {
    const sending = deps.wire.origins.begin(outgoing.url)
    const answer = await outgoing.send(credentialsFor(outgoing, attempt.token, sending))
    const hasNewNonce = deps.wire.origins.keepNonce(sending, answer)
    if ((answer.status !== 401 && answer.status !== 403) || !outgoing.isRepeatable) return answer
    const refusal = { answer, attempt, sending, hasNewNonce, challenge: challengeOf(answer) ?? new Map() }
    const next = await unlessAborted(firstOf(deps, untried, refusal), outgoing.signal)
    if (next === undefined) return answer
    await answer.body?.cancel()
    attempt = next
  }
}

async function firstOf(
  deps: FetchDeps,
  untried: Set<Remedy>,
  refusal: Refusal,
): Promise<Attempt | undefined> {
  for (const remedy of untried) {
    const next = await remedy(deps, refusal)
    if (next === undefined) continue
    untried.delete(remedy)
    return next
  }
  return undefined
}

/** RFC 9449 §9: the resource wants its nonce in the proof, and has just given it. */
const useNonce: Remedy = async (_deps, { answer, attempt, hasNewNonce, challenge }) =>
  answer.status === 401 && hasNewNonce && challenge.get('error') === 'use_dpop_nonce' ? attempt : undefined

/** A proof, or a token, that is not yet good by the resource's clock. */
const correctClock: Remedy = async ({ wire }, { answer, attempt, sending, challenge }) => {
  const error = challenge.get('error')
  if (answer.status !== 401 || (error !== 'invalid_dpop_proof' && error !== 'invalid_token')) return undefined
  return wire.origins.keepClock(sending, answer) ? attempt : undefined
}

/** RFC 6750 §3.1 `invalid_token`: revoked, or of a key that is retired by now; another one may do. */
const replaceToken: Remedy = async ({ tokens, stepUps }, { answer, attempt, challenge }) => {
  const error = challenge.get('error')
  if (answer.status !== 401 || (error !== undefined && error !== 'invalid_token')) return undefined
  const { ask, token } = attempt
  const widened = stepUps.widened(ask)
  let next = await unlessRefused(tokens.replace(widened, token))
  if (next === undefined && widened !== ask) {
    // What had been granted on top is granted no longer; what the call itself names may still be.
    stepUps.forget(ask)
    next = await unlessRefused(tokens.replace(ask, undefined))
  }
  return next && { ask, token: next }
}

/** RFC 6750 §3.1 `insufficient_scope`: the resource says what is missing, the issuer says whether we may have it. */
const widenScope: Remedy = async ({ tokens, stepUps }, { answer, attempt, challenge }) => {
  if (answer.status !== 403 || challenge.get('error') !== 'insufficient_scope') return undefined
  const { ask, token } = attempt
  const wider = union(stepUps.widened(ask), token, challenge.get('scope'))
  const next = wider && (await unlessRefused(tokens.get(wider)))
  if (wider === undefined || next === undefined) return undefined
  stepUps.keep(ask, wider, next)
  return { ask, token: next }
}

/** The resource has answered already: what the issuer says against a second try does not replace that answer. */
async function unlessRefused(token: Promise<Token | undefined>): Promise<Token | undefined> {
  try {
    return await token
  } catch (error) {
    if (isFault(error)) return undefined
    throw error
  }
}

async function firstToken(
  { tokens, stepUps, resources }: FetchDeps,
  { url }: Outgoing,
  ask: Ask,
): Promise<Token> {
  const widened = stepUps.widened(ask)
  if (widened !== ask) {
    const token = await unlessRefused(tokens.get(widened))
    if (token !== undefined) return token
    // What was granted a moment ago is granted no longer; what the call itself names may still be.
    stepUps.forget(ask)
  }
  try {
    return await tokens.get(ask)
  } catch (error) {
    if (isFault(error) && error.code === 'invalid_target') resources.forget(url)
    throw error
  }
}

/** The resource, or the answer of a URL that asks for no credentials. */
/** The decision point of our own issuer takes tokens for its management API, which lies beside it. */
function isDecisionPoint({ issuer }: FetchDeps, named: string, url: string): boolean {
  const base = issuer.replace(/\/$/, '')
  return named === `${base}/api/v1` && covers(`${base}/access/v1`, url)
}

async function resourceOf(
  deps: FetchDeps,
  outgoing: Outgoing,
  named: string | undefined,
): Promise<string | Response> {
  const { url, signal } = outgoing
  if (named !== undefined) {
    // A URN has no host to compare with: there, the caller's word is all there is.
    if (/^https?:/i.test(named) && !covers(named, url) && !isDecisionPoint(deps, named, url)) {
      throw new Fault('invalid_target', `${url} does not belong to the resource ${named}.`, {
        kind: 'outside_resource',
      })
    }
    return named
  }
  const known = deps.resources.known(url)
  if (known !== undefined) return known
  if (!outgoing.isRepeatable) {
    throw new Fault(
      'invalid_request',
      'Name the resource: a body that is a stream cannot be sent a second time.',
      {
        kind: 'stream_to_unknown_resource',
      },
    )
  }
  const answer = await outgoing.send({})
  if (answer.status !== 401) return answer
  const metadataUrl = challengeOf(answer)?.get('resource_metadata')
  const resource = await unlessAborted(deps.resources.discover(url, metadataUrl), signal)
  // Somebody who wants credentials of another kind: the caller has to know.
  if (resource === undefined) return answer
  await answer.body?.cancel()
  return resource
}

/** RFC 9449 §7.1. */
function credentialsFor(
  { url, method }: Outgoing,
  token: Token,
  { now, nonce }: Sending,
): Record<string, string> {
  const { key, proofHeader: header } = token
  if (key === undefined || header === undefined) throw new TypeError('the token is bound to no key')
  const accessToken = token.accessToken.reveal()
  const proof = { key, header, method, uri: url, accessToken, nowSeconds: now, jti: randomUUID() }
  return {
    authorization: `DPoP ${accessToken}`,
    dpop: createProof(nonce === undefined ? proof : { ...proof, nonce }),
  }
}

function outgoingOf(wire: Wire, input: string | URL | Request, init: AuthorizedInit): Outgoing {
  const { scope: _scope, resource: _resource, authorizationDetails: _details, ...plain } = init
  const request = input instanceof Request ? input : undefined
  const url = new URL(request?.url ?? String(input))
  url.hash = ''
  if (!isSecureUrl(url.href)) {
    throw new Fault('invalid_request', 'Credentials travel over https only, or http within this machine.', {
      kind: 'insecure_url',
      url: url.origin,
    })
  }
  const headers = new Headers(plain.headers ?? request?.headers)
  if (headers.has('authorization') || headers.has('dpop')) {
    throw new Fault('invalid_request', 'Leave Authorization and DPoP to the agent.', {
      kind: 'own_credentials',
    })
  }
  const method = (plain.method ?? request?.method ?? 'GET').toUpperCase()
  return {
    url: url.href,
    method,
    signal: plain.signal ?? request?.signal,
    isRepeatable: plain.body == null || isReusable(plain.body),
    send(credentials) {
      for (const [name, value] of Object.entries(credentials)) headers.set(name, value)
      // Following is left to nobody: a redirect to another origin would take the credentials there.
      const redirect = plain.redirect === 'error' ? 'error' : 'manual'
      // The body of a Request stays with it, for the case that it has to be sent again.
      return wire.fetch(request?.clone() ?? url.href, { ...plain, method, headers, redirect })
    },
  }
}

/** A body that is read from a source is gone after the first time. */
function isReusable(body: NonNullable<RequestInit['body']>): boolean {
  return !(body instanceof ReadableStream) && !(typeof body === 'object' && Symbol.asyncIterator in body)
}

export function scopesIn(scope: string | undefined): readonly string[] | undefined {
  if (scope === undefined) return undefined
  const scopes = parseScope(scope)
  if (scopes === undefined)
    throw new Fault('invalid_request', 'scope must be names separated by single spaces.', { kind: 'scope' })
  return scopes
}

/** Lets one caller leave; what is being fetched for several goes on. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work
  const aborted = Promise.withResolvers<never>()
  const abort = (): void => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  if (signal.aborted) abort()
  try {
    return await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
