// One entry of the audit log: its members, and the one text form whose hash is the leaf.
import type { EventId } from '@writ/sdk/protocol/identifier'

/** `allowed`: decided yes and done. `refused`: decided no. `failed`: tried, and our side could not. */
export type Outcome = 'allowed' | 'refused' | 'failed'

/** One hop of the actor chain, the root first. */
export interface Actor {
  readonly sub: string
  readonly kind: 'person' | 'agent' | 'instance' | 'client'
}

/** What decided: a rule of ours by name, the version of what it read, and the grants it rests on. */
export interface Decision {
  readonly rule: string
  readonly code?: string
  readonly grants?: readonly string[]
  readonly epoch?: number
}

/** All that is known when a use case decides; id, index and time are given at commit. */
export interface EntryDraft {
  /** Dotted, the object first: `token.issued`, `agent.suspended`. */
  readonly type: string
  readonly outcome: Outcome
  /** For people: why this was asked for, or what refused it. Never a secret, never a token. */
  readonly reason?: string | null
  readonly agent?: string | null
  readonly instance?: string | null
  /** RFC 7638 thumbprint of the key that proved the caller. */
  readonly key?: string | null
  readonly person?: string | null
  readonly chain?: readonly Actor[]
  readonly resource?: string | null
  /** What was asked for: a scope list, an operation, a tool. */
  readonly action?: string | null
  readonly decision?: Decision | null
  readonly requestId: string
  readonly traceId?: string | null
  readonly peer?: string | null
  /** Further facts of this type of entry, flat; part of `decision` on the wire. */
  readonly facts?: Readonly<Record<string, string | number | boolean | readonly string[] | null>>
}

export interface Entry extends EntryDraft {
  readonly id: EventId
  /** Position in the tenant's log: contiguous from 0, never reused. */
  readonly index: number
  /** Epoch milliseconds. */
  readonly timeMs: number
}

/** As long as the random part of a secret of 256 bits, and as the parts of a JWT; identifiers of ours are shorter. */
const secretLike = /[A-Za-z0-9_-]{40,}/g

/**
 * The beginning of a caller's own text: without what could be a token that it put in the wrong place (threat C55), and
 * without half a character at its end, which no reader of JSON would take.
 */
export function excerpt(text: string, most: number): string {
  return text
    .slice(0, 4 * most)
    .replace(secretLike, '[redacted]')
    .slice(0, most)
    .toWellFormed()
}

// What JSON leaves as it is and a screen does not: controls beyond ASCII, what turns the line around or ends it.
const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

const escaped = (character: string): string =>
  character
    .split('')
    .map(unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('')

/**
 * The leaf: JSON with the members in this fixed order, one line on any screen whatever texts of others are in it
 * (threat C63). It is stored and hashed as it stands, and never made again.
 */
export function entryText(entry: Entry): string {
  const text = jsonOf(entry)
  return /[^\x20-\x7e]/.test(text) ? text.replace(unseen, escaped) : text
}

function jsonOf(entry: Entry): string {
  return JSON.stringify({
    id: entry.id,
    index: entry.index,
    time: new Date(entry.timeMs).toISOString(),
    type: entry.type,
    outcome: entry.outcome,
    reason: entry.reason ?? null,
    agent: entry.agent ?? null,
    instance: entry.instance ?? null,
    key: entry.key ?? null,
    person: entry.person ?? null,
    chain: entry.chain ?? [],
    resource: entry.resource ?? null,
    action: entry.action ?? null,
    decision: entry.decision || entry.facts ? { ...entry.decision, ...entry.facts } : null,
    request_id: entry.requestId,
    trace_id: entry.traceId ?? null,
    peer: entry.peer ?? null,
  })
}
