// The agent's side of Writ: an identity that rotates its own key, and a `fetch` that proves who calls.
import { homedir } from 'node:os'
import { join } from 'node:path'
import { Fault } from '../protocol/fault.ts'
import { importPrivate, type PrivateJwk } from '../protocol/jwk.ts'
import { signJws } from '../protocol/jws.ts'
import { Secret } from '../protocol/secret.ts'
import { type ActivateOptions, type Activation, type Activations, createActivations } from './activation.ts'
import type { FetchDeps } from './authorized-fetch.ts'
import { type Calls, callsWith } from './calls.ts'
import { type Acting, type Credentials, keptCredentials } from './credentials.ts'
import { createDiscovery, type Discovery } from './discovery.ts'
import { enroll, parseEnrollment } from './enrollment.ts'
import { type AskListener, listenForAsks } from './key-asks.ts'
import { fileKeystore } from './keystores/file.ts'
import type { Held, Keystore } from './keystores/keystore.ts'
import { createOrigins } from './origins.ts'
import { createProtectedResources } from './protected-resource.ts'
import { isCutOff, type Replaced } from './rotation.ts'
import { createRotation, type Rotation, type RotationReport } from './rotation-schedule.ts'
import { createSecrets, type HeldLease, type HeldSecret, type Secrets } from './secrets.ts'
import { createSessions, type Session, type SessionOptions, type Sessions } from './session.ts'
import { createStepUps } from './step-up.ts'
import { createTokenCache } from './token-cache.ts'
import { type Ask, requestToken, type Token } from './token-request.ts'
import type { Wire } from './wire.ts'

export type { ActivateOptions, Activation, ActivationState, WaitOptions } from './activation.ts'
export type { Authorization, AuthorizedInit } from './authorized-fetch.ts'
export type { ObtainedToken, TokenOptions } from './calls.ts'
export { fileKeystore } from './keystores/file.ts'
export type { Acceptance, Held, HeldKey, Keystore, Membership, StagedKey } from './keystores/keystore.ts'
export { memoryKeystore } from './keystores/memory.ts'
export type { RotationReport } from './rotation-schedule.ts'
export type { HeldLease, HeldSecret } from './secrets.ts'
export type { Session, SessionOptions } from './session.ts'

/** What both ways to an agent take. */
export interface AgentOptions {
  /** Replaces the global `fetch`, for every request of the agent. */
  readonly fetch?: typeof fetch
  /** Epoch milliseconds; replaces the system's clock. */
  readonly clock?: () => number
}

export interface LoadOptions extends AgentOptions {
  /** Default: `WRIT_ISSUER`; needed only where the enrolment is a bare token. */
  readonly issuer?: string
  /** Default: `WRIT_ENROLLMENT`. Used once, on the first start of an instance. */
  readonly enrollment?: string
  /** Where the key is kept; default: files in `directory`. */
  readonly keystore?: Keystore
  /** One instance each. Default: `WRIT_AGENT_DIRECTORY`, else `~/.writ/agents/<name>`. */
  readonly directory?: string
  /** Tells the agents of one user apart. Default: `default`. */
  readonly name?: string
  /** The key is rotated at this age even where the issuer lets it live longer. */
  readonly maxKeyAgeSeconds?: number
  /**
   * Whether the instance follows the issuer's stream, so that it hears at once when it is asked to rotate its key; else
   * it hears with its next token. Default: true, except with a `fetch` of your own.
   */
  readonly listen?: boolean
  /** Told after each rotation in the background, and after each that failed. */
  readonly onRotation?: (report: RotationReport) => void
}

/** `operator.json` as `writ serve` writes it. */
export interface OperatorCredentials {
  readonly issuer: string
  readonly client_id: string
  readonly jwk: unknown
}

