// Decides who is calling: RFC 9068 tokens under RFC 9449 proofs, against an issuer whose word on ends is recent.
import { checkProof } from '../protocol/dpop.ts'
import { Fault } from '../protocol/fault.ts'
import { type KeyCache, keyCache } from '../protocol/jwk.ts'
import type { Secret } from '../protocol/secret.ts'
import { isSecureUrl } from '../protocol/uri.ts'
import type { Caller } from './caller.ts'
import { anonymous } from './challenge.ts'
import { type Clock, systemClock } from './clock.ts'
import { createDecider, type Decider, type DecisionOptions } from './decision/decider.ts'
import { type Credentials, type Evidence, readCredentials, readProof } from './evidence.ts'
import { type Ends, endedToken, endsOver } from './issuer/ends.ts'
import { type IssuerLink, linkToIssuer } from './issuer/link.ts'
import { createNonces, type Nonces } from './nonce.ts'
import { type Place, placeOf } from './place.ts'
import { memoryReplayStore, type ReplayStore } from './replay.ts'
import { createTokens, type Tokens, unavailable, type Verified } from './tokens.ts'

export interface VerifierOptions {
  /** The issuer whose tokens count, exactly as it writes itself: https, or http on loopback. */
  readonly issuer: string
  /** The identifier of this resource, as registered with the issuer; requests below its path are its own. */
  readonly resource: string
  /** Where clients reach the server, if a proxy maps the resource's address to other paths. Default: its origin. */
  readonly publicUrl?: string
  /** Accept tokens that are bound to no key as well; only for resources that are registered so. */
  readonly bearer?: boolean
  /** Whether proofs need a nonce of this resource, so that none can be made ahead. Default optional. */
  readonly nonce?: 'required' | 'optional'
  /** At least 32 bytes, the same in all processes of the resource. Default: made for this process. */
  readonly nonceSecret?: Secret<Uint8Array>
  /** Where shown proofs are remembered. Default: in this process; see `sharedReplayStore` for several on one host. */
  readonly replay?: ReplayStore
  /** Deny everything after this long without contact to the issuer. Default 5, and never more than the issuer says. */
  readonly stalenessSeconds?: number
  /** How old a proof may be. Default 60. */
  readonly proofSeconds?: number
  /** How far the clocks of others may disagree. Default 5. */
  readonly skewSeconds?: number
  /** Tokens made to live longer than this are refused. Default 3600. */
  readonly longestTokenSeconds?: number
  /** Told about every failure to follow the issuer; for the log. */
  readonly onTrouble?: (problem: unknown) => void
  /**
   * Set where each operation is put to the decision point (`guard.decide`): only then are tokens accepted whose grant
   * has details, a condition or a budget, for nothing else would hold anybody to those.
   */
  readonly decisions?: DecisionOptions
  readonly fetch?: typeof fetch
  readonly clock?: Clock
}

/** What a verifier promises in the configuration it runs under, in words. */
export interface Guarantees {
  readonly replay: string
  readonly revocation: string
}

export interface Verifier {
  /** The identifier in its canonical form. */
  readonly resource: string
  /** Who makes this request. Throws a Fault; `challenge.ts` turns it into an answer. */
  verify(evidence: Evidence): Promise<Caller>
  /**
   * Whether the issuer has halted this tool of the resource. `mcpGuard` and the decision point ask for themselves; a
   * resource that calls something else a tool has to ask before each use.
   */
  isHalted(tool: string): boolean
  /** A nonce for the next proof, where nonces are required. */
  nonce(): string | undefined
  /**
   * Calls back once when the caller's token ends, contact is lost or the tool that is called is halted, with the Fault of
   * a request that came now; for streams that outlive their request.
   */
  onEnd(caller: Caller, callback: (fault: Fault) => void, tool?: string): () => void
  /** That Fault, where it is so already: for what was let in, and waited for something since. */
  endOf(caller: Caller): Fault | undefined
  /** Resolves on the first complete contact; rejects after `withinSeconds` (default 10) with what went wrong last. */
  ready(withinSeconds?: number): Promise<void>
  /** Puts operations to the decision point; undefined without the option `decisions`. */
  readonly decider: Decider | undefined
  guarantees(): Guarantees
  /** Lets go of the issuer and of the process; everything is denied from then on. */
  close(): void
}

const importedKeys = 10_000

/** Everything that a decision rests on. */
interface Parts {
  readonly place: Place
  readonly link: IssuerLink
  readonly tokens: Tokens
  readonly replay: ReplayStore
  readonly nonces: Nonces | undefined
  readonly proofKeys: KeyCache
  readonly bearer: boolean
  readonly proofSeconds: number
  readonly skewSeconds: number
  /** Epoch seconds. */
  now(): number
}

/** Starts to follow the issuer at once. Throws a RangeError for options that cannot be made safe. */
export function createVerifier(options: VerifierOptions): Verifier {
  const parts = assemble(options)
  const { place, link, replay, nonces, now } = parts
  const ends = endsOver(link, place.resource)
  const decider = deciderOf(options, parts, ends)
  return {
    resource: place.resource,
    decider,
    verify: evidence => verify(parts, evidence),
    isHalted: ends.isHalted,
    nonce: () => nonces?.current(now()),
    onEnd: (caller, callback, tool) => ends.watch({ caller, callback, tool }),
    endOf: ends.of,
    ready: (withinSeconds = 10) => link.ready(withinSeconds),
    guarantees: () => ({
      replay: replay.guarantee,
      revocation: `What the issuer ends is refused as soon as its stream says so; after ${link.stalenessSeconds()} s without contact everything is denied.`,
    }),
    close() {
      // What was answered from memory is sent first; nothing waits for it.
      void decider?.close()
      link.close()
      ends.close()
      if (options.replay === undefined) replay.close()
    },
  }
}

