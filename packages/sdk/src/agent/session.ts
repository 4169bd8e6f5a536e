// Sessions: an instance says that a run of it begins, what it does in it shows that, and its tokens end with it.
import { Fault, isFault } from '../protocol/fault.ts'
import { isId } from '../protocol/identifier.ts'
import type { JsonObject } from '../protocol/json.ts'
import { assertionType, createAssertion } from './assertion.ts'
import type { FetchDeps } from './authorized-fetch.ts'
import { type Calls, callsWith } from './calls.ts'
import type { Credentials } from './credentials.ts'
import type { Discovery } from './discovery.ts'
import { instantIn } from './enrollment.ts'
import { createStepUps } from './step-up.ts'
import type { TokenCache } from './token-cache.ts'
import { postProven, refused } from './wire.ts'

export interface SessionOptions {
  /** What the run works on: a line of at most 256 characters. A label that the log keeps, checked by nobody. */
  readonly task?: string
  /** For so long at most; 24 hours where left out, and never longer. */
  readonly seconds?: number
}

/**
 * One run of an instance. Its calls are made with tokens of its own, which name it and end with it. They throw what
 * those of the agent throw, and `conflict` where the session is over.
 */
export interface Session extends Calls {
  readonly id: string
  /** As the issuer keeps it; null where none was named. */
  readonly task: string | null
  /** Epoch seconds: then it is over, whoever ends it or not. */
  readonly expiresAt: number
  /**
   * Ends it: its tokens are dead at once. Ending one that is over already is no error. Nothing is called in its name any
   * more from then on, also where this throws because the issuer could not be told: then it can be asked again.
   */
  end(): Promise<void>
}

export interface SessionDeps extends FetchDeps {
  readonly discovery: Pick<Discovery, 'endpoint'>
  readonly credentials: Credentials
  readonly recover: () => Promise<boolean>
}

export interface Sessions {
  begin(options?: SessionOptions): Promise<Session>
}

export function createSessions(deps: SessionDeps): Sessions {
  return {
    async begin({ task, seconds } = {}) {
      if (seconds !== undefined && (!Number.isSafeInteger(seconds) || seconds < 1))
        throw new Fault('invalid_request', 'seconds must be a whole number from 1 on.', { kind: 'session' })
      const form = {
        ...(task === undefined ? {} : { task }),
        ...(seconds === undefined ? {} : { seconds: String(seconds) }),
      }
      return sessionIn(deps, await ask(deps, '', form))
    },
  }
}

/** As with tokens: where the key was replaced meanwhile, once more with its successor. */
async function ask(
  deps: SessionDeps,
  path: '' | '/end',
  form: Readonly<Record<string, string>>,
): Promise<Readonly<JsonObject>> {
  try {
    return await askWith(deps, path, form)
  } catch (error) {
    if (!isFault(error) || error.code !== 'invalid_client' || !(await deps.recover())) throw error
    return askWith(deps, path, form)
  }
}

async function askWith(
  { wire, discovery, credentials }: SessionDeps,
  path: '' | '/end',
  form: Readonly<Record<string, string>>,
): Promise<Readonly<JsonObject>> {
  const url = (await discovery.endpoint('session_endpoint')) + path
  const subject = credentials.current()
  return postProven(wire, {
    url,
    proofKey: subject.key,
    mediaType: 'application/x-www-form-urlencoded',
    body: now =>
      new URLSearchParams({
        ...form,
        client_assertion_type: assertionType,
        client_assertion: createAssertion(subject, now),
      }).toString(),
  })
}

function sessionIn(deps: SessionDeps, answer: Readonly<JsonObject>): Session {
  const { session: id, task } = answer
  const expiresAt = instantIn(answer, 'expires_at')
  // An empty name would ask for tokens that belong to no session.
  if (typeof id !== 'string' || !isId('ses', id)) throw unusable('session')
  if (task !== null && typeof task !== 'string') throw unusable('task')
  if (typeof expiresAt !== 'number') throw unusable('expires_at')
  let isEnded = false
  const mustBeLive = (): void => {
    if (isEnded) throw over(id)
  }
  // What a resource has asked for on top in one run is no reason to have it in another.
  const stepUps = createStepUps(deps.wire.clock)
  const tokens = tokensOf(id, deps.tokens, mustBeLive)
  return {
    ...callsWith({ ...deps, tokens, stepUps }),
    id,
    task,
    expiresAt,
    async end() {
      isEnded = true
      await ask(deps, '/end', { session: id })
    },
  }
}

/** The only way of a session to tokens: none of another session, or of none, comes out here. */
function tokensOf(id: string, tokens: TokenCache, mustBeLive: () => void): TokenCache {
  const whileLive = async <T>(obtain: () => Promise<T>): Promise<T> => {
    mustBeLive()
    const obtained = await obtain().catch(error => {
      throw isRefusedAsOver(error) ? over(id, error) : error
    })
    // It may have ended while the token was on its way.
    mustBeLive()
    return obtained
  }
  return {
    ...tokens,
    get: asked => whileLive(() => tokens.get({ ...asked, session: id })),
    replace: (asked, token) => whileLive(() => tokens.replace({ ...asked, session: id }, token)),
  }
}

/** The token endpoint finds nothing else wrong with the form that we make. */
function isRefusedAsOver(error: unknown): error is Fault {
  const why = isFault(error) ? error.why : undefined
  // By its own word: what a proxy in between says in another way is no end of a session.
  return why?.kind === refused && why['named'] === 'invalid_request'
}

function over(session: string, cause?: Fault): Fault {
  const say = `The session ${session} is over; begin another one.`
  return new Fault('conflict', say, { kind: 'session_over', session }, cause && { cause })
}

function unusable(member: string): Fault {
  return new Fault('server_error', 'The issuer answered a session in a way that cannot be used.', {
    kind: 'unusable_answer',
    member,
  })
}
