// The revocation stream: how a verifier learns within the bound that something a token rests on has ended.
import { createHash } from 'node:crypto'

/**
 * How the stream names a subject: half of its SHA-256, base64url. Whoever holds a token can compute the names it
 * waits for; whoever only listens learns no identifiers.
 */
export function subjectDigest(subject: string): string {
  return createHash('sha256').update(subject).digest().subarray(0, 16).toString('base64url')
}

/** One end: the epoch from which it holds, and the digest of the subject. */
export type Narrowing = readonly [epoch: number, digest: string]

/**
 * Everything that is halted and that no token names: all of it, exactly as it stood at an epoch of its own, which is the
 * one of the message or later. Whoever hears of two believes the one of the later epoch.
 */
export interface Halted {
  readonly epoch: number
  /** Digests of `toolSubject`. */
  readonly subjects: readonly string[]
}

/** What a halted tool is called, its resource by its canonical identifier. */
export function toolSubject(resource: string, tool: string): string {
  return `tool:${resource}#${tool}`
}

/** More are not believed: whoever sent them would have a listener remember without end. */
const mostHalted = 10_000

/**
 * A message of the stream: the data of a server-sent event, and the JSON answer to a poll.
 * `snapshot`: forget what you knew; these are all narrowings that can still matter. `narrowed`: these were added.
 * `heartbeat`: nothing new; sent at least each `heartbeatSeconds`, and only while the node follows its store.
 */
export interface StreamMessage {
  readonly type: 'snapshot' | 'narrowed' | 'heartbeat'
  /** The epoch up to which the listener is now complete. */
  readonly epoch: number
  /** The instant up to which the node knew everything, by its clock, epoch milliseconds. */
  readonly at: number
  readonly narrowed: readonly Narrowing[]
  /** Instances that are asked to rotate their keys, by the digest of `rotate:<instance>`; left out where none is. */
  readonly asked?: readonly Narrowing[]
  /** Over how many seconds those that are asked spread their answers. */
  readonly within?: number
  /** In whatever completes a listener, and whenever halts changed; left out, what was told before stands. */
  readonly halted?: Halted
  /** In the first message of a stream: by which name this connection confirms what it enforces. A secret of the two. */
  readonly point?: string
}

/** A message as it is sent: its JSON, and what of it stands beside the JSON in an event. */
export interface WrittenMessage extends Pick<StreamMessage, 'type' | 'epoch'> {
  readonly text: string
}

export function writeMessage(message: StreamMessage): WrittenMessage {
  return { type: message.type, epoch: message.epoch, text: JSON.stringify(message) }
}

/** The same message with the name by which its listener confirms. */
export function withPoint({ text, ...message }: WrittenMessage, point: string): WrittenMessage {
  return { ...message, text: `${text.slice(0, -1)},"point":${JSON.stringify(point)}}` }
}

/** A server-sent event per message: `event` is the type, `id` the epoch, `data` the JSON. */
export function formatEvent({ type, epoch, text }: WrittenMessage): string {
  return `event: ${type}\nid: ${epoch}\ndata: ${text}\n\n`
}

/** The message in an event's data or a poll's answer, or undefined when it is not one. */
export function parseMessage(value: unknown): StreamMessage | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { type, epoch, at, narrowed } = value as Record<string, unknown>
  if (type !== 'snapshot' && type !== 'narrowed' && type !== 'heartbeat') return undefined
  if (!Number.isSafeInteger(epoch) || typeof at !== 'number' || !Array.isArray(narrowed)) return undefined
  if (!narrowed.every(isNarrowing)) return undefined
  const { asked = [], within = 0, point = '', halted } = value as Record<string, unknown>
  if (halted !== undefined && !isHalted(halted)) return undefined
  if (typeof point !== 'string' || point.length > 256) return undefined
  if (!Array.isArray(asked) || !asked.every(isNarrowing)) return undefined
  if (typeof within !== 'number' || !(within >= 0)) return undefined
  return value as StreamMessage
}

function isHalted(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { epoch, subjects } = value as Record<string, unknown>
  if (!Number.isSafeInteger(epoch) || !Array.isArray(subjects) || subjects.length > mostHalted) return false
  return subjects.every(subject => typeof subject === 'string')
}

function isNarrowing(item: unknown): boolean {
  return (
    Array.isArray(item) && item.length === 2 && Number.isSafeInteger(item[0]) && typeof item[1] === 'string'
  )
}

/**
 * The subject that is narrowed when a key of the issuer is cut, as after a theft: whatever it signed is dead, whatever
 * epoch stands in it. `issuer-key:<kid>` is narrowed with every rotation, and ends nothing that was signed before.
 */
export function cutSubject(kid: string): string {
  return `issuer-key-cut:${kid}`
}
