// What every adapter does, in no framework's terms: serve the metadata, admit or refuse, demand scopes.
import { codes, Fault, isFault } from '../protocol/fault.ts'
import { isScopeToken } from '../protocol/scope.ts'
import type { Caller } from './caller.ts'
import { type Answer, type Challenger, type Circumstances, refuse } from './challenge.ts'
import type { Permission } from './decision/decider.ts'
import type { Act } from './decision/question.ts'
import { type Evidence, headerLines } from './evidence.ts'
import { type MetadataOptions, metadataOf, metadataUrlOf, proofAlgorithms } from './metadata.ts'
import { createVerifier, type Verifier, type VerifierOptions } from './verifier.ts'

export interface ProtectOptions extends VerifierOptions, MetadataOptions {
  readonly issuer: string
  readonly bearer?: boolean
  /** Told about every refusal and its true reason, for the resource's log; never holds a token. */
  readonly onRefusal?: (fault: Fault) => void
}

export type Admission =
  /** To be sent as it is; the request goes no further. */
  | { readonly kind: 'answer'; readonly answer: Answer }
  /** The request goes on; the headers belong into its answer. */
  | { readonly kind: 'admitted'; readonly caller: Caller; readonly headers: Readonly<Record<string, string>> }

export interface Guard {
  readonly verifier: Verifier
  /** Answers requests for the metadata, admits callers, refuses everybody else. `scopes` are known to be needed. */
  admit(evidence: Evidence, scopes?: readonly string[]): Promise<Admission>
  /**
   * The answer that refuses a caller who lacks one of the scopes, or whose token has ended since it was admitted;
   * undefined when all are there.
   */
  demand(caller: Caller, scopes: readonly string[]): Answer | undefined
  /**
   * Puts the operation to the decision point. The answer to send where it refuses; a permission otherwise. Needs the
   * option `decisions`.
   */
  decide(caller: Caller, act: Act): Promise<{ readonly refusal: Answer } | Permission>
  /** The answer for a Fault; anything else is thrown again, so that it ends as the framework's own failure. */
  refuse(error: unknown, circumstances?: Circumstances): Answer
}

/** Starts a verifier. Throws a RangeError for options that cannot be made safe. */
export function createGuard(options: ProtectOptions): Guard {
  const verifier = createVerifier(options)
  const { resource } = verifier
  const document = JSON.stringify(metadataOf(resource, options))
  const metadataUrl = metadataUrlOf(resource)
  const metadataPath = new URL(metadataUrl).pathname
  const challenger: Challenger = {
    metadataUrl,
    algorithms: proofAlgorithms.join(' '),
    bearer: options.bearer ?? false,
  }

  const refuseWith = (error: unknown, circumstances: Circumstances = {}): Answer => {
    if (!isFault(error)) throw error
    options.onRefusal?.(error)
    const nonce = error.code === 'use_dpop_nonce' ? verifier.nonce() : undefined
    return refuse(error, challenger, { ...circumstances, nonce })
  }

  return {
    verifier,
    refuse: refuseWith,
    async admit(evidence, scopes = []) {
      if (isPath(evidence.url, metadataPath))
        return { kind: 'answer', answer: serve(evidence.method, document) }
      try {
        const caller = await verifier.verify(evidence)
        const nonce = verifier.nonce()
        // RFC 9449 §8.2: a fresh nonce travels with each answer, so that its renewal costs no refused request.
        return { kind: 'admitted', caller, headers: nonce === undefined ? {} : { 'dpop-nonce': nonce } }
      } catch (error) {
        return { kind: 'answer', answer: refuseWith(error, { scopes, scheme: schemeOf(evidence) }) }
      }
    },
    async decide(caller, act) {
      if (verifier.decider === undefined) throw new Error('decide() needs the option decisions of protect()')
      try {
        return await verifier.decider.decide(caller, act)
      } catch (error) {
        return { refusal: refuseWith(error, { scheme: caller.key === null ? 'bearer' : 'dpop' }) }
      }
    },
    demand(caller, scopes) {
      const scheme = caller.key === null ? 'bearer' : 'dpop'
      // A body may have been waited for, for as long as its sender liked.
      const ended = verifier.endOf(caller)
      if (ended !== undefined) return refuseWith(ended, { scopes, scheme })
      if (scopes.every(scope => caller.may(scope))) return undefined
      const say = 'The access token lacks a scope that this needs.'
      const fault = new Fault('insufficient_scope', say, { kind: 'scope', agent: caller.agent, scopes })
      return refuseWith(fault, { scopes, scheme })
    },
  }
}

const isPath = (url: string, path: string): boolean => {
  const at = url.startsWith('/') ? 0 : url.indexOf('/', url.indexOf('://') + 3)
  if (!url.startsWith(path, at)) return false
  const next = url[at + path.length]
  return next === undefined || next === '?'
}

const schemeOf = ({ headers }: Evidence): string | undefined =>
  headerLines(headers, 'authorization')[0]?.split(' ', 1)[0]?.toLowerCase()

// RFC 9728 §3.2; open to every origin, because clients that run in a browser discover as well.
function serve(method: string, document: string): Answer {
  const headers = { 'content-type': 'application/json', 'access-control-allow-origin': '*' }
  if (method === 'GET' || method === 'HEAD') {
    const body = method === 'GET' ? document : ''
    return { status: 200, headers: { ...headers, 'cache-control': 'public, max-age=300' }, body }
  }
  const { status, title } = codes.method_not_allowed
  const body = JSON.stringify({ error: 'method_not_allowed', error_description: title })
  return { status, headers: { ...headers, allow: 'GET, HEAD' }, body }
}

/** What `require` runs on: scopes that are scopes, checked when the route is declared and not when it is called. */
export function scopesOf(scopes: readonly string[]): readonly string[] {
  if (scopes.length === 0) throw new RangeError('require needs at least one scope')
  for (const scope of scopes) {
    if (!isScopeToken(scope)) throw new RangeError(`${JSON.stringify(scope)} is no scope`)
  }
  return scopes
}

/** The error of a route whose `require` runs without `protect` before it: nothing was verified, so nothing passes. */
export const unprotected = (): Error =>
  new Error('require() was called for a request that protect() has not seen')
