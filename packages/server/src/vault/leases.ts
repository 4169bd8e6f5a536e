// Ends leases: those whose time is over, those whose holder lost the right, and what an upstream has that nobody holds.
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import { parseId } from '@writ/sdk/protocol/identifier'
import type { Ctx } from '../context.ts'
import { isAgentLive } from '../domain/agent.ts'
import type { EntryDraft } from '../domain/audit-entry.ts'
import { type Halt, haltOn } from '../domain/authorization/halt.ts'
import type { Fence, Versioned } from '../domain/change.ts'
import { isGrantLive, mostGrants } from '../domain/grant.ts'
import {
  endLease,
  isConsumer,
  type SecretLease,
  secretIdentifier,
  type VaultSecret,
} from '../domain/vault/secret.ts'
import type { SignalAt, Store } from '../store/store.ts'
import { contextOf, withinTime } from './lease-upstream.ts'
import { type RotatorDeps, usingOf } from './rotator-use.ts'

export interface LeaseWork extends Omit<RotatorDeps, 'store'> {
  readonly store: Pick<Store, 'secrets' | 'agents' | 'keys' | 'grants' | 'signals' | 'facts'>
  readonly commit: Store['commit']
  /** Aborts when the server stops. */
  readonly signal: AbortSignal
  /** Hears of what is not a refusal: our bugs. */
  readonly onLeaseError: (about: string, error: unknown) => void
}

/** What one node remembers between two runs. */
export interface LeaseMemory {
  /** Ends are known up to this epoch; undefined before the first run. */
  heardUntil: number | undefined
  /** When handles were last compared with the leases, epoch seconds. */
  sweptAt: number | undefined
}

const duePerRun = 200
const signalsPerRun = 1000
/** As many as end in one change. */
const leasesOfPage = 200
/** Withdrawn at the same time: each is a call upstream. */
const atOnce = 8
/** A run begins nothing more after so long, so that its own lease is renewed in time. */
const longestRunMs = 8000
const longestPauseSeconds = 300
const sweepSeconds = 300
/** How far back the first run of a process looks for ends that nobody has heard of. */
const unheardSeconds = 3600

/** Hears of ends, withdraws what is due, and sweeps now and then; answers how many leases it ended. */
export async function endLeases(
  ctx: Ctx,
  deps: LeaseWork,
  memory: LeaseMemory,
  fence: Fence | undefined,
): Promise<number> {
  await hearEnds(ctx, deps, memory, fence)
  const beganMs = performance.now()
  const due = await deps.store.secrets.dueLeases(ctx, ctx.now, duePerRun)
  const turn: Turn = { fence, away: new Set() }
  let ended = 0
  for (let at = 0; at < due.length && !deps.signal.aborted; at += atOnce) {
    if (performance.now() - beganMs > longestRunMs) break
    const some = due.slice(at, at + atOnce)
    const done = await Promise.all(some.map(lease => withdraw(ctx, deps, lease, turn)))
    ended += done.filter(Boolean).length
  }
  if (memory.sweptAt === undefined || ctx.now - memory.sweptAt >= sweepSeconds) {
    memory.sweptAt = ctx.now
    ended += await sweepOrphans(ctx, deps, fence)
  }
  return ended
}

interface Turn {
  readonly fence: Fence | undefined
  /** Secrets whose upstream did not answer in this run: asked no more, so that the others do not wait for it. */
  readonly away: Set<string>
}

