// Attributes and arguments as tags that policies read. What a caller claims never takes the place of what we registered.
import type { Agent } from '../../agent.ts'
import type { Claimed } from '../question.ts'

/** The record `Claim` of the schema. */
export interface Claim {
  readonly text: string
  readonly number?: number
  readonly flag?: boolean
  readonly values?: readonly string[]
  readonly attested: boolean
  readonly source: string
}

export type Tags = Readonly<Record<string, Claim>>

type Word = Pick<Claim, 'attested' | 'source'>

/** How many arguments one call may have, those within others included: more than that is refused, never cut. */
const mostArguments = 512
const deepest = 16

/**
 * The claim of a scalar. A number is a number only where it is whole and exact: beyond 2^53 JSON may have rounded it,
 * and a limit held against a rounded amount is none. As text it fails every comparison of numbers.
 */
function claimOf(value: string | number | boolean, { attested, source }: Word): Claim {
  const text = String(value)
  if (typeof value === 'number' && Number.isSafeInteger(value))
    return { text, number: value, attested, source }
  if (typeof value === 'boolean') return { text, flag: value, attested, source }
  return { text, attested, source }
}

export function tagsOf(claimed: Readonly<Record<string, Claimed>>): Record<string, Claim> {
  const tags = emptyTags()
  for (const [name, { value, attested, source }] of Object.entries(claimed))
    tags[name] = claimOf(value, { attested, source })
  return tags
}

// No prototype: a claim named `__proto__` is a name like any other.
const emptyTags = (): Record<string, Claim> => Object.create(null)

const registry: Word = { attested: true, source: 'registry' }

/**
 * Attributes of an agent: what came with the question, under its labels, under the members of its record. An agent
 * that says which model it runs says it under the same name, so the record has the last word; where the record is
 * silent, the claim stands unattested.
 */
export function agentTags(agent: Agent, claimed: Readonly<Record<string, Claimed>>): Tags {
  const tags = tagsOf(claimed)
  for (const [name, value] of Object.entries(agent.labels)) tags[name] = claimOf(value, registry)
  const { kind, model, provider, softwareVersion } = agent
  for (const [name, value] of Object.entries({ kind, model, provider, softwareVersion }))
    if (value !== null) tags[name] = claimOf(value, registry)
  return tags
}

const caller: Word = { attested: false, source: 'caller' }

/**
 * Arguments by their JSON pointers (RFC 6901 §3) without the leading slash: `amount`, `filter/year`, `lines/0/price`. A
 * slash in a name is written `~1`, so an argument named `filter/year` never passes for the member of another. Undefined
 * where there are too many, or they nest too deep.
 */
export function argumentTags(args: Readonly<Record<string, unknown>>): Tags | undefined {
  const tags = emptyTags()
  let left = mostArguments
  const add = (path: string, value: unknown, depth: number): boolean => {
    left -= 1
    if (left < 0 || depth > deepest) return false
    if (typeof value !== 'object' || value === null) {
      tags[path] = claimOf(isScalar(value) ? value : String(value), caller)
      return true
    }
    const isList = Array.isArray(value)
    const values = isList && value.every(isScalar) ? { values: value.map(String) } : {}
    tags[path] = { text: isList ? '[]' : '{}', ...values, ...caller }
    return Object.entries(value).every(([name, member]) =>
      add(`${path}/${escapePointer(name)}`, member, depth + 1),
    )
  }
  const all = Object.entries(args)
  return all.every(([name, value]) => add(escapePointer(name), value, 1)) ? tags : undefined
}

function isScalar(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

// RFC 6901 §4: `~` first, or `~1` of a name would become a slash.
function escapePointer(name: string): string {
  return name.includes('~') || name.includes('/') ? name.replaceAll('~', '~0').replaceAll('/', '~1') : name
}
