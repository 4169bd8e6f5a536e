// Sessions, self-service: an instance says that a run of it begins, with the task it works on, and when it is over. Ours.
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import { newId, parseId } from '@writ/sdk/protocol/identifier'
import type { Ctx } from '../context.ts'
import type { EntryDraft } from '../domain/audit-entry.ts'
import { isSessionLive, type Session } from '../domain/authorization/session.ts'
import type { Change, Claim } from '../domain/change.ts'
import { checkProse } from '../domain/name.ts'
import { askedBy } from './asked-by.ts'
import { bind } from './binding/dpop.ts'
import { admit, standingOf } from './client-auth/admit.ts'
import { type Proven, useOf } from './client-auth/method.ts'
import { authenticateClient } from './client-auth/methods.ts'
import type { Deps } from './deps.ts'
import { type Evidence, one } from './evidence.ts'
import { mustNotBeHalted } from './halted.ts'
import { recordRefusal } from './refusal.ts'

/** OIDC-A §2.3: an `agent_context_id` is opaque text of at most so many characters. */
const longestTask = 256
/** A run that nobody ends is over by then; longer ones begin another session. */
const longestSeconds = 24 * 3600

/**
 * Begins a session of the instance whose key proved the request, by client assertion and DPoP proof alike. Throws what
 * authentication throws, `access_denied` for who is no instance or is halted, `invalid_request` for a task or a time that is none.
 */
export function beginSession(ctx: Ctx, deps: Deps, evidence: Evidence): Promise<Session> {
  return asInstance(ctx, deps, { evidence, type: 'session.begun' }, async ({ proven, instance, key }) => {
    const unhalted = await mustNotBeHalted(ctx, deps, proven)
    const task = one(evidence.form, 'task') ?? null
    if (task !== null && (task.length > longestTask || checkProse(task, longestTask) !== undefined))
      throw new Fault('invalid_request', `task must be a line of at most ${longestTask} characters.`, {
        kind: 'task',
      })
    const seconds = secondsIn(one(evidence.form, 'seconds'))
    const session: Session = {
      id: newId('ses', deps.randomBytes),
      agent: instance.agent,
      instance: instance.id,
      task,
      key,
      peer: ctx.peer ?? null,
      createdAt: ctx.now,
      expiresAt: ctx.now + seconds,
      endedAt: null,
      endReason: null,
    }
    return {
      puts: [{ put: 'session', value: session, ifVersion: 0 }],
      bases: [unhalted],
      session,
      decision: { rule: 'own_instance', epoch: proven.facts.epoch },
    }
  })
}

/** For how long the instance wants it at most; longer than any may be is refused, and not cut in silence. */
function secondsIn(text: string | undefined): number {
  if (text === undefined) return longestSeconds
  const seconds = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0
  if (seconds >= 1 && seconds <= longestSeconds) return seconds
  throw new Fault('invalid_request', `seconds must be a whole number from 1 to ${longestSeconds}.`, {
    kind: 'seconds',
  })
}

/** Ends a session of the same instance; its tokens die with it. Ending one that has ended is no error. */
export function endSession(ctx: Ctx, deps: Deps, evidence: Evidence): Promise<Session> {
  return asInstance(ctx, deps, { evidence, type: 'session.ended' }, async ({ proven, instance }) => {
    const id = parseId('ses', one(evidence.form, 'session'))
    const found = id && (await deps.store.sessions.get(ctx, id))
    // That of another instance is as unknown as none: ids tell nobody anything.
    if (found === undefined || found.instance !== instance.id)
      throw new Fault('not_found', 'This instance has no such session.', { kind: 'no_session' })
    const { version, ...known } = found
    const decision = { rule: 'own_instance', epoch: proven.facts.epoch }
    if (!isSessionLive(known, ctx.now)) return { puts: [], session: known, decision }
    const session: Session = { ...known, endedAt: ctx.now, endReason: 'ended by its instance' }
    return {
      puts: [{ put: 'session', value: session, ifVersion: version }],
      signals: [{ subject: session.id, kind: 'narrowed' }],
      session,
      decision,
    }
  })
}

interface Showing {
  readonly proven: Proven
  readonly instance: { readonly id: Session['instance']; readonly agent: Session['agent'] }
  readonly key: string
}

interface Move extends Pick<Change, 'puts' | 'signals' | 'bases'> {
  readonly session: Session
  readonly decision: EntryDraft['decision'] & object
}

async function asInstance(
  ctx: Ctx,
  deps: Deps,
  { evidence, type }: { readonly evidence: Evidence; readonly type: 'session.begun' | 'session.ended' },
  decide: (showing: Showing) => Promise<Move>,
): Promise<Session> {
  if (evidence.dpop === undefined)
    throw new Fault('invalid_dpop_proof', 'Send a DPoP proof of the same key.', { kind: 'no_proof' })
  const binding = bind(ctx, deps, {
    method: evidence.method,
    uri: evidence.uri,
    proof: evidence.dpop,
    nonce: deps.settings.dpopNonce,
  })
  const proven = await authenticateClient(ctx, deps, evidence)
  const claims = [...proven.claims, binding.claim]
  try {
    admit(ctx, proven)
    const { key } = proven.by
    const { agent } = proven
    if (agent === undefined || key === null || key.instance === null)
      throw new Fault('access_denied', 'Only instances of agents have sessions.', { kind: 'not_an_instance' })
    // Another key under the assertion of this one would name a session that this one never wanted.
    if (binding.jkt !== key.thumbprint)
      throw new Fault('invalid_dpop_proof', 'The DPoP proof is not valid.', { kind: 'other_key' })
    const move = await decide({
      proven,
      instance: { id: key.instance, agent: agent.id },
      key: key.thumbprint,
    })
    await commit(ctx, deps, { type, proven, claims, move })
    return move.session
  } catch (error) {
    if (isFault(error)) await recordRefusal(ctx, deps, { type, fault: error, proven, claims })
    throw error
  }
}

interface Committing {
  readonly type: string
  readonly proven: Proven
  readonly claims: readonly Claim[]
  readonly move: Move
}

async function commit(ctx: Ctx, deps: Deps, { type, proven, claims, move }: Committing): Promise<void> {
  const { session, decision, ...effect } = move
  const committed = await deps.store.commit(ctx, {
    ...effect,
    bases: [{ epoch: proven.facts.epoch, subjects: standingOf(proven) }, ...(effect.bases ?? [])],
    claims,
    ...useOf(ctx, proven),
    entries: [
      {
        type,
        outcome: 'allowed',
        ...askedBy(ctx, proven),
        decision,
        facts: { session: session.id, task: session.task },
      },
    ],
  })
  switch (committed.kind) {
    case 'done':
      return
    case 'replayed':
      throw new Fault('invalid_client', 'The client could not be authenticated.', { kind: 'replayed' })
    default:
      throw new Fault('temporarily_unavailable', 'This just changed; try again.', { kind: committed.kind })
  }
}