/** Every end of a right since the last run: leases that rested on it end now, not when their time is over. */
async function hearEnds(
  ctx: Ctx,
  deps: LeaseWork,
  memory: LeaseMemory,
  fence: Fence | undefined,
): Promise<void> {
  const { signals } = deps.store
  const head = memory.heardUntil === undefined ? await signals.head(ctx) : undefined
  const heard =
    memory.heardUntil === undefined
      ? await signals.narrowedSince(ctx, ctx.nowMs - unheardSeconds * 1000)
      : await signals.after(ctx, memory.heardUntil, signalsPerRun, 'narrowed')
  const atMsOf = new Map(heard.map(({ subject, atMs }) => [subject, atMs]))
  const { halts } =
    heard.length === 0 ? { halts: [] } : await deps.store.facts.governing(ctx, { fresh: true })
  const hearing: Hearing = { halts, fence, holders: new Map() }
  for (const [subject, atMs] of atMsOf) if (!(await hearEnd(ctx, deps, { subject, atMs }, hearing))) return
  memory.heardUntil = heard.at(-1)?.epoch ?? head ?? memory.heardUntil
  if (head !== undefined && (memory.heardUntil ?? 0) < head) memory.heardUntil = head
}

interface Hearing {
  readonly halts: readonly Halt[]
  readonly fence: Fence | undefined
  /** Who was looked at in this run, and whether it could still ask: asked once, however many leases it holds. */
  readonly holders: Map<string, boolean>
}

/**
 * Ends what rested on one subject, page by page to the last: what nobody looked at would outlive its end. False where
 * one changed meanwhile, for example came to life: the next run hears of the same end again.
 */
async function hearEnd(
  ctx: Ctx,
  deps: LeaseWork,
  end: Pick<SignalAt, 'subject' | 'atMs'>,
  hearing: Hearing,
): Promise<boolean> {
  const resting = await restingOn(ctx, deps, end.subject, hearing.halts)
  if (resting === undefined) return true
  const { instance, ...of } = resting
  for (let after: string | undefined; ; ) {
    const page = await deps.store.secrets.liveLeases(ctx, of, leasesOfPage, after)
    const lost: Versioned<SecretLease>[] = []
    for (const lease of page) {
      if (lease.state === 'ending' || (instance !== undefined && lease.instance !== instance)) continue
      if (await isLost(ctx, deps, { lease, end }, hearing)) lost.push(lease)
    }
    if (!(await endAll(ctx, deps, lost, hearing.fence))) return false
    if (page.length < leasesOfPage) return true
    after = page.at(-1)?.id
  }
}

async function isLost(
  ctx: Ctx,
  deps: LeaseWork,
  { lease, end }: { readonly lease: SecretLease; readonly end: Pick<SignalAt, 'subject' | 'atMs'> },
  { halts, holders }: Hearing,
): Promise<boolean> {
  // What ends a holder or its key ends what was obtained until then for ever, as with tokens, whatever is live again.
  if (/^(agt_|ins_|key:)/.test(end.subject) && lease.createdAt * 1000 <= end.atMs) return true
  const holder = `${lease.secret} ${lease.agent} ${lease.instance}`
  const holds = holders.get(holder) ?? (await holdsStill(ctx, deps, lease, halts))
  holders.set(holder, holds)
  return !holds
}

/** One change for all of them; false where it could not be made. */
async function endAll(
  ctx: Ctx,
  deps: LeaseWork,
  lost: readonly Versioned<SecretLease>[],
  fence: Fence | undefined,
): Promise<boolean> {
  const told = { type: 'secret.lease_ending', outcome: 'allowed', reason: 'right_ended' } as const
  const ending = lost.map(({ version: ifVersion, ...lease }) => ({
    ifVersion,
    value: endLease(lease, ctx.now),
  }))
  const [first, ...others] = ending.map(({ value }) => entryOf(ctx, value, told))
  if (first === undefined) return true
  const committed = await deps.commit(ctx, {
    ...(fence && { fence }),
    puts: ending.map(each => ({ put: 'secretLease', ...each })),
    entries: [first, ...others],
  })
  return committed.kind === 'done'
}

interface Resting {
  readonly secret?: string
  readonly agent?: string
  readonly instance?: string | null
}

