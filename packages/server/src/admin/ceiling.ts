// Nobody administers what stands above them (threat C60): control over an agent is control over everything it may do.
import { Fault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../context.ts'
import type { Agent } from '../domain/agent.ts'
import { isEligibilityLive } from '../domain/authorization/eligibility.ts'
import type { Caller } from '../domain/caller.ts'
import { isGrantLive } from '../domain/grant.ts'
import { leavesOf, type Resource } from '../domain/resource.ts'
import { managementIdentifier } from './access.ts'
import type { Reads } from './operation.ts'

/**
 * Throws `access_denied` where the agent has a right at the management API that the caller's token has not: a key
 * given to it would lift the caller above its own rights, its end would strike down somebody who watches the caller.
 * That holds for the caller's own agent too: a token of one scope must not make itself a token of all.
 */
export async function mustReach(
  ctx: Ctx,
  deps: Reads,
  caller: Caller,
  agent: Pick<Agent, 'id'>,
): Promise<void> {
  const identifier = managementIdentifier(ctx)
  const management = await deps.store.resources.byIdentifier(ctx, identifier)
  if (management === undefined) return
  await mustReachEligible(ctx, deps, caller, { agent, management })
  for (let after: string | undefined; ; ) {
    const page = await deps.store.grants.list(
      ctx,
      { limit: 200, ...(after === undefined ? {} : { after }) },
      { agent: agent.id, resource: identifier, liveAt: ctx.now },
    )
    const live = page.items.filter(grant => isGrantLive(grant, ctx.now))
    mustHold(
      caller,
      leavesOf(
        management.scopes,
        live.flatMap(grant => grant.scopes),
      ),
    )
    if (page.next === null) return
    after = page.next
  }
}

/** What the agent can have opened is its right as soon as somebody else holds its key: an activation may need nobody. */
async function mustReachEligible(
  ctx: Ctx,
  deps: Reads,
  caller: Caller,
  { agent, management }: { readonly agent: Pick<Agent, 'id'>; readonly management: Resource },
): Promise<void> {
  for (let after: string | undefined; ; ) {
    const page = await deps.store.eligibilities.list(
      ctx,
      { limit: 200, ...(after === undefined ? {} : { after }) },
      { agent: agent.id, resource: management.identifier },
    )
    const live = page.items.filter(eligibility => isEligibilityLive(eligibility, ctx.now))
    mustHold(
      caller,
      leavesOf(
        management.scopes,
        live.flatMap(({ scopes }) => scopes),
      ),
    )
    if (page.next === null) return
    after = page.next
  }
}

/** Throws `access_denied` where the caller's token lacks one of these leaves of the management API. */
export function mustHold(caller: Pick<Caller, 'scopes'>, leaves: readonly string[]): void {
  const missing = leaves.find(leaf => !caller.scopes.has(leaf))
  if (missing !== undefined) {
    throw new Fault('access_denied', 'This is above your own rights at the management API.', {
      kind: 'above_caller',
      missing,
    })
  }
}
