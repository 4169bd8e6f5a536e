// The only file that mints: sign first, then one commit of replay marks, artefacts and audit entry, then release.
import type { AccessTokenClaims } from '@writ/sdk/protocol/access-token'
import { Fault } from '@writ/sdk/protocol/fault'
import { signingInput } from '@writ/sdk/protocol/jws'
import type { Ctx } from '../../context.ts'
import type { EntryDraft } from '../../domain/audit-entry.ts'
import type { Issuance } from '../../domain/issuance.ts'
import type { Signer } from '../../keys/keys.ts'
import { fixedLimits } from '../../limits.ts'
import { chainOf, request } from '../asked-by.ts'
import type { Deps } from '../deps.ts'
import { replayed } from '../refusal.ts'

export interface Issued {
  readonly accessToken: string
  readonly tokenType: 'DPoP' | 'Bearer'
  readonly expiresInSeconds: number
  readonly scopes: readonly string[]
  readonly authorizationDetails: Issuance['authorizationDetails']
  readonly isKeyRotationAsked: boolean
}

/**
 * Mints what has been decided. `stale` when something the decision rests on ended meanwhile: decide again.
 * Throws `invalid_client` or `invalid_dpop_proof` when the evidence was used before, `temporarily_unavailable` when
 * the entry cannot be written: then there is no token.
 */
export async function issue(
  ctx: Ctx,
  deps: Pick<Deps, 'store' | 'keys' | 'randomBytes'>,
  issuance: Issuance,
): Promise<Issued | 'stale'> {
  const signer = deps.keys.signer(ctx, 'token')
  const jti = Buffer.from(deps.randomBytes(16)).toString('base64url')
  // Everything still holds at commit, so it also held at the newest of the epochs that were read.
  const epoch = Math.max(...issuance.bases.map(basis => basis.epoch))
  const claims = claimsOf(ctx, issuance, jti, epoch)
  const input = signingInput({ alg: signer.alg, typ: 'at+jwt', kid: signer.kid }, claims)
  // Nobody would take it, not even this authority: better said than issued.
  if (input.length + signatureLetters(signer) > fixedLimits.maxTokenBytes) throw tooMuch('token_too_large')
  const signature = await signer.sign(input)
  const accessToken = `${input}.${Buffer.from(signature).toString('base64url')}`
  const committed = await deps.store.commit(ctx, {
    // A key that stopped signing while we signed makes the token stale: nothing is signed outside a key's window.
    bases: [...issuance.bases, { epoch: signer.epoch, subjects: [`issuer-key:${signer.kid}`] }],
    claims: issuance.claims,
    takes: issuance.takes,
    touches: [{ thumbprint: issuance.holder.key, from: ctx.peer ?? null }],
    entries: [entryOf(ctx, issuance, claims)],
  })
  switch (committed.kind) {
    case 'done':
      return {
        accessToken,
        tokenType: issuance.boundTo === null ? 'Bearer' : 'DPoP',
        expiresInSeconds: issuance.lifetimeSeconds,
        scopes: issuance.scopes,
        authorizationDetails: issuance.authorizationDetails,
        isKeyRotationAsked: issuance.isKeyRotationAsked,
      }
    case 'stale':
      return 'stale'
    case 'replayed':
      // The first claim is that of the client's assertion; the proof's follows.
      throw replayed(issuance.claims.slice(0, 1), committed.claim.key)
    default:
      throw new Fault('invalid_grant', 'The grant is not valid.', { ...committed })
  }
}

/** A dot and the signature in base64url: 87 letters of ES256, 3,228 of ML-DSA-44. */
function signatureLetters({ signatureBytes }: Pick<Signer, 'signatureBytes'>): number {
  return 1 + Math.ceil((signatureBytes * 4) / 3)
}

/** More than one token can carry. */
export function tooMuch(kind: string): Fault {
  return new Fault(
    'invalid_scope',
    'This is more than one token can carry; ask for fewer scopes or details.',
    { kind },
  )
}

// RFC 9068 §2.2, RFC 9449 §6.1, RFC 9396 §9.1, OIDC-A §2.1; `writ` as in access-token.ts of the SDK.
function claimsOf(ctx: Ctx, issuance: Issuance, jti: string, epoch: number): AccessTokenClaims {
  const { holder } = issuance
  return {
    iss: ctx.issuer,
    sub: holder.subject,
    aud: issuance.audience,
    client_id: holder.client,
    iat: ctx.now,
    exp: ctx.now + issuance.lifetimeSeconds,
    jti,
    ...(issuance.scopes.length === 0 ? {} : { scope: issuance.scopes.join(' ') }),
    ...(issuance.authorizationDetails.length === 0
      ? {}
      : { authorization_details: issuance.authorizationDetails }),
    ...(issuance.boundTo === null ? {} : { cnf: { jkt: issuance.boundTo } }),
    ...(holder.instance === null ? {} : { agent_instance_id: holder.instance }),
    ...(issuance.session == null ? {} : { sid: issuance.session.id }),
    // OIDC-A §2.3: opaque, and the word of the instance itself.
    ...(issuance.session?.task == null ? {} : { agent_context_id: issuance.session.task }),
    ...holder.agentClaims,
    writ: {
      epoch,
      key: holder.key,
      grants: issuance.grants,
      ...(issuance.needsDecision ? { decide: true } : {}),
    },
  }
}

function entryOf(ctx: Ctx, issuance: Issuance, claims: AccessTokenClaims): EntryDraft {
  const { holder } = issuance
  return {
    type: 'token.issued',
    outcome: 'allowed',
    agent: holder.subject,
    instance: holder.instance,
    key: holder.key,
    chain: chainOf(holder.subject, 'agent', holder.instance),
    resource: issuance.audience,
    action: issuance.scopes.join(' '),
    decision: { rule: issuance.rule, grants: issuance.grants, epoch: claims.writ.epoch },
    ...request(ctx),
    facts: {
      jti: claims.jti,
      expires_at: new Date(claims.exp * 1000).toISOString(),
      bound_to: issuance.boundTo,
      ...(issuance.authorizationDetails.length === 0
        ? {}
        : { authorization_details: issuance.authorizationDetails.map(detail => JSON.stringify(detail)) }),
      ...(issuance.session == null ? {} : { session: issuance.session.id, task: issuance.session.task }),
    },
  }
}
