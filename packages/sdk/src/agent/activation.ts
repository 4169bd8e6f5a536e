// Rights just in time: an instance asks for what its agent is eligible for, follows what becomes of it, and ends it early.
import { randomUUID } from 'node:crypto'
import type { AuthorizationDetail } from '../protocol/details/detail.ts'
import { Fault, isFault } from '../protocol/fault.ts'
import { isId } from '../protocol/identifier.ts'
import type { JsonObject } from '../protocol/json.ts'
import { assertionType, createAssertion } from './assertion.ts'
import { scopesIn } from './authorized-fetch.ts'
import type { Credentials } from './credentials.ts'
import type { Discovery } from './discovery.ts'
import { instantIn } from './enrollment.ts'
import { postProven, type Wire } from './wire.ts'

/** What is asked for; what is left out is asked for as the eligibility has it. */
export interface ActivateOptions {
  /** Why now: whoever approves reads it, and the audit log keeps it. */
  readonly reason: string
  /** How long, from the approval on; never longer than the eligibility allows. */
  readonly seconds: number
  readonly scope?: string
  /** RFC 9396. */
  readonly authorizationDetails?: readonly AuthorizationDetail[]
  /** Opens it before anybody has approved, where the eligibility allows that; somebody has to review it afterwards. */
  readonly breakGlass?: boolean
}

const states = ['pending', 'approved', 'denied', 'expired', 'cancelled', 'failed', 'partial'] as const
export type ActivationState = (typeof states)[number]

export interface WaitOptions {
  /** For so long at most; until the request expires by itself where left out. */
  readonly seconds?: number
  readonly signal?: AbortSignal
}

/** A request for rights, as it stood when it was looked at. */
export interface Activation {
  readonly id: string
  /** The rights are there once it is `approved`, until `endsAt`. */
  readonly state: ActivationState
  readonly resource: string
  /** What was approved, or what was asked for before that. */
  readonly scope: string
  readonly authorizationDetails: readonly AuthorizationDetail[]
  /** Epoch seconds: when what was opened ends by itself; null before that. */
  readonly endsAt: number | null
  /** Epoch seconds: what nobody has decided by then has expired. */
  readonly expiresAt: number
  /** What whoever decided said. */
  readonly decisionReason: string | null
  /** How it stands now. Throws what `activate` throws. */
  current(): Promise<Activation>
  /** How it stands once somebody has decided, or once the time is over: then it is still `pending`. */
  decided(options?: WaitOptions): Promise<Activation>
  /** Takes the request back, or ends at once what it opened. Throws `conflict` where it has ended. */
  end(reason: string): Promise<Activation>
}

export interface ActivationDeps {
  readonly wire: Wire
  readonly discovery: Pick<Discovery, 'endpoint'>
  readonly credentials: Credentials
  readonly recover: () => Promise<boolean>
  /** What the agent may do there has changed: tokens obtained before this instant know nothing of it. */
  readonly onChanged: (resource: string) => void
}

/** Between two looks at a request that waits: each is an entry of the log. */
const firstPauseMs = 1_000
const longestPauseMs = 10_000

export interface Activations {
  activate(eligibility: string, options: ActivateOptions): Promise<Activation>
}

export function createActivations(deps: ActivationDeps): Activations {
  return {
    activate(eligibility, { reason, seconds, scope, authorizationDetails, breakGlass }) {
      // Here where the mistake is, and not as a refusal of what was sent.
      if (!isId('elg', eligibility)) throw wrong('The eligibility is named by its id, elg_ and 26 letters.')
      if (!Number.isSafeInteger(seconds) || seconds < 1)
        throw wrong('seconds must be a whole number from 1 on.')
      const members = {
        eligibility,
        reason,
        seconds,
        scopes: scopesIn(scope),
        authorization_details: authorizationDetails,
        break_glass: breakGlass,
      }
      // An answer that was lost is asked for again, and makes no second request for somebody to approve.
      return ask(deps, '', { members, idempotencyKey: randomUUID() })
    },
  }
}

