// What becomes of the grants and eligibilities of a resource when it goes or its scopes change: ended or cut in the same commit.
import { Fault } from '@writ/sdk/protocol/fault'
import type { EligibilityId } from '@writ/sdk/protocol/identifier'
import type { Ctx } from '../../context.ts'
import { type Eligibility, isEligibilityLive } from '../../domain/authorization/eligibility.ts'
import type { Put, Signal } from '../../domain/change.ts'
import type { Grant } from '../../domain/grant.ts'
import type { Resource } from '../../domain/resource.ts'
import type { Page, PageRequest } from '../../store/page.ts'
import type { Reads } from '../operation.ts'

/** More would not fit one change. */
const mostGrants = 900

interface Ended {
  readonly puts: readonly Put[]
  readonly ids: readonly string[]
  /** Those that changed as well: an eligibility of what is gone would open rights to whatever has its name next. */
  readonly eligibilities: readonly EligibilityId[]
  /** Of each its end: another node may remember the grant as it was, and read the resource as it is. */
  readonly signals: readonly Signal[]
}

/** What a grant and an eligibility have in common here. */
type Right = Pick<Grant & Eligibility, 'scopes' | 'revokedAt'>
type Next = <T extends Right>(right: T) => T | undefined

/** What becomes of the live rights at a resource: each as it is to be from now on, or undefined where it stays. */
export async function endGrants(ctx: Ctx, deps: Reads, identifier: string, next: Next): Promise<Ended> {
  const { grants, eligibilities } = deps.store
  const puts: Put[] = []
  const ids: string[] = []
  const eligible: EligibilityId[] = []
  const live = { resource: identifier, liveAt: ctx.now }
  for await (const { version, ...grant } of all(page => grants.list(ctx, page, live))) {
    const value = next(grant)
    if (value === undefined) continue
    mustFit(puts.push({ put: 'grant', value, ifVersion: version }), identifier)
    ids.push(grant.id)
  }
  const there = { resource: identifier }
  for await (const { version, ...eligibility } of all(page => eligibilities.list(ctx, page, there))) {
    const value = isEligibilityLive(eligibility, ctx.now) ? next(eligibility) : undefined
    if (value === undefined) continue
    mustFit(puts.push({ put: 'eligibility', value, ifVersion: version }), identifier)
    eligible.push(eligibility.id)
  }
  const signals = [...ids, ...eligible].map(subject => ({ subject, kind: 'narrowed' }) as const)
  return { puts, ids, eligibilities: eligible, signals }
}

async function* all<T>(read: (page: PageRequest) => Promise<Page<T>>): AsyncGenerator<T> {
  for (let after: string | null | undefined; after !== null; ) {
    const page = await read({ limit: mostGrants, ...(after === undefined ? {} : { after }) })
    yield* page.items
    after = page.next
  }
}

function mustFit(count: number, identifier: string): void {
  if (count <= mostGrants) return
  throw new Fault(
    'conflict',
    `More than ${mostGrants} grants and eligibilities would change with this, and one change takes no more: list them ` +
      'with GET /grants?status=active&resource=… and GET /eligibilities, take some back with DELETE /grants/{id} or ' +
      'POST /eligibilities/{id}/revoke, and ask again.',
    { kind: 'too_many_grants', resource: identifier },
  )
}

/** What an entry says of it; nothing where nothing ended. */
export const endedFacts = ({ ids, eligibilities }: Ended): Readonly<Record<string, readonly string[]>> => ({
  ...(ids.length === 0 ? {} : { ended_grants: ids }),
  ...(eligibilities.length === 0 ? {} : { ended_eligibilities: eligibilities }),
})

/**
 * All of them: rights given for a resource that is gone would come back to life with the next one of that name. The
 * tokens that rest on them end with the resource itself.
 */
export const endedWhole =
  (ctx: Ctx): Next =>
  right => ({ ...right, revokedAt: ctx.now })

/**
 * Takes the scopes that are new from the grants and eligibilities that name them already: what was given under such a
 * name was given for another scope, which was removed since, and must not come back to life with this one.
 */
export async function endFormer(ctx: Ctx, deps: Reads, before: Resource, after: Resource): Promise<Ended> {
  const known = new Set(before.scopes.map(scope => scope.name))
  const added = new Set(after.scopes.map(scope => scope.name).filter(name => !known.has(name)))
  if (added.size === 0) return { puts: [], ids: [], eligibilities: [], signals: [] }
  return endGrants(ctx, deps, after.identifier, right => {
    const scopes = right.scopes.filter(name => !added.has(name))
    if (scopes.length === right.scopes.length) return undefined
    return scopes.length === 0 ? { ...right, revokedAt: ctx.now } : { ...right, scopes }
  })
}
