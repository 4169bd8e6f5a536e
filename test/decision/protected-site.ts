// A resource that has each operation decided, in front of an authority under test: the real SDK, and a wire that can break.

import type { TestContext } from 'node:test'
import { Agent, type OperatorCredentials } from '@writ/sdk/agent'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import { toResponse } from '@writ/sdk/resource/fetch'
import { createGuard } from '@writ/sdk/resource/guard'
import type { VerifierOptions } from '@writ/sdk/resource/verifier'
import { api, expect } from '../harness/agent.ts'
import type { Authority } from '../harness/authority.ts'
import { until } from '../harness/deadline.ts'
import type { Party } from '../harness/party.ts'

export interface Site {
  /** The answer to a call with this token: its status, and whether it was answered from memory. */
  call(by: Caller, call: Call): Promise<Answered>
  /** What becomes of requests to the decision point; undefined lets them through. */
  breaking: ((url: string, send: () => Promise<Response>) => Promise<Response>) | undefined
  /** From now on nothing gets through to the authority, and what was open is not any more. */
  cut(): void
  /** Sends what is to be reported, and ends. */
  close(): Promise<void>
}

export interface Answered {
  readonly status: number
  readonly fromMemory: boolean
  /** The request at the decision point. */
  readonly decision: string | undefined
  readonly error: string | undefined
}

export interface Call {
  readonly action: string
  readonly object?: { readonly type: string; readonly id: string }
  readonly arguments?: Readonly<Record<string, unknown>>
  readonly peer?: string
  readonly amounts?: Readonly<Record<string, number>>
}

export interface Caller {
  readonly party: Party
  readonly token: string
}

export interface Member {
  readonly id: string
  readonly credentials: OperatorCredentials
  readonly party: Party
}

/** An agent whose key the test has, so that it can be one of the SDK as well. */
export async function member(writ: Authority, name: string): Promise<Member> {
  const pair = generateKeyPair('ES256')
  const { id } = expect(
    await writ.operator.manage('POST', '/agents', {
      name,
      owner: writ.operator.clientId,
      purpose: 'Acts in a test',
      jwks: { keys: [pair.verify.jwk] },
    }),
    201,
  )
  const jwk = pair.secret.reveal() as unknown as Record<string, unknown>
  const credentials = { issuer: writ.issuer, client_id: id, jwk } as unknown as OperatorCredentials
  return { id, credentials, party: writ.party(id, jwk) }
}

/** An agent that may ask for decisions. */
export async function gate(writ: Authority): Promise<Member> {
  const made = await member(writ, 'gate')
  const body = {
    agent: made.id,
    resource: `${writ.issuer}/api/v1`,
    scopes: ['writ:decisions:evaluate'],
    reason: 'asks before it answers',
  }
  expect(await writ.operator.manage('POST', '/grants', body), 201)
  return made
}

/**
 * A process of the API. What it does in a call is what the call says in `x-call`; whom it asks is `by`, or nobody. `contact`:
 * seconds without a word of the issuer after which it denies everything.
 */
export async function site(
  t: TestContext,
  writ: Authority,
  by: Member | null,
  options: Partial<NonNullable<VerifierOptions['decisions']>> & { readonly contact?: number } = {},
): Promise<Site> {
  const made: Site = { call, breaking: undefined, cut, close }
  const scissors = new AbortController()
  const wire = (async (url: string | URL | Request, init: RequestInit = {}) => {
    const signal = AbortSignal.any([scissors.signal, ...(init.signal == null ? [] : [init.signal])])
    signal.throwIfAborted()
    const send = (): Promise<Response> => writ.fetch(String(url), { ...init, signal })
    const aborted = new Promise<never>((_, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
    )
    return Promise.race([aborted, made.breaking === undefined ? send() : made.breaking(String(url), send)])
  }) as typeof fetch
  const clock = { wallMs: writ.nowMs, steadyMs: () => performance.now() }
  const { contact, ...decisions } = options
  const agent = by === null ? undefined : Agent.fromCredentials(by.credentials, { fetch: wire })
  const guard = createGuard({
    issuer: writ.issuer,
    resource: api,
    fetch: wire,
    clock,
    ...(contact === undefined ? {} : { stalenessSeconds: contact }),
    ...(agent === undefined ? {} : { decisions: { agent, ...decisions } }),
  })
  const serve = async (request: Request): Promise<Response> => {
    const admission = await guard.admit(request)
    if (admission.kind === 'answer') return toResponse(admission.answer)
    if (agent === undefined) return Response.json({})
    const decided = await guard.decide(admission.caller, JSON.parse(request.headers.get('x-call') ?? ''))
    return 'refusal' in decided ? toResponse(decided.refusal) : Response.json(decided)
  }

  async function call({ party, token }: Caller, what: Call): Promise<Answered> {
    const headers = {
      authorization: `DPoP ${token}`,
      dpop: party.proof(`${api}/`, { accessToken: token }),
      'x-call': JSON.stringify(what),
    }
    const answer = await serve(new Request(`${api}/`, { method: 'POST', headers }))
    const { fromMemory = false, decision, error } = (await answer.json()) as Partial<Answered>
    return { status: answer.status, fromMemory, decision, error }
  }
  function cut(): void {
    scissors.abort(new TypeError('fetch failed'))
  }
  async function close(): Promise<void> {
    await guard.verifier.decider?.close()
    guard.verifier.close()
    agent?.close()
  }
  t.after(close)
  await guard.verifier.ready()
  return made
}

/** Waits until every connected enforcement point has what was done until now. */
export async function settled(writ: Authority, points: number): Promise<void> {
  await until('every enforcement point has it', 10, async () => {
    const { epoch, items } = expect(await writ.operator.manage('GET', '/enforcement-points'), 200)
    return items.length === points && items.every((item: { epoch: number }) => item.epoch >= epoch)
  })
}