interface Asking {
  readonly members: Readonly<Record<string, unknown>>
  readonly idempotencyKey?: string
  /** How it was known to stand. */
  readonly before?: Activation
}

/** As with tokens: where the key was replaced meanwhile, once more with its successor. */
async function ask(deps: ActivationDeps, path: string, asking: Asking): Promise<Activation> {
  try {
    return await askWith(deps, path, asking)
  } catch (error) {
    if (!isFault(error) || error.code !== 'invalid_client' || !(await deps.recover())) throw error
    return askWith(deps, path, asking)
  }
}

async function askWith(
  deps: ActivationDeps,
  path: string,
  { members, idempotencyKey, before }: Asking,
): Promise<Activation> {
  const url = (await deps.discovery.endpoint('activation_endpoint')) + path
  const subject = deps.credentials.current()
  const answer = await postProven(deps.wire, {
    url,
    proofKey: subject.key,
    mediaType: 'application/json',
    ...(idempotencyKey === undefined ? {} : { headers: { 'idempotency-key': idempotencyKey } }),
    body: now =>
      JSON.stringify({
        client_assertion_type: assertionType,
        // It confirms the key of the proof: an assertion that was made for a token opens nothing.
        client_assertion: createAssertion(subject, now, subject.key.jkt),
        ...members,
      }),
  })
  const activation = activationIn(deps, answer)
  if (activation.endsAt !== (before?.endsAt ?? null)) deps.onChanged(activation.resource)
  return activation
}

function activationIn(deps: ActivationDeps, answer: Readonly<JsonObject>): Activation {
  const { activation: id, resource, scopes, authorization_details: details, reason } = answer
  const state = states.find(one => one === answer['state'])
  const [endsAt, expiresAt] = [instantIn(answer, 'ends_at'), instantIn(answer, 'expires_at')]
  if (typeof id !== 'string' || !isId('apr', id)) throw unusable('activation')
  if (state === undefined) throw unusable('state')
  if (typeof resource !== 'string') throw unusable('resource')
  if (!Array.isArray(scopes) || !scopes.every(one => typeof one === 'string')) throw unusable('scopes')
  if (!Array.isArray(details) || !details.every(one => typeof one?.type === 'string'))
    throw unusable('authorization_details')
  if (endsAt === undefined) throw unusable('ends_at')
  if (typeof expiresAt !== 'number') throw unusable('expires_at')
  const activation: Activation = {
    id,
    state,
    resource,
    scope: scopes.join(' '),
    authorizationDetails: details,
    endsAt,
    expiresAt,
    decisionReason: typeof reason === 'string' ? reason : null,
    current: () => ask(deps, `/${id}/status`, { members: {}, before: activation }),
    decided: options => decided(activation, deps.wire.clock, options),
    end: why => ask(deps, `/${id}/cancel`, { members: { reason: why }, before: activation }),
  }
  return activation
}

async function decided(
  first: Activation,
  clock: () => number,
  { seconds = Number.POSITIVE_INFINITY, signal }: WaitOptions = {},
): Promise<Activation> {
  // What is no number is no end, and no pause either: the issuer would be asked without one.
  if (Number.isNaN(seconds) || seconds < 0) throw wrong('seconds must be a number from 0 on.')
  const endMs = clock() + seconds * 1000
  let found = first
  for (
    let pauseMs = firstPauseMs;
    found.state === 'pending';
    pauseMs = Math.min(2 * pauseMs, longestPauseMs)
  ) {
    const leftMs = endMs - clock()
    if (leftMs <= 0) return found
    await pause(Math.min(pauseMs, leftMs), signal)
    found = await found.current()
  }
  return found
}

/** Throws the reason of the signal. */
function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted()
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, ms)
    signal?.addEventListener('abort', stop, { once: true })
  })
}

function wrong(say: string): Fault {
  return new Fault('invalid_request', say, { kind: 'activation' })
}

function unusable(member: string): Fault {
  return new Fault('server_error', 'The issuer answered an activation in a way that cannot be used.', {
    kind: 'unusable_answer',
    member,
  })
}
