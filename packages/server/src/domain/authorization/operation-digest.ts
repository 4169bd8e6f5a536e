// One text and one digest for one operation (RFC 8785): equal digests for equal operations, and for no others (property 36).
import { hashParts } from '../hash.ts'
import type { Claimed, Party, Question } from './question.ts'

/**
 * The JSON of a value with the members of every object in one order (RFC 8785 §3.2.3), so that equal values have one
 * text. What JSON cannot carry is left out as JSON leaves it out; parsers of ours bound the depth before.
 */
export function canonicalText(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(',')}]`
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    // RFC 8785 §3.2.3: by code units, as JavaScript compares.
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonicalText(member)}`)
  return `{${members.join(',')}}`
}

/** Members of the context that differ from call to call without being about it: they bind nothing. */
const volatile: ReadonlySet<string> = new Set([
  'time',
  'timestamp',
  'nonce',
  'request_id',
  'trace_id',
  'evaluation_id',
  'evaluated_at',
  'reason',
  'access_request',
])

/** Members that say with what the call came, and not what it is: the ceiling, where from, how fresh. */
const circumstances: ReadonlySet<string> = new Set([
  'approval',
  'token',
  'peer',
  'session',
  'reserve',
  'authentication_age',
  'key_age',
])

/** The names of the context that an approval is bound to (access request profile, "Authorization-Relevant Context"). */
export function bindingMembers(context: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.keys(context)
    .filter(name => !volatile.has(name) && !circumstances.has(name))
    .sort()
}

function partyOf(party: Party): unknown {
  return party.kind === 'other'
    ? [party.kind, party.type, party.id]
    : [party.kind, party.id, party.kind === 'agent' ? party.instance : null]
}

/** "Binding Token Integrity": an enforcement point may move the actor of a subject to `client.actor`. */
const movable: ReadonlySet<string> = new Set(['act'])
const nothing: ReadonlySet<string> = new Set()

function claimsOf(claimed: Readonly<Record<string, Claimed>>, without: ReadonlySet<string>): unknown {
  const bound = Object.entries(claimed).filter(([name]) => !without.has(name))
  return Object.fromEntries(bound.map(([name, { value, attested }]) => [name, [value, attested]]))
}

/**
 * SHA-256, base64url, over everything that says what is done and by whom: subject, chain, action, resource, object,
 * arguments, amounts and attributes. Not over the circumstances: a new token or a later minute makes no other operation of it.
 */
export function operationDigest({ subject, chain, operation, foreign, context, claimed }: Question): string {
  const { action, resource, object } = operation
  const parts = [
    [partyOf(subject), chain.map(partyOf)],
    [action, resource, object, foreign],
    operation.arguments,
    [
      claimsOf(claimed.subject, movable),
      claimsOf(claimed.object, nothing),
      claimsOf(claimed.context, volatile),
    ],
    [context.task, context.amounts],
  ]
  return hashParts('operation', ...parts.map(canonicalText)).toString('base64url')
}