/** Whose leases may rest on the subject of a signal: of the whole tenant where nothing is named. */
async function restingOn(
  ctx: Ctx,
  { store }: LeaseWork,
  subject: string,
  halts: readonly Halt[],
): Promise<Resting | undefined> {
  if (subject === ctx.issuer) return {}
  if (subject.startsWith(secretIdentifier(ctx.issuer, ''))) {
    const name = subject.slice(secretIdentifier(ctx.issuer, '').length)
    const secret = await store.secrets.byName(ctx, name)
    return secret && { secret: secret.id }
  }
  if (subject.startsWith('ins_')) {
    const id = parseId('ins', subject)
    const instance = id && (await store.agents.instance(ctx, id))
    return instance && { agent: instance.agent, instance: instance.id }
  }
  if (subject.startsWith('agt_')) return { agent: subject }
  if (subject.startsWith('sec_')) return { secret: subject }
  if (subject.startsWith('grt_')) {
    const grant = await store.grants.get(ctx, subject)
    return grant && { agent: grant.agent }
  }
  if (subject.startsWith('key:')) {
    const key = await store.keys.byThumbprint(ctx, subject.slice('key:'.length))
    const agent = key === undefined ? undefined : parseId('agt', key.owner)
    if (key === undefined || agent === undefined) return undefined
    // One that was rotated ended as well, and its instance goes on.
    const isHalted = haltOn(halts, { keys: [key.thumbprint], tenant: ctx.issuer }) !== undefined
    return key.state === 'revoked' || isHalted ? { agent, instance: key.instance } : undefined
  }
  return undefined
}

/** Whether its holder could still ask for one like it. */
async function holdsStill(
  ctx: Ctx,
  { store }: LeaseWork,
  lease: SecretLease,
  halts: readonly Halt[],
): Promise<boolean> {
  const secret = await store.secrets.get(ctx, lease.secret)
  if (secret === undefined || !isConsumer(secret, lease.agent)) return false
  const agent = await store.agents.get(ctx, lease.agent)
  if (agent === undefined || !isAgentLive(agent, ctx.now)) return false
  const resource = secretIdentifier(ctx.issuer, secret.name)
  const { agent: holder, instance } = lease
  if (haltOn(halts, { agent: holder, instance, resource, tenant: ctx.issuer })) return false
  const { items } = await store.grants.list(
    ctx,
    { limit: mostGrants },
    { agent: holder, resource, liveAt: ctx.now },
  )
  const isHalted = (grant: string): boolean =>
    haltOn(halts, { grants: [grant], tenant: ctx.issuer }) !== undefined
  return items.some(grant => isGrantLive(grant, ctx.now) && !isHalted(grant.id))
}

/** Ends one upstream; where that fails it is tried again, ever more slowly, and never forgotten. */
async function withdraw(
  ctx: Ctx,
  deps: LeaseWork,
  { version: ifVersion, ...lease }: Versioned<SecretLease>,
  { fence, away }: Turn,
): Promise<boolean> {
  const problem = await revokeUpstream(ctx, deps, lease, away)
  const isEnded = problem === undefined
  const attempts = isEnded ? lease.attempts : lease.attempts + 1
  const pause = Math.min(2 ** Math.min(attempts, 16), longestPauseSeconds)
  const next: SecretLease = {
    ...lease,
    state: isEnded ? 'ended' : 'ending',
    stateAt: isEnded || lease.state !== 'ending' ? ctx.now : lease.stateAt,
    attempts,
    dueAt: isEnded ? null : ctx.now + pause,
  }
  const told = isEnded
    ? ({ type: 'secret.lease_ended', outcome: 'allowed', reason: reasonOf(lease) } as const)
    : ({ type: 'secret.lease_ending', outcome: 'failed', reason: problem } as const)
  const committed = await deps.commit(ctx, {
    ...(fence && { fence }),
    puts: [{ put: 'secretLease', value: next, ifVersion }],
    entries: [entryOf(ctx, next, told)],
  })
  return isEnded && committed.kind === 'done'
}

function reasonOf({ state }: SecretLease): string {
  if (state === 'live') return 'expired'
  return state === 'pending' ? 'never_answered' : 'ended_early'
}

