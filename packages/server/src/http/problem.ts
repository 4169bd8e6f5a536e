// The faces of a Fault: OAuth JSON for the OAuth endpoints, problem+json for everything of ours. Nothing leaks here.
import { type Code, codes, type Fault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../context.ts'

export type Face = 'oauth' | 'problem'

export interface Told {
  /** Goes along where the caller has to repeat its DPoP proof with it. */
  readonly nonce?: string | undefined
  /** The scheme of the Authorization header that it sent. */
  readonly tried?: string | undefined
}

/** The answer to a Fault. */
export function answerFault(ctx: Ctx, face: Face, fault: Fault, { nonce, tried }: Told = {}): Response {
  const row = codes[fault.code]
  const status = face === 'oauth' ? row.status : statusAtResource(fault.code, row.status)
  const headers = new Headers({ 'cache-control': 'no-store' })
  if (nonce !== undefined) headers.set('dpop-nonce', nonce)
  if (status === 429 || status === 503) headers.set('retry-after', '1')
  if (face === 'oauth') {
    // RFC 6749 §5.2. The description stays within the characters that the RFC allows.
    headers.set('content-type', 'application/json')
    // Whoever tried the header hears of its scheme, whatever was wrong.
    if (fault.code === 'invalid_client' && tried !== undefined)
      headers.set('www-authenticate', `${tried} realm="${ctx.issuer}"`)
    if (fault.code === 'invalid_token') headers.set('www-authenticate', bearerChallenge(ctx, fault))
    return new Response(JSON.stringify({ error: fault.code, error_description: printable(fault.message) }), {
      status,
      headers,
    })
  }
  headers.set('content-type', 'application/problem+json')
  if (status === 401 || fault.code === 'insufficient_scope') headers.set('www-authenticate', challenge(fault))
  return new Response(
    JSON.stringify({
      type: 'type' in row ? row.type : `${ctx.issuer}/errors#${fault.code}`,
      title: row.title,
      status,
      detail: fault.message,
      code: fault.code,
      spec: row.spec,
      request_id: ctx.requestId,
    }),
    { status, headers },
  )
}

// RFC 9449 §7.1 and §9: at a protected resource a bad or nonce-less proof is a 401, at the token endpoint a 400.
function statusAtResource(code: Code, status: number): number {
  return code === 'use_dpop_nonce' || code === 'invalid_dpop_proof' ? 401 : status
}

/** RFC 6750 §3 and RFC 9449 §7.1: without credentials the challenge carries no error code. */
function challenge(fault: Fault): string {
  const parts = ['algs="ES256 Ed25519"']
  if (fault.why?.kind !== 'no_credentials')
    parts.unshift(`error="${fault.code}"`, `error_description="${printable(fault.message)}"`)
  const scope = fault.why?.['scope']
  if (fault.code === 'insufficient_scope' && typeof scope === 'string')
    parts.push(`scope="${printable(scope)}"`)
  return `DPoP ${parts.join(', ')}`
}

/** RFC 6750 §3, where the token is one of the registration of a client (RFC 7592 §3). */
function bearerChallenge(ctx: Ctx, fault: Fault): string {
  const realm = `Bearer realm="${ctx.issuer}"`
  if (fault.why?.kind === 'no_credentials') return realm
  return `${realm}, error="${fault.code}", error_description="${printable(fault.message)}"`
}

// RFC 6749 §5.2: %x20-21 / %x23-5B / %x5D-7E; anything else could end the quoted string or the line.
function printable(text: string): string {
  return text.replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, '_')
}
