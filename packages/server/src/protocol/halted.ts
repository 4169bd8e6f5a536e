// Whether somebody who proved a key may act for itself at all: nothing of it, or of the tenant, is halted.
import { Fault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../context.ts'
import { haltOn, haltSubject } from '../domain/authorization/halt.ts'
import type { Basis } from '../domain/change.ts'
import type { Proven } from './client-auth/method.ts'
import type { Deps } from './deps.ts'

/**
 * What it rests on that no halt stands in the way, for the commit of what is done. Throws `access_denied` in one dull
 * sentence: what was halted and why is for the operator.
 */
export async function mustNotBeHalted(
  ctx: Ctx,
  { store }: { readonly store: Pick<Deps['store'], 'facts'> },
  { agent, by }: Pick<Proven, 'agent' | 'by'>,
): Promise<Basis> {
  const { epoch, halts } = await store.facts.governing(ctx, { fresh: true })
  const halt = haltOn(halts, {
    agent: agent?.id ?? null,
    instance: by.key?.instance ?? null,
    keys: [by.key?.thumbprint ?? null],
    tenant: ctx.issuer,
  })
  if (halt !== undefined)
    throw new Fault('access_denied', 'This is not allowed.', { kind: 'halted', halt: halt.id, by: halt.kind })
  return { epoch, subjects: [haltSubject] }
}
