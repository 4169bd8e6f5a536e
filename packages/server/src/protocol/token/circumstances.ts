// What holds for every grant type alike: nothing is issued to or for what is halted, and a session is the holder's own.
import { Fault } from '@writ/sdk/protocol/fault'
import { parseId } from '@writ/sdk/protocol/identifier'
import type { Ctx } from '../../context.ts'
import { type Halt, haltOn, haltSubject } from '../../domain/authorization/halt.ts'
import { isSessionLive } from '../../domain/authorization/session.ts'
import { type Issuance, lifetime } from '../../domain/issuance.ts'
import { managementIdentifier } from '../../domain/management.ts'
import { type Form, one } from '../evidence.ts'
import type { Reads } from './grant.ts'

interface Asked {
  readonly form: Form
  readonly fresh: boolean
}

/** The issuance as it may be made now. Throws `invalid_grant` for what is halted, `invalid_request` for a session of others. */
export async function underCircumstances(
  ctx: Ctx,
  deps: Reads,
  issuance: Issuance,
  { form, fresh }: Asked,
): Promise<Issuance> {
  const { epoch, halts } = await deps.store.facts.governing(ctx, { fresh })
  const halt = haltOn(halts, {
    agent: issuance.holder.client,
    instance: issuance.holder.instance,
    keys: [issuance.holder.key, issuance.boundTo],
    grants: issuance.grants,
    person: issuance.holder.subject,
    resource: issuance.audience,
    tenant: ctx.issuer,
  })
  if (halt !== undefined && !isToLift(ctx, issuance, halt)) {
    // One dull sentence: what was halted and why is for the operator.
    throw new Fault('invalid_grant', 'The grant is not valid.', {
      kind: 'halted',
      halt: halt.id,
      by: halt.kind,
    })
  }
  const standing = { ...issuance, bases: [...issuance.bases, { epoch, subjects: [haltSubject] }] }
  const named = one(form, 'session')
  return named === undefined ? standing : withSession(ctx, deps, standing, { named, fresh })
}

/** The way out of a halt of the whole tenant: a token that can lift halts and do nothing else. */
function isToLift(ctx: Ctx, { audience, scopes }: Issuance, { kind }: Halt): boolean {
  return (
    kind === 'tenant' &&
    audience === managementIdentifier(ctx) &&
    scopes.length > 0 &&
    scopes.every(scope => scope.startsWith('writ:halts:'))
  )
}

async function withSession(
  ctx: Ctx,
  deps: Reads,
  issuance: Issuance,
  { named, fresh }: { readonly named: string; readonly fresh: boolean },
): Promise<Issuance> {
  const id = parseId('ses', named)
  const known = id && (await deps.store.facts.session(ctx, id, { fresh }))
  const { holder } = issuance
  // Another instance's session is as unknown as none.
  if (
    known === undefined ||
    known.session.instance !== holder.instance ||
    !isSessionLive(known.session, ctx.now)
  )
    throw new Fault('invalid_request', 'session is no live session of this instance.', { kind: 'no_session' })
  const { epoch, session } = known
  return {
    ...issuance,
    session: { id: session.id, task: session.task },
    lifetimeSeconds: lifetime(issuance.lifetimeSeconds, ctx.now, [session.expiresAt]),
    bases: [...issuance.bases, { epoch, subjects: [session.id] }],
  }
}