/** What kept it from being withdrawn, for people; undefined once it is gone. */
async function revokeUpstream(
  ctx: Ctx,
  deps: LeaseWork,
  lease: SecretLease,
  away: Set<string>,
): Promise<string | undefined> {
  if (away.has(lease.secret)) return 'The upstream did not answer.'
  try {
    const secret = await deps.store.secrets.get(ctx, lease.secret)
    if (secret === undefined)
      throw new Fault('server_error', 'The secret of this lease is gone; restore the database.')
    const using = usingOf(deps.rotators, secret)
    if (using?.makes !== 'leases')
      throw new Fault('conflict', `${secret.name} has no rotator that made this; withdraw it by hand.`)
    await withinTime(deps, signal =>
      using.rotator.revoke(contextOf(ctx, deps, { secret, using, lease }, signal)),
    )
    return undefined
  } catch (error) {
    // One that meets a bug must not keep all the others from their end.
    if (!isFault(error)) {
      deps.onLeaseError(lease.id, error)
      return 'An internal error; the log says more.'
    }
    if (error.code === 'temporarily_unavailable') away.add(lease.secret)
    return error.message
  }
}

const secretsOfPage = 200
/** An upstream with more of them is not swept: what is not seen to be unknown is left alone. */
const mostKnown = 50_000

/** What an upstream has under our names without a lease of ours, after a crash or a restored database: ended, and told. */
async function sweepOrphans(ctx: Ctx, deps: LeaseWork, fence: Fence | undefined): Promise<number> {
  let swept = 0
  for (let after: string | undefined; ; ) {
    const asked = { limit: secretsOfPage, ...(after !== undefined && { after }) }
    const page = await deps.store.secrets.list(ctx, asked, {})
    for (const secret of page.items) {
      if (deps.signal.aborted) return swept
      try {
        swept += await sweepSecret(ctx, deps, secret, fence)
      } catch (error) {
        // An upstream that is away keeps the others from nothing; the next sweep looks again.
        if (!isFault(error)) deps.onLeaseError(secret.id, error)
      }
    }
    if (page.next === null) return swept
    after = page.next
  }
}

async function sweepSecret(
  ctx: Ctx,
  deps: LeaseWork,
  secret: VaultSecret,
  fence: Fence | undefined,
): Promise<number> {
  const using = usingOf(deps.rotators, secret)
  if (using?.makes !== 'leases') return 0
  const none = { handle: '', expiresAt: 0 }
  const {
    handle: _,
    expiresAt: __,
    ...about
  } = contextOf(ctx, deps, { secret, using, lease: none }, deps.signal)
  const handles = await withinTime(deps, signal => using.rotator.handles({ ...about, signal }))
  // Read after the handles: whoever makes one has written its lease before.
  const known = await knownHandles(ctx, deps, secret)
  let swept = 0
  if (known === undefined) return 0
  for (const handle of handles.filter(one => !known.has(one))) {
    const lease = { handle, expiresAt: ctx.now }
    await withinTime(deps, signal =>
      using.rotator.revoke(contextOf(ctx, deps, { secret, using, lease }, signal)),
    )
    const facts = { secret: secret.id, handle }
    await deps.commit(ctx, {
      ...(fence && { fence }),
      entries: [
        {
          type: 'secret.orphan_swept',
          outcome: 'allowed',
          reason: 'no_lease',
          requestId: ctx.requestId,
          facts,
        },
      ],
    })
    swept += 1
  }
  return swept
}

async function knownHandles(
  ctx: Ctx,
  deps: LeaseWork,
  { id }: VaultSecret,
): Promise<ReadonlySet<string> | undefined> {
  const live = await deps.store.secrets.liveLeases(ctx, { secret: id }, mostKnown)
  return live.length === mostKnown ? undefined : new Set(live.map(({ handle }) => handle))
}

function entryOf(
  ctx: Ctx,
  { id, secret, agent, instance, handle, attempts, expiresAt }: SecretLease,
  told: Pick<EntryDraft, 'type' | 'outcome'> & { readonly reason: string },
): EntryDraft {
  return {
    ...told,
    agent,
    instance,
    requestId: ctx.requestId,
    facts: { secret, lease: id, handle, attempts, until: expiresAt },
  }
}
