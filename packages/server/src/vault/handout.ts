// What leaves the vault: a secret to one agent that stands among its consumers, once the entry that says so is durable.
import { Fault } from '@writ/sdk/protocol/fault'
import type { Secret } from '@writ/sdk/protocol/secret'
import { readAs } from '../audit/reading.ts'
import type { Ctx } from '../context.ts'
import type { Decided } from '../decision/decided.ts'
import { type Attempted, decideOwn, decisionFacts } from '../decision/own.ts'
import type { Caller } from '../domain/caller.ts'
import type { Basis } from '../domain/change.ts'
import { isConsumer, secretIdentifier, secretScope, type VaultSecret } from '../domain/vault/secret.ts'
import type { Store } from '../store/store.ts'
import { activeVersion, givenOf, type RotatorDeps, usingOf } from './rotator-use.ts'

export interface HandoutDeps extends Omit<RotatorDeps, 'store'> {
  readonly store: Pick<Store, 'secrets' | 'signals' | 'commit' | 'facts' | 'approvals'>
  readonly randomBytes: (length: number) => Uint8Array
}

export interface Handed {
  readonly name: string
  /** From 1; a higher one is a later one. */
  readonly number: number
  readonly value: Secret<string>
  readonly leaseSeconds: number
  readonly expiresAt: number
}

export interface Entitled {
  readonly secret: VaultSecret
  /** Rests on the secret and its consumers being what they were when they were read. */
  readonly basis: Basis
  /** What the decision rests on, and what it spends. */
  readonly decided: Decided
}

/**
 * The secret, where this caller may have it: its token is for this very secret (whoever calls has seen to that), it
 * has the scope, its agent is a consumer, and what is in force now allows it. What earlier attempts found comes with it. Throws
 * `insufficient_scope`, `access_denied`, `not_found`.
 */
export async function entitled(
  ctx: Ctx,
  deps: HandoutDeps,
  caller: Caller,
  { name, ...attempt }: { readonly name: string } & Attempted,
): Promise<Entitled> {
  if (!caller.scopes.has(secretScope)) {
    throw new Fault('insufficient_scope', `This needs the scope ${secretScope}.`, {
      kind: 'scope',
      scope: secretScope,
    })
  }
  const epoch = await deps.store.signals.head(ctx)
  const secret = await deps.store.secrets.byName(ctx, name)
  if (secret === undefined) throw new Fault('not_found', 'There is no such secret.', { kind: 'no_secret' })
  // A grant is one half of the right, and who gives it may not be whose secret it is; the consumers are the other.
  if (caller.agent === null || !isConsumer(secret, caller.agent)) {
    throw new Fault('access_denied', 'This agent is no consumer of the secret.', { kind: 'no_consumer' })
  }
  const resource = secretIdentifier(ctx.issuer, name)
  const asked = { resource, action: secretScope, scope: secretScope, ...attempt }
  const decided = await decideOwn(ctx, deps, caller, asked)
  return { secret, basis: { epoch, subjects: [secret.id] }, decided }
}

/**
 * Hands out the version in use. Committed before it is answered: the entry, and the use that keeps this version from
 * ending before the lease does. Throws what `entitled` and `readAs` throw, `conflict` where there is nothing to hand
 * out, `temporarily_unavailable` while the vault is sealed.
 */
export function handOut(ctx: Ctx, deps: HandoutDeps, caller: Caller, name: string): Promise<Handed> {
  const resource = secretIdentifier(ctx.issuer, name)
  const reading = { type: 'secret.read', action: secretScope, resource, caller } as const
  return readAs(ctx, deps, reading, async attempt => {
    const { secret, basis, decided } = await entitled(ctx, deps, caller, { name, ...attempt })
    if (usingOf(deps.rotators, secret)?.makes === 'leases') {
      throw new Fault('conflict', 'This secret is made for each lease: ask for one with POST.', {
        kind: 'leases',
      })
    }
    const version = await activeVersion(ctx, deps, secret)
    if (version === undefined)
      throw new Fault('conflict', 'This secret has no version in use yet; try again soon.', {
        kind: 'no_version',
      })
    const value = givenOf(ctx, deps, secret, version)
    const expiresAt = ctx.now + secret.leaseSeconds
    const by = caller.instance ?? caller.id
    return {
      change: {
        // One that is superseded meanwhile is handed out to nobody: its drain counts on that.
        bases: [{ epoch: basis.epoch, subjects: [...basis.subjects, version.id] }, ...decided.bases],
        spends: decided.spends,
        uses: [{ version: version.id, caller: by, from: ctx.peer ?? null, until: expiresAt }],
      },
      facts: {
        ...decisionFacts(decided),
        secret: secret.id,
        version: version.id,
        number: version.number,
        until: expiresAt,
      },
      answer: { name, number: version.number, value, leaseSeconds: secret.leaseSeconds, expiresAt },
    }
  })
}
