// How a resource refuses: RFC 6750 §3, RFC 9449 §7 and §9, RFC 9728 §5.1. Built once here, for every adapter.
import { type Code, codes, type Fault } from '../protocol/fault.ts'

/** An answer in no framework's terms. */
export interface Answer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** What a challenge says about the resource, whatever was wrong. */
export interface Challenger {
  /** The address of the RFC 9728 document. */
  readonly metadataUrl: string
  /** The `alg` values accepted in proofs, separated by spaces. */
  readonly algorithms: string
  /** Whether tokens without a key are accepted as well. */
  readonly bearer: boolean
}

/** What a challenge says about the request. */
export interface Circumstances {
  /** Every scope that the route needs, not only those that are missing: clients ask for what they are told. */
  readonly scopes?: readonly string[]
  /** The scheme under which credentials came, in lower case. */
  readonly scheme?: string | undefined
  /** A nonce for the next proof. */
  readonly nonce?: string | undefined
}

/** The `why.kind` of the refusal of a request that carries no credentials that we understand. */
export const anonymous = 'no_credentials'

// At a token endpoint these are 400; at a resource, 401 (RFC 9449 §7.1, §9).
const atResources: Partial<Record<Code, number>> = { invalid_dpop_proof: 401, use_dpop_nonce: 401 }
// The codes that are answered with a challenge (RFC 6750 §3.1, RFC 9449 §12.2); others say nothing about credentials.
const challenged: ReadonlySet<Code> = new Set<Code>([
  'invalid_request',
  'invalid_token',
  'insufficient_scope',
  'invalid_dpop_proof',
  'use_dpop_nonce',
])

/** The status, headers and JSON body that refuse a request. */
export function refuse(fault: Fault, challenger: Challenger, circumstances: Circumstances = {}): Answer {
  const status = atResources[fault.code] ?? codes[fault.code].status
  const headers: Record<string, string> = { 'cache-control': 'no-store', 'content-type': 'application/json' }
  if (challenged.has(fault.code)) headers['www-authenticate'] = challenge(fault, challenger, circumstances)
  if (circumstances.nonce !== undefined) headers['dpop-nonce'] = circumstances.nonce
  if (status === 503) headers['retry-after'] = '1'
  // RFC 6750 §3.1: somebody who did not try to authenticate is told how, not that it failed.
  const error = isAnonymous(fault) ? {} : { error: fault.code }
  const scope = fault.code === 'insufficient_scope' ? { scope: circumstances.scopes?.join(' ') } : {}
  return { status, headers, body: JSON.stringify({ ...error, error_description: fault.message, ...scope }) }
}

export const isAnonymous = (fault: Fault): boolean => fault.why?.kind === anonymous

function challenge(fault: Fault, challenger: Challenger, { scopes = [], scheme }: Circumstances): string {
  const error: [string, string][] = isAnonymous(fault)
    ? []
    : [
        ['error', fault.code],
        ['error_description', fault.message],
      ]
  const about: [string, string][] = [['resource_metadata', challenger.metadataUrl]]
  if (scopes.length > 0) about.unshift(['scope', scopes.join(' ')])
  // The error belongs to the scheme that was tried (RFC 9449 §7.2); where only one is offered, to that one.
  const bearerTried = challenger.bearer && scheme === 'bearer'
  const dpop = format('DPoP', [...(bearerTried ? [] : error), ...about, ['algs', challenger.algorithms]])
  if (!challenger.bearer) return dpop
  const bearer = format('Bearer', [...(bearerTried ? error : []), ...about])
  return bearerTried ? `${bearer}, ${dpop}` : `${dpop}, ${bearer}`
}

/** RFC 9110 §11.2; what cannot stand in a quoted string of RFC 6750 §3 is replaced, so that no text ends it early. */
const format = (scheme: string, parameters: readonly [string, string][]): string =>
  `${scheme} ${parameters.map(([name, value]) => `${name}="${value.replace(/[^\x20-\x7e]|["\\]/g, "'")}"`).join(', ')}`
