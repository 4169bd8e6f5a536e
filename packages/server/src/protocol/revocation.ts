// RFC 7009: the client a token was issued to ends it; everybody hears the same 200, whatever the token was.
import type { AccessTokenClaims } from '@writ/sdk/protocol/access-token'
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../context.ts'
import type { Change } from '../domain/change.ts'
import { askedBy, shownFacts } from './asked-by.ts'
import { admit, standingOf } from './client-auth/admit.ts'
import { type Proven, useOf } from './client-auth/method.ts'
import { authenticateClient } from './client-auth/methods.ts'
import type { Deps } from './deps.ts'
import { type Evidence, one } from './evidence.ts'
import { readOwnToken } from './introspection.ts'
import { recordRefusal } from './refusal.ts'

export async function revoke(ctx: Ctx, deps: Deps, evidence: Evidence): Promise<void> {
  const token = one(evidence.form, 'token')
  if (token === undefined) throw new Fault('invalid_request', 'token is missing.', { kind: 'no_token' })
  const proven = await authenticateClient(ctx, deps, evidence)
  try {
    admit(ctx, proven)
    // RFC 7009 §2.1: token_type_hint only helps to search; a wrong or unknown hint changes nothing.
    const claims = readOwnToken(ctx, deps, token)
    const committed = await deps.store.commit(ctx, changeOf(ctx, proven, claims))
    if (committed.kind === 'replayed') {
      throw new Fault('invalid_client', 'The client could not be authenticated.', {
        kind: 'assertion_replayed',
      })
    }
    if (committed.kind !== 'done') {
      throw new Fault('temporarily_unavailable', 'The standing of this client just changed; try again.', {
        kind: committed.kind,
      })
    }
  } catch (error) {
    if (isFault(error))
      await recordRefusal(ctx, deps, { type: 'token.revoked', fault: error, proven, claims: proven.claims })
    throw error
  }
}

function changeOf(ctx: Ctx, proven: Proven, claims: AccessTokenClaims | undefined): Change {
  // A token of somebody else is left alone, and the answer does not tell (threat C22).
  const isOwn = claims !== undefined && claims.client_id === proven.id
  return {
    bases: [{ epoch: proven.facts.epoch, subjects: standingOf(proven) }],
    claims: proven.claims,
    signals: isOwn ? [{ subject: `token:${claims.jti}`, kind: 'narrowed' }] : [],
    ...useOf(ctx, proven),
    entries: [
      {
        type: 'token.revoked',
        outcome: isOwn ? 'allowed' : 'refused',
        ...askedBy(ctx, proven),
        resource: isOwn ? claims.aud : null,
        action: 'revoke',
        decision: { rule: isOwn ? 'own_token' : claims === undefined ? 'not_a_live_token' : 'foreign_token' },
        facts: { ...shownFacts(proven), jti: isOwn ? claims.jti : null },
      },
    ],
  }
}
