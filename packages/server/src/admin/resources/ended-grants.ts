// What becomes of the grants of a resource when it goes or its scopes change: ended or cut in the same commit.
import { Fault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../../context.ts'
import type { Put, Signal } from '../../domain/change.ts'
import type { Grant } from '../../domain/grant.ts'
import type { Resource } from '../../domain/resource.ts'
import type { Reads } from '../operation.ts'

/** More would not fit one change. */
const mostGrants = 900

interface Ended {
  readonly puts: readonly Put[]
  readonly ids: readonly string[]
  /** Of each grant its end: another node may remember the grant as it was, and read the resource as it is. */
  readonly signals: readonly Signal[]
}

/** What becomes of the live grants of a resource: each as it is to be from now on, or undefined where it stays. */
export async function endGrants(
  ctx: Ctx,
  deps: Reads,
  identifier: string,
  next: (grant: Grant) => Grant | undefined,
): Promise<Ended> {
  const puts: Put[] = []
  const ids: string[] = []
  for (let after: string | undefined; ; ) {
    const asked = { limit: mostGrants, ...(after === undefined ? {} : { after }) }
    const page = await deps.store.grants.list(ctx, asked, { resource: identifier, liveAt: ctx.now })
    for (const { version, ...grant } of page.items) {
      const value = next(grant)
      if (value === undefined) continue
      puts.push({ put: 'grant', value, ifVersion: version })
      ids.push(grant.id)
    }
    if (puts.length > mostGrants) {
      throw new Fault(
        'conflict',
        `More than ${mostGrants} grants would change with this, and one change takes no more: list them with ` +
          'GET /grants?status=active&resource=…, take some back with DELETE /grants/{id}, and ask again.',
        { kind: 'too_many_grants', resource: identifier },
      )
    }
    if (page.next === null) return { puts, ids, signals: ids.map(id => ({ subject: id, kind: 'narrowed' })) }
    after = page.next
  }
}

/**
 * All of them: rights given for a resource that is gone would come back to life with the next one of that name. The
 * tokens that rest on them end with the resource itself.
 */
export const endedWhole =
  (ctx: Ctx) =>
  (grant: Grant): Grant => ({ ...grant, revokedAt: ctx.now })

/**
 * Takes the scopes that are new from the grants that name them already: what was given under such a name was given for
 * another scope, which was removed since, and must not come back to life with this one.
 */
export async function endFormer(ctx: Ctx, deps: Reads, before: Resource, after: Resource): Promise<Ended> {
  const known = new Set(before.scopes.map(scope => scope.name))
  const added = new Set(after.scopes.map(scope => scope.name).filter(name => !known.has(name)))
  if (added.size === 0) return { puts: [], ids: [], signals: [] }
  return endGrants(ctx, deps, after.identifier, grant => {
    const scopes = grant.scopes.filter(name => !added.has(name))
    if (scopes.length === grant.scopes.length) return undefined
    return scopes.length === 0 ? { ...grant, revokedAt: ctx.now } : { ...grant, scopes }
  })
}
