// Values that are made for one holder and end with the lease: recorded before the upstream is told, so none is forgotten.
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import { type AgentId, newId, type SecretLeaseId } from '@writ/sdk/protocol/identifier'
import type { Secret } from '@writ/sdk/protocol/secret'
import { readAs } from '../audit/reading.ts'
import type { Ctx } from '../context.ts'
import { type Attempted, decisionFacts } from '../decision/own.ts'
import type { EntryDraft } from '../domain/audit-entry.ts'
import { type Caller, chainOf } from '../domain/caller.ts'
import { mostGrants } from '../domain/grant.ts'
import {
  endLease,
  type SecretLease,
  secretIdentifier,
  secretScope,
  type VaultSecret,
} from '../domain/vault/secret.ts'
import type { Store } from '../store/store.ts'
import { type Entitled, entitled, type HandoutDeps } from './handout.ts'
import { contextOf, withinTime } from './lease-upstream.ts'
import { type Using, usingOf } from './rotator-use.ts'

export interface LeaseDeps extends Omit<HandoutDeps, 'store'> {
  readonly store: HandoutDeps['store'] & Pick<Store, 'agents' | 'grants'>
  /** Aborts when the server stops. */
  readonly signal: AbortSignal
}

export interface Leased {
  readonly lease: SecretLeaseId
  readonly value: Secret<string>
  readonly expiresAt: number
}

/** Leases that one agent holds of one secret: each is an account at the upstream. */
const mostHeld = 100
/** After so long a lease whose value was never answered is withdrawn. */
const pendingSeconds = 60

type LeasesUse = Extract<Using, { readonly makes: 'leases' }>

interface Pending extends Entitled {
  readonly lease: SecretLease
  readonly using: LeasesUse
}

/**
 * Makes a value for this caller, for `ttlSeconds` or as long as the secret allows. Throws what `ttlSeconds`, `entitled`
 * and `readAs` throw, `invalid_value` for a longer time, `conflict` where this secret has versions or the upstream refuses,
 * `rate_limited` for one lease too many, `temporarily_unavailable` where the upstream is away.
 */
export async function lease(
  ctx: Ctx,
  deps: LeaseDeps,
  caller: Caller,
  { name, ttlSeconds }: { readonly name: string; readonly ttlSeconds: () => Promise<number | undefined> },
): Promise<Leased> {
  const resource = secretIdentifier(ctx.issuer, name)
  const reading = { type: 'secret.leased', action: secretScope, resource, caller } as const
  let ttl: Promise<number | undefined> | undefined
  const pending = await readAs(ctx, deps, reading, async attempt => {
    // Read in here, once: what is wrong with it is an entry like every other refusal.
    ttl ??= ttlSeconds()
    const made = await begin(ctx, deps, caller, { name, ttlSeconds: await ttl, ...attempt })
    return {
      change: {
        bases: [made.basis, ...made.decided.bases],
        spends: made.decided.spends,
        puts: [{ put: 'secretLease', value: made.lease, ifVersion: 0 }],
      },
      facts: { ...decisionFacts(made.decided), ...factsOf(made.lease) },
      answer: made,
    }
  })
  try {
    const value = await withinTime(deps, signal => {
      const context = contextOf(ctx, deps, pending, signal)
      return pending.using.rotator.issue(context)
    })
    await goLive(ctx, deps, caller, pending)
    return { lease: pending.lease.id, value, expiresAt: pending.lease.expiresAt }
  } catch (error) {
    await giveUp(ctx, deps, caller, { pending, error })
    throw error
  }
}

async function begin(
  ctx: Ctx,
  deps: LeaseDeps,
  caller: Caller,
  {
    name,
    ttlSeconds,
    ...attempt
  }: { readonly name: string; readonly ttlSeconds: number | undefined } & Attempted,
): Promise<Pending> {
  const { secret, basis, decided } = await entitled(ctx, deps, caller, { name, ...attempt })
  const using = usingOf(deps.rotators, secret)
  if (using?.makes !== 'leases' || caller.agent === null) {
    throw new Fault('conflict', 'This secret has versions: read it with GET.', { kind: 'versions' })
  }
  const seconds = ttlSeconds ?? secret.leaseSeconds
  if (seconds > secret.leaseSeconds) {
    throw new Fault('invalid_value', `A lease of this secret lasts ${secret.leaseSeconds} seconds at most.`, {
      kind: 'ttl',
    })
  }
  await mustHaveRoom(ctx, deps, caller.agent, secret)
  // Not the id of the lease, which is shown: the handle is nobody's to guess.
  const random = newId('lea', deps.randomBytes).slice('lea_'.length)
  const made: SecretLease = {
    id: newId('lea', deps.randomBytes),
    secret: secret.id,
    agent: caller.agent,
    instance: caller.instance,
    handle: using.rotator.handleOf(using.options, random),
    state: 'pending',
    createdAt: ctx.now,
    expiresAt: Math.min(ctx.now + seconds, await endOfRight(ctx, deps, caller.agent, secret)),
    stateAt: ctx.now,
    attempts: 0,
    dueAt: ctx.now + pendingSeconds,
  }
  return { secret, basis, decided, using, lease: made }
}

