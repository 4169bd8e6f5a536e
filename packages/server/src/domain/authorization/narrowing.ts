// What of its grants an agent gets into one token: the leaves and the details (RFC 9396 §6) it asks for, never more.
import type { AuthorizationDetail } from '@writ/sdk/protocol/details/detail'
import { containsDetails, detailElsewhere } from '@writ/sdk/protocol/details/index'
import { type Grant, isGrantLive } from '../grant.ts'
import { leavesOf, type Resource } from '../resource.ts'

/** Undefined where the request does not have the parameter. */
export interface Asked {
  readonly scopes?: readonly string[] | undefined
  readonly details?: readonly AuthorizationDetail[] | undefined
}

export interface Narrowed {
  readonly scopes: readonly string[]
  /** What the scopes are limited to; empty where they alone say it. */
  readonly details: readonly AuthorizationDetail[]
  /** The grants that it rests on; when one of them ends, so does what was issued from it. */
  readonly grants: readonly Grant[]
  /** The earliest end among those grants. */
  readonly expiresAt: number | null
  /** Whether the token is worth nothing without a decision about each operation. */
  readonly needsDecision: boolean
}

export type Refused =
  /** The scope is not granted, or not together with the others: one token has no grants of two kinds. */
  | { readonly refused: string }
  /** No grant contains one of the details. */
  | { readonly refusedDetails: true }
  /** There is nothing to be had by default: a scope has to be named. */
  | { readonly scopeNeeded: true }

/**
 * What to issue: what is asked for, never more than what is granted (properties 1 and 17). Nothing asked for means the
 * default: every granted leaf that is not sensitive, possibly none. Asking for one scope or detail that is not granted
 * refuses the whole request, so that nothing is narrowed silently.
 *
 * A token rests on grants of one kind, with scopes, with details, or with both: limits of one grant would otherwise
 * bind, or seem to bind, the rights of another. Rights of two kinds are asked for one after the other.
 */
export function narrow(
  resource: Resource,
  grants: readonly Grant[],
  asked: Asked,
  now: number,
): Narrowed | Refused {
  const live = grants.filter(grant => grant.resource === resource.identifier && isGrantLive(grant, now))
  const of = (kind: Kind): Pool => ({ resource, grants: live.filter(grant => kindOf(grant) === kind) })
  const { scopes, details } = asked
  if (details === undefined) {
    const pool = of('scopes')
    const plain = byScopes(pool, scopes)
    // Those without details come first, for they need no decision; and where there are none at all, nothing is given.
    if (!isRefused(plain) && (scopes !== undefined || pool.grants.length > 0)) return plain
    return firstOf([() => byBoth(of('both'), asked), () => byDetails(of('details'), asked)], plain)
  }
  return firstOf(
    [
      () => byDetails(of('details'), asked),
      () => byBoth(of('both'), asked),
      () => limited(of('scopes'), asked, details),
    ],
    lacking(resource, live, scopes),
  )
}

type Kind = 'scopes' | 'details' | 'both'

function kindOf({ scopes, authorizationDetails = [] }: Grant): Kind {
  if (authorizationDetails.length === 0) return 'scopes'
  return scopes.length === 0 ? 'details' : 'both'
}

interface Pool {
  readonly resource: Resource
  /** Live ones for the resource, of one kind. */
  readonly grants: readonly Grant[]
}

type Result = Narrowed | Refused

export const isRefused = (result: Result): result is Refused => !('grants' in result)

/** The first that is not refused; otherwise that a scope is needed, where that is all that lacks. */
function firstOf(ways: readonly (() => Result)[], otherwise: Result): Result {
  let refusal = otherwise
  for (const way of ways) {
    const result = way()
    if (!isRefused(result)) return result
    if ('scopeNeeded' in result && isRefused(otherwise)) refusal = result
  }
  return refusal
}

/** Of what is granted in no way together: the scope that no grant has at all, or else the details. */
function lacking(resource: Resource, live: readonly Grant[], scopes: readonly string[] | undefined): Refused {
  const held = leavesOf(
    resource.scopes,
    live.flatMap(grant => grant.scopes),
  )
  const leaves = leavesAsked(resource, new Set(held), scopes)
  return 'refused' in leaves ? leaves : { refusedDetails: true }
}

/** From grants without details: for each leaf those that answer for it. */
function byScopes({ resource, grants }: Pool, asked: readonly string[] | undefined): Result {
  const sources = new Map<string, Grant[]>()
  for (const grant of [...grants].sort(bestFirst)) {
    for (const leaf of leavesOf(resource.scopes, grant.scopes)) {
      const known = sources.get(leaf)
      if (known === undefined) sources.set(leaf, [grant])
      else known.push(grant)
    }
  }
  const leaves = leavesAsked(resource, new Set(sources.keys()), asked)
  if ('refused' in leaves) return leaves
  return resting([...new Set(leaves.flatMap(leaf => answering(sources.get(leaf) ?? [])))], leaves, [])
}

/**
 * Of grants of the same right, the best first: it alone where nothing limits it. Where all of them are limited, each: the
 * condition of one may hold, and its budget have enough, where that of another does not.
 */
function answering(grants: readonly Grant[]): readonly Grant[] {
  const [best] = grants
  return best === undefined || isLimited(best) ? grants : [best]
}

