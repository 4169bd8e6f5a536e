// Halts: kill switches that say "nothing of this, until it is lifted", for whatever a decision can name.
import type { HaltId } from '@writ/sdk/protocol/identifier'
import { toolSubject } from '@writ/sdk/protocol/revocation'

export type HaltKind = 'agent' | 'instance' | 'key' | 'grant' | 'tool' | 'resource' | 'person' | 'tenant'

export interface Halt {
  readonly id: HaltId
  readonly kind: HaltKind
  /** An id, a thumbprint, a resource's identifier, `<identifier>#<tool>`, or the issuer for the tenant. */
  readonly target: string
  readonly reason: string
  readonly by: string
  readonly createdAt: number
  readonly liftedAt: number | null
  readonly liftedBy: string | null
}

/** The subject of the signal that halts changed. */
export const haltSubject = 'halts'

/** Everything a token or a call rests on that may be halted; what is null or left out is not there. */
export interface Haltable {
  readonly agent?: string | null
  readonly instance?: string | null
  readonly keys?: readonly (string | null)[]
  readonly grants?: readonly string[]
  readonly person?: string | null
  readonly resource?: string | null
  readonly tool?: string | null
  readonly tenant: string
}

/** The first halt that stands in its way; undefined where none does. */
export function haltOn(halts: readonly Halt[], on: Haltable): Halt | undefined {
  if (halts.length === 0) return undefined
  const named: Readonly<Record<HaltKind, readonly (string | null | undefined)[]>> = {
    agent: [on.agent],
    instance: [on.instance],
    key: on.keys ?? [],
    grant: on.grants ?? [],
    tool: [on.tool],
    resource: [on.resource],
    person: [on.person],
    tenant: [on.tenant],
  }
  return halts.find(({ kind, target, liftedAt }) => liftedAt === null && named[kind].includes(target))
}

/**
 * The subject whose tokens and cached decisions a halt ends; a tool has none of its own, for tokens do not name tools, and
 * one that is issued later would call it as well: while it is halted, everybody is told so (`haltedTool`).
 */
export function haltedSubject({ kind, target }: Pick<Halt, 'kind' | 'target'>): string | undefined {
  if (kind === 'tool') return undefined
  return kind === 'key' ? `key:${target}` : target
}

/** What a halted tool is called on the way to those that enforce it; undefined for a halt of anything else. */
export function haltedTool({ kind, target }: Pick<Halt, 'kind' | 'target'>): string | undefined {
  if (kind !== 'tool') return undefined
  // An identifier has no fragment: what follows the first of them is the name, whatever stands in it.
  const at = target.indexOf('#')
  return toolSubject(target.slice(0, at), target.slice(at + 1))
}