function assemble(options: VerifierOptions): Parts {
  const { issuer, bearer = false, skewSeconds = 5, longestTokenSeconds = 3600, clock = systemClock } = options
  const place = placeOf(options)
  if (!isSecureUrl(issuer)) throw new RangeError('issuer must be an https URL, or http on loopback')
  // A bearer token on an open network is everybody's.
  if (bearer && !isSecureUrl(place.resource)) throw new RangeError('bearer tokens need a resource on https')
  const now = (): number => Math.floor(clock.wallMs() / 1000)
  const link = linkToIssuer({
    issuer,
    fetch: options.fetch ?? fetch,
    clock,
    stalenessSeconds: options.stalenessSeconds ?? 5,
    rememberSeconds: longestTokenSeconds + 2 * skewSeconds + 60,
    label: place.resource,
    onTrouble: options.onTrouble,
  })
  const { keys, revocations } = link
  const { resource } = place
  return {
    place,
    link,
    tokens: createTokens({
      issuer,
      resource,
      skewSeconds,
      longestTokenSeconds,
      keys,
      revocations,
      decides: options.decisions !== undefined,
      now,
    }),
    replay: options.replay ?? memoryReplayStore(),
    nonces: options.nonce === 'required' ? createNonces(resource, options.nonceSecret) : undefined,
    proofKeys: keyCache(importedKeys),
    bearer,
    proofSeconds: options.proofSeconds ?? 60,
    skewSeconds,
    now,
  }
}

function deciderOf(options: VerifierOptions, { place, link }: Parts, ends: Ends): Decider | undefined {
  if (options.decisions === undefined) return undefined
  const site = {
    issuer: options.issuer,
    resource: place.resource,
    clock: options.clock ?? systemClock,
    revocations: link.revocations,
    endOf: ends.of,
    isHalted: ends.isHalted,
    onTrouble: options.onTrouble ?? (() => undefined),
  }
  return createDecider(site, options.decisions)
}

async function verify(parts: Parts, evidence: Evidence): Promise<Caller> {
  const { link, tokens } = parts
  const credentials = readCredentials(evidence)
  if (credentials === undefined)
    throw new Fault('invalid_token', 'Send an access token.', { kind: anonymous })
  const uri = parts.place.uriOf(evidence.url)
  if (!link.isCurrent()) throw unavailable('no_contact')
  const read = tokens.read(credentials.token)
  const verified = read instanceof Promise ? await read : read
  checkScheme(credentials, verified.caller, parts.bearer)
  if (verified.caller.key !== null) {
    const claimed = prove(parts, evidence, verified, uri)
    if (!(typeof claimed === 'boolean' ? claimed : await claimed)) {
      throw new Fault('invalid_dpop_proof', 'The DPoP proof was used before.', { kind: 'proof_replayed' })
    }
  }
  // Whatever was waited for above, these hold at the instant of the answer.
  if (!link.isCurrent()) throw unavailable('no_contact')
  if (tokens.isAlive(verified)) return verified.caller
  throw endedToken()
}

/** RFC 9449 §7.1 and §7.2: a bound token is never taken as bearer, nor a bearer token as bound (no downgrade). */
function checkScheme({ scheme }: Credentials, { key }: Caller, bearerAllowed: boolean): void {
  if (scheme !== (key === null ? 'bearer' : 'dpop')) {
    const say = 'The access token was sent under another scheme than it was issued for.'
    throw new Fault('invalid_token', say, { kind: 'downgrade', scheme })
  }
  if (key === null && !bearerAllowed) {
    throw new Fault('invalid_token', 'This resource accepts only tokens that are bound to a key.', {
      kind: 'bearer',
    })
  }
}

/** Whether the proof is good (or a Fault says why not) and now shown for the first time (or the answer is false). */
function prove(parts: Parts, evidence: Evidence, token: Verified, uri: string): boolean | Promise<boolean> {
  const now = parts.now()
  const proof = checkProof({
    proof: readProof(evidence),
    method: evidence.method,
    uri,
    now,
    ath: token.ath,
    keys: parts.proofKeys,
    maxAgeSeconds: parts.proofSeconds,
    aheadSeconds: parts.skewSeconds,
    nonce: given => judgeNonce(parts.nonces, given, now),
  })
  // RFC 9449 §7.1: a token stolen from its holder is nothing in the hands of another key (threat C15).
  if (proof.jkt !== token.caller.key) {
    throw new Fault('invalid_token', 'The access token is bound to another key.', { kind: 'wrong_key' })
  }
  // RFC 9449 §11.1. Last, so that nobody without a token and its key can fill the memory.
  return parts.replay.claim(proof.replayKey, proof.replayUntil, now)
}

function judgeNonce(
  nonces: Nonces | undefined,
  given: string | undefined,
  now: number,
): 'ok' | 'missing' | 'stale' {
  if (nonces === undefined) return 'ok'
  if (given === undefined) return 'missing'
  return nonces.accepts(given, now) ? 'ok' : 'stale'
}