/** One running instance of an agent. Its functions may be passed around on their own. */
export interface Agent extends Calls {
  readonly issuer: string
  readonly clientId: string
  /** Undefined for credentials that were given whole. */
  readonly instance: string | undefined
  /** The key that signs now: its RFC 7638 thumbprint, and when it ends, in epoch seconds. */
  key(): { readonly thumbprint: string; readonly expiresAt: number | null }
  /**
   * A secret of the issuer's vault, kept for half of its lease: ask for it wherever it is used, so that a rotated one is
   * met in time. Throws what `fetch` throws, `access_denied` where the agent is no consumer, `conflict` where there is
   * nothing to read.
   *
   * ```ts
   * const { value } = await agent.secret('mail-key')
   * ```
   */
  secret(name: string): Promise<HeldSecret>
  /** A value that the vault makes for this call alone, and that ends with its lease. Throws what `secret` throws. */
  lease(name: string, options?: { readonly ttlSeconds?: number }): Promise<HeldLease>
  /**
   * Asks that rights which the agent is eligible for are opened for a while. They are there once the answer, or
   * `decided()`, says `approved`, and they end by themselves.
   *
   * ```ts
   * const asked = await agent.activate('elg_…', { reason: 'release 4', seconds: 600 })
   * const { state } = await asked.decided({ seconds: 300 })
   * ```
   *
   * @throws Fault `invalid_value` for what the eligibility does not have, or where there is none, `conflict` where it
   *   has ended or too much waits already, `access_denied` where there is no glass to break, `invalid_client` where the
   *   agent was stopped, `temporarily_unavailable` where the issuer does not answer.
   */
  activate(eligibility: string, options: ActivateOptions): Promise<Activation>
  /**
   * Begins a session: one run of this instance, with the task that it works on. What is called through it shows that it
   * belongs to it, and is stopped with it.
   *
   * ```ts
   * const session = await agent.session({ task: 'sort the post', seconds: 3600 })
   * const answer = await session.fetch('https://api.example/invoices', { scope: 'invoices:read' })
   * await session.end()
   * ```
   *
   * @throws Fault `invalid_request` for a task that is no line or a time that is none, `access_denied` for credentials
   *   that are no instance of an agent or are halted, `invalid_client` where the agent was stopped,
   *   `temporarily_unavailable` where the issuer does not answer.
   */
  session(options?: SessionOptions): Promise<Session>
  /**
   * A report that this instance vouches for: a JWS of the type `decision-report+jwt` under the key that signs now. The
   * type is fixed, so that nothing else can be had signed by it.
   */
  signReport(claims: Readonly<Record<string, unknown>>): string
  /** Replaces the key now. Throws `access_denied` for credentials that were given whole. */
  rotateKey(): Promise<void>
  /** Ends what runs in the background. */
  close(): void
}

/**
 * The agent of this process.
 *
 * ```ts
 * const agent = await Agent.load()
 * const answer = await agent.fetch('https://api.example/invoices', { scope: 'invoices:read' })
 * ```
 */
export const Agent = { load, fromCredentials } as const

/**
 * Loads the instance from its keystore; enrols it first where the keystore is empty. Throws `invalid_enrollment`
 * where there is neither, `conflict` where the keystore is another instance's, `invalid_key` where it is not safe.
 */
async function load(options: LoadOptions = {}): Promise<Agent> {
  const wire = wireOf(options)
  const keystore = options.keystore ?? fileKeystore({ directory: directoryOf(options) })
  const issuer = options.issuer ?? environment('WRIT_ISSUER')
  const held = await heldFor(options, { wire, keystore, issuer })
  const credentials = keptCredentials(held)
  if (credentials === undefined) {
    throw new Fault(
      'invalid_enrollment',
      'This instance is not enrolled: set WRIT_ENROLLMENT to a new enrolment.',
      {
        kind: 'not_enrolled',
      },
    )
  }
  const acting = credentials.current()
  // Keys of one issuer are never shown to another.
  if (issuer !== undefined && issuer !== acting.issuer) {
    throw new Fault('conflict', `The keystore belongs to ${acting.issuer}.`, { kind: 'other_issuer', issuer })
  }
  const { maxKeyAgeSeconds, onRotation } = options
  const parts = partsOf(wire, credentials)
  const onReplaced = (replaced: Replaced): void => retireTokens(parts, replaced)
  const policy = { maxKeyAgeSeconds, onRotation, onReplaced }
  parts.rotation = createRotation({ wire, discovery: parts.discovery, keystore, credentials }, policy)
  // One that was cut off is finished: as long as this goes on with the old key, the issuer waits for that to drain.
  if (isCutOff(held)) parts.rotation.ask(0)
  if (options.listen ?? options.fetch === undefined) {
    parts.asks = listenForAsks(parts.discovery, acting.instance ?? '', within => parts.rotation?.ask(within))
  }
  return agentOf(parts)
}

/**
 * An agent from a private key that somebody else keeps, such as `operator.json`. Its key is not rotated from here.
 * Throws `invalid_key` or `invalid_request`.
 */
