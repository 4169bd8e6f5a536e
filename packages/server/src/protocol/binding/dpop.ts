// RFC 9449 at our endpoints: the proof is checked, its replay mark named, the nonce judged. What it binds, others say.
import { timingSafeEqual } from 'node:crypto'
import { checkProof } from '@writ/sdk/protocol/dpop'
import { Fault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../../context.ts'
import type { Claim } from '../../domain/change.ts'
import type { Deps } from '../deps.ts'

/** A nonce is good for the window it was made in and the one after it. */
const nonceWindowSeconds = 60

export interface Binding {
  /** RFC 7638 thumbprint of the key that made the proof. */
  readonly jkt: string
  readonly claim: Claim
}

export interface ProofSite {
  readonly method: string
  readonly uri: string
  readonly proof: string
  /** Present where a token is used, not obtained: the proof must carry its hash. */
  readonly accessToken?: string
  readonly nonce: 'required' | 'optional'
}

/** Throws `use_dpop_nonce` or `invalid_dpop_proof`. */
export function bind(
  ctx: Ctx,
  deps: Pick<Deps, 'keys' | 'settings' | 'importedKeys'>,
  site: ProofSite,
): Binding {
  const result = checkProof({
    proof: site.proof,
    method: site.method,
    uri: site.uri,
    now: ctx.now,
    maxAgeSeconds: deps.settings.dpopProofSeconds,
    aheadSeconds: deps.settings.clockSkewSeconds,
    keys: deps.importedKeys,
    ...(site.accessToken === undefined ? {} : { accessToken: site.accessToken }),
    nonce: given => judgeNonce(ctx, deps, given, site.nonce),
  })
  return { jkt: result.jkt, claim: { key: result.replayKey, until: result.replayUntil } }
}

/** The nonce to hand out now (RFC 9449 §8): a window and its MAC, so that any node can judge it and none stores it. */
export function currentNonce(ctx: Pick<Ctx, 'tenant' | 'now'>, deps: Pick<Deps, 'keys'>): string {
  return nonceOf(ctx, deps, Math.floor(ctx.now / nonceWindowSeconds))
}

function nonceOf(ctx: Pick<Ctx, 'tenant'>, deps: Pick<Deps, 'keys'>, window: number): string {
  const mac = Buffer.from(deps.keys.nonceMac(ctx, `dpop-nonce:${window}`)).subarray(0, 16)
  return `${window.toString(36)}.${mac.toString('base64url')}`
}

function judgeNonce(
  ctx: Ctx,
  deps: Pick<Deps, 'keys'>,
  given: string | undefined,
  need: 'required' | 'optional',
): 'ok' | 'missing' | 'stale' {
  if (given === undefined) return need === 'required' ? 'missing' : 'ok'
  const now = Math.floor(ctx.now / nonceWindowSeconds)
  for (const window of [now, now - 1]) {
    const good = Buffer.from(nonceOf(ctx, deps, window))
    const shown = Buffer.from(given)
    if (good.length === shown.length && timingSafeEqual(good, shown)) return 'ok'
  }
  return 'stale'
}

/** A proof is needed and there is none. */
export function noProof(): Fault {
  return new Fault('invalid_dpop_proof', 'Send a DPoP proof: tokens for this resource are bound to a key.', {
    kind: 'no_proof',
  })
}