/** When the right to the secret ends by itself, which nobody is told of: a lease does not outlive it. */
async function endOfRight(
  ctx: Ctx,
  { store }: LeaseDeps,
  agent: AgentId,
  { name }: VaultSecret,
): Promise<number> {
  const ofAgent = (await store.agents.get(ctx, agent))?.expiresAt ?? Number.POSITIVE_INFINITY
  const resource = secretIdentifier(ctx.issuer, name)
  const page = await store.grants.list(ctx, { limit: mostGrants }, { agent, resource, liveAt: ctx.now })
  const ends = page.items.map(({ expiresAt }) => expiresAt ?? Number.POSITIVE_INFINITY)
  return Math.min(ofAgent, Math.max(ctx.now, ...ends))
}

async function mustHaveRoom(ctx: Ctx, deps: LeaseDeps, agent: string, { id }: VaultSecret): Promise<void> {
  const held = await deps.store.secrets.liveLeases(ctx, { agent, secret: id }, mostHeld)
  if (held.length < mostHeld) return
  throw new Fault('rate_limited', `An agent holds ${mostHeld} leases of a secret at most; give some back.`, {
    kind: 'leases_held',
  })
}

/** From now on it lives until its time is over. Whoever lost the right while the upstream worked is given nothing. */
async function goLive(
  ctx: Ctx,
  { store }: LeaseDeps,
  caller: Caller,
  { lease: made, basis }: Pending,
): Promise<void> {
  const live: SecretLease = { ...made, state: 'live', dueAt: made.expiresAt }
  const committed = await store.commit(ctx, {
    bases: [caller.basis, basis],
    puts: [{ put: 'secretLease', value: live, ifVersion: 1 }],
    entries: [
      entryOf(ctx, caller, { lease: live, type: 'secret.lease_live', outcome: 'allowed', reason: null }),
    ],
  })
  if (committed.kind === 'done') return
  throw new Fault('invalid_token', 'The access token is not valid here.', { kind: 'ended_in_flight' })
}

async function giveUp(
  ctx: Ctx,
  deps: LeaseDeps,
  caller: Caller,
  { pending, error }: { readonly pending: Pending; readonly error: unknown },
): Promise<void> {
  const ending = endLease(pending.lease, ctx.now)
  const reason = isFault(error) ? error.message : 'An internal error; the log says more.'
  const told = { lease: ending, type: 'secret.lease_failed', outcome: 'failed', reason } as const
  // Where this fails as well the lease is pending, and the loop withdraws it once it is due.
  const committed = await deps.store.commit(ctx, {
    puts: [{ put: 'secretLease', value: ending, ifVersion: 1 }],
    entries: [entryOf(ctx, caller, told)],
  })
  if (committed.kind === 'done') return
  // Somebody else ended it while it was being made, perhaps before the upstream had it: there it ends here.
  await withinTime(deps, signal => pending.using.rotator.revoke(contextOf(ctx, deps, pending, signal))).catch(
    unlessFault,
  )
}

/** The sweep finds what an upstream did not end now. */
function unlessFault(error: unknown): void {
  if (!isFault(error)) throw error
}

/** Ends a lease of the caller's own; answers nothing more. Throws `not_found` for one that is somebody else's. */
export async function giveBack(
  ctx: Ctx,
  deps: LeaseDeps,
  caller: Caller,
  { name, lease: id }: { readonly name: string; readonly lease: string },
): Promise<void> {
  const resource = secretIdentifier(ctx.issuer, name)
  const reading = { type: 'secret.lease_given_back', action: secretScope, resource, caller } as const
  await readAs(ctx, deps, reading, async () => {
    const { secret } = await entitled(ctx, deps, caller, { name })
    const found = await deps.store.secrets.lease(ctx, id)
    const isOwn =
      found !== undefined &&
      found.secret === secret.id &&
      found.agent === caller.agent &&
      found.instance === caller.instance
    if (!isOwn) throw new Fault('not_found', 'There is no such lease of yours.', { kind: 'no_lease' })
    const { version: ifVersion, ...held } = found
    const isOver = held.state === 'ending' || held.state === 'ended'
    return {
      facts: factsOf(held),
      answer: undefined,
      change: isOver ? {} : { puts: [{ put: 'secretLease', value: endLease(held, ctx.now), ifVersion }] },
    }
  })
}

function factsOf({ id, secret, handle, expiresAt }: SecretLease) {
  return { secret, lease: id, handle, until: expiresAt }
}

function entryOf(
  ctx: Ctx,
  caller: Caller,
  told: Pick<EntryDraft, 'type' | 'outcome'> & {
    readonly lease: SecretLease
    readonly reason: string | null
  },
): EntryDraft {
  return {
    type: told.type,
    outcome: told.outcome,
    reason: told.reason,
    agent: caller.agent,
    instance: caller.instance,
    key: caller.key,
    chain: chainOf(caller),
    requestId: ctx.requestId,
    traceId: ctx.traceId ?? null,
    peer: ctx.peer ?? null,
    facts: factsOf(told.lease),
  }
}