function fromCredentials(given: OperatorCredentials, options: AgentOptions = {}): Agent {
  const key = importPrivate(new Secret(given.jwk as PrivateJwk))
  const acting: Acting = {
    issuer: given.issuer,
    clientId: given.client_id,
    instance: undefined,
    key,
    kid: key.jwk.kid ?? key.jkt,
    notBefore: 0,
    expiresAt: null,
  }
  return agentOf(partsOf(wireOf(options), { current: () => acting }))
}

interface Parts extends FetchDeps {
  readonly credentials: Credentials
  readonly discovery: Discovery
  readonly secrets: Secrets
  readonly activations: Activations
  readonly sessions: Sessions
  /** Undefined where the key is not ours to rotate. */
  rotation: Rotation | undefined
  asks: AskListener | undefined
}

function partsOf(wire: Wire, credentials: Credentials): Parts {
  const { issuer } = credentials.current()
  const discovery = createDiscovery(wire, issuer)
  const recover = async (): Promise<boolean> => (await parts.rotation?.recover()) ?? false
  const request = (ask: Ask): Promise<Token> => {
    parts.rotation?.check()
    const onAsked = (within: number): void => parts.rotation?.ask(within)
    return requestToken({ wire, discovery, credentials, recover, onAsked }, ask)
  }
  const fetching = {
    issuer,
    wire,
    resources: createProtectedResources(wire, issuer),
    stepUps: createStepUps(wire.clock),
    tokens: createTokenCache(request, wire.clock),
  }
  const sibling = { wire, discovery, credentials, recover }
  const parts: Parts = {
    ...fetching,
    credentials,
    discovery,
    secrets: createSecrets({ ...fetching, discovery }),
    activations: createActivations({
      ...sibling,
      onChanged: resource => fetching.tokens.outdate(resource),
    }),
    sessions: createSessions({ ...fetching, ...sibling }),
    rotation: undefined,
    asks: undefined,
  }
  return parts
}

/** Tokens of a replaced key end with its overlap, a second early. */
function retireTokens({ tokens, wire, credentials }: Parts, { jkt, until }: Replaced): void {
  if (until === null) return
  const leftMs = until * 1000 - wire.origins.begin(credentials.current().issuer).nowMs
  tokens.retire(jkt, wire.clock() + leftMs - 1_000)
}

function agentOf(parts: Parts): Agent {
  const { issuer, clientId, instance } = parts.credentials.current()
  return {
    ...callsWith(parts),
    issuer,
    clientId,
    instance,
    key() {
      const { key, expiresAt } = parts.credentials.current()
      return { thumbprint: key.jkt, expiresAt }
    },
    secret: name => parts.secrets.get(name),
    lease: (name, { ttlSeconds } = {}) => parts.secrets.lease(name, ttlSeconds),
    activate: async (eligibility, options) => parts.activations.activate(eligibility, options),
    session: async options => parts.sessions.begin(options),
    signReport(claims) {
      const { key, kid } = parts.credentials.current()
      const iat = Math.floor(parts.wire.origins.begin(issuer).nowMs / 1000)
      return signJws({ typ: 'decision-report+jwt', kid }, { ...claims, iss: clientId, aud: issuer, iat }, key)
    },
    async rotateKey() {
      if (parts.rotation === undefined) {
        throw new Fault(
          'access_denied',
          'The key of these credentials is kept elsewhere and is rotated there.',
          {
            kind: 'key_not_ours',
          },
        )
      }
      await parts.rotation.now()
    },
    close() {
      parts.rotation?.stop()
      parts.asks?.close()
    },
  }
}

async function heldFor(
  options: LoadOptions,
  { wire, keystore, issuer }: { wire: Wire; keystore: Keystore; issuer: string | undefined },
): Promise<Held> {
  const enrollment = options.enrollment ?? environment('WRIT_ENROLLMENT')
  return enrollment === undefined
    ? keystore.read()
    : enroll({ wire, keystore }, parseEnrollment(enrollment), issuer)
}

function directoryOf({ directory, name = 'default' }: LoadOptions): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
    throw new Fault(
      'invalid_request',
      'The name of an agent is made of letters, digits, dot, dash and underscore.',
      {
        kind: 'name',
      },
    )
  }
  return directory ?? environment('WRIT_AGENT_DIRECTORY') ?? join(homedir(), '.writ', 'agents', name)
}

function environment(name: string): string | undefined {
  return process.env[name] || undefined
}

function wireOf({ fetch: given = fetch, clock = Date.now }: AgentOptions): Wire {
  return { fetch: given, clock, origins: createOrigins(clock) }
}