/** From the same grants, limited by details of the request itself: less than what they would give without. */
function limited(pool: Pool, asked: Asked, details: readonly AuthorizationDetail[]): Result {
  if (detailElsewhere(details, pool.resource.identifier) !== undefined) return { refusedDetails: true }
  const plain = byScopes(pool, asked.scopes)
  if (isRefused(plain)) return plain
  // Without a scope the details would stand alone, and limit a scope that nobody named.
  if (plain.scopes.length === 0)
    return pool.grants.length === 0 ? { refusedDetails: true } : { scopeNeeded: true }
  return { ...plain, details, needsDecision: true }
}

/** From grants whose details are all they have. */
function byDetails({ grants }: Pool, { scopes, details }: Asked): Result {
  if (scopes !== undefined) return { refusedDetails: true }
  const ordered = [...grants].sort(bestFirst)
  if (details === undefined) {
    const used = ordered.filter((grant, at) => !ordered.slice(0, at).some(other => contains(other, grant)))
    return used.length === 0 ? { refusedDetails: true } : resting(used, [], detailsOf(used))
  }
  const used = details.map(detail =>
    answering(ordered.filter(grant => containsDetails(ownDetails(grant), [detail]))),
  )
  return used.every(answers => answers.length > 0)
    ? resting([...new Set(used.flat())], [], details)
    : { refusedDetails: true }
}

/** From grants that have both: an operation needs a scope and a detail of one and the same of them. */
function byBoth({ resource, grants }: Pool, { scopes, details }: Asked): Result {
  const fitting = grants.filter(
    grant => details === undefined || details.some(detail => containsDetails(ownDetails(grant), [detail])),
  )
  if (fitting.length === 0) return { refusedDetails: true }
  const leavesIn = new Map(fitting.map(grant => [grant, leavesOf(resource.scopes, grant.scopes)]))
  const leaves = leavesAsked(resource, new Set([...leavesIn.values()].flat()), scopes)
  if ('refused' in leaves) return leaves
  if (leaves.length === 0) return { scopeNeeded: true }
  const wanted = new Set(leaves)
  const sharing = (grant: Grant) => (leavesIn.get(grant) ?? []).filter(leaf => wanted.has(leaf))
  const ordered = fitting.filter(grant => sharing(grant).length > 0).sort(bestFirst)
  // One that another permits whole, and longer, would only shorten the token.
  const used = ordered.filter(
    (grant, at) =>
      !ordered
        .slice(0, at)
        .some(other => contains(other, grant) && sharing(grant).every(leaf => sharing(other).includes(leaf))),
  )
  if (details === undefined) return resting(used, leaves, detailsOf(used))
  const isGranted = details.every(detail => used.some(grant => containsDetails(ownDetails(grant), [detail])))
  return isGranted ? resting(used, leaves, details) : { refusedDetails: true }
}

/** The leaves that are asked for, or the first scope that has one which is not held. */
function leavesAsked(
  resource: Resource,
  held: ReadonlySet<string>,
  asked: readonly string[] | undefined,
): readonly string[] | { readonly refused: string } {
  if (asked === undefined) {
    const sensitive = new Set(resource.scopes.filter(scope => scope.sensitive).map(scope => scope.name))
    return [...held].filter(leaf => !sensitive.has(leaf))
  }
  for (const name of asked) {
    const wanted = leavesOf(resource.scopes, [name])
    if (wanted.length === 0 || wanted.some(leaf => !held.has(leaf))) return { refused: name }
  }
  return leavesOf(resource.scopes, asked)
}

function resting(
  grants: readonly Grant[],
  scopes: readonly string[],
  details: readonly AuthorizationDetail[],
): Narrowed {
  const end = Math.min(...grants.map(endOf))
  return {
    scopes,
    details,
    grants,
    expiresAt: Number.isFinite(end) ? end : null,
    needsDecision: details.length > 0 || grants.some(isLimited),
  }
}

const ownDetails = ({ authorizationDetails = [] }: Grant): readonly AuthorizationDetail[] =>
  authorizationDetails

/** All of them, each once. */
function detailsOf(grants: readonly Grant[]): readonly AuthorizationDetail[] {
  return [...new Map(grants.flatMap(ownDetails).map(detail => [JSON.stringify(detail), detail])).values()]
}

const contains = (outer: Grant, inner: Grant): boolean =>
  !isLimited(outer) && containsDetails(ownDetails(outer), ownDetails(inner))

/** Whether something besides scopes and details is kept at each call. */
function isLimited({ condition, budgets }: Grant): boolean {
  return (condition ?? null) !== null || (budgets ?? []).length > 0
}

/** The one that has no further limit answers; then the one that lives longest, which shortens the token least. */
function isBetter(grant: Grant, other: Grant): boolean {
  if (isLimited(grant) !== isLimited(other)) return isLimited(other)
  return endOf(grant) > endOf(other)
}

function bestFirst(a: Grant, b: Grant): number {
  if (isBetter(a, b)) return -1
  return isBetter(b, a) ? 1 : 0
}

function endOf(grant: Grant): number {
  return grant.expiresAt ?? Number.POSITIVE_INFINITY
}
