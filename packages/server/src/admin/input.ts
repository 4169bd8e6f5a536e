// What a request asks, held against the schemas of its operation: every refusal names the member and nothing else.
import { Fault } from '@writ/sdk/protocol/fault'
import type { z } from 'zod'
import type { Caller } from '../domain/caller.ts'
import type { AnyOperation, Input } from './operation.ts'
import * as wire from './wire.ts'

/** What a face collected, not yet judged. */
export interface Raw {
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  /** The body as one strict JSON object; undefined where there is none. Throws a Fault for any other. */
  body(): Promise<Record<string, unknown> | undefined>
  readonly idempotencyKey: string | undefined
  readonly ifMatch: string | undefined
}

/** Who asks for which operation, with what. */
export interface Call {
  readonly operation: AnyOperation
  readonly caller: Caller
  readonly raw: Raw
}

export interface Read {
  readonly input: Input<Record<string, unknown>, Record<string, unknown>, unknown>
  /** The request as it was given, as one text: equal for equal requests. */
  readonly asked: string
}

/** Throws `not_found` for a path that can name nothing, `invalid_request` or `invalid_value` for the rest. */
export async function readInput(operation: AnyOperation, raw: Raw): Promise<Read> {
  const params = operation.params.safeParse(raw.params)
  // An identifier of the wrong kind or form names nothing here; that is all there is to say (threat C60).
  if (!params.success)
    throw new Fault('not_found', 'There is no such thing here.', { kind: 'malformed_identifier' })
  const givenQuery = queryOf(raw.query)
  const query = check(operation.query, givenQuery, 'query parameter') as Record<string, unknown>
  const givenBody = operation.body === null ? undefined : await raw.body()
  const body = operation.body === null ? undefined : check(operation.body, givenBody, 'member')
  return {
    input: { params: params.data, query, body, ifVersion: versionOf(raw.ifMatch) },
    asked: JSON.stringify([raw.params, givenQuery, givenBody ?? null]),
  }
}

// A parameter that comes twice has two readers who take one each (threat C65).
function queryOf(query: URLSearchParams): Record<string, string> {
  const given: Record<string, string> = Object.create(null)
  for (const [name, value] of query) {
    if (name in given)
      throw refused(`The query parameter ${wire.shown(name)} comes more than once.`, 'repeated_parameter')
    given[name] = value
  }
  return { ...given }
}

/** RFC 9110 §13.1.1 with the one tag that our answers carry; `*` asks for any version. */
function versionOf(ifMatch: string | undefined): number | null {
  if (ifMatch === undefined || ifMatch === '*') return null
  const version = /^"([1-9]\d{0,14})"$/.exec(ifMatch)?.[1]
  if (version === undefined) throw refused('If-Match must be the ETag of an answer.', 'if_match')
  return Number(version)
}

/** The value as the schema has it. Throws a Fault that names the member. */
export function check(schema: z.ZodType, value: unknown, what: string): unknown {
  if (value === undefined && !schema.safeParse(undefined).success)
    throw refused('The body is missing.', 'no_body')
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw faultOf(result.error.issues, what)
}

function faultOf(issues: readonly z.core.$ZodIssue[], what: string): Fault {
  // Unknown members first: whoever tries to set what is not theirs hears that, not that a date is missing (C37).
  const unknown = issues.find(issue => issue.code === 'unrecognized_keys')
  if (unknown !== undefined) {
    const name = [...unknown.path, unknown.keys[0]].join('.')
    return refused(`Unknown ${what}: ${wire.shown(name)}.`, 'unknown_member')
  }
  const [first] = issues
  const name = wire.shown(first?.path.join('.') ?? '')
  if (first === undefined || first.code === 'invalid_type') {
    const needed = first === undefined ? 'valid' : `of type ${first.expected}`
    return refused(`The ${what} ${name} is missing or not ${needed}.`, 'wrong_type')
  }
  const code =
    first.code === 'custom' && first.params?.['code'] === 'unsupported_member'
      ? 'unsupported_member'
      : 'invalid_value'
  return new Fault(code, `The ${what} ${name} ${sentence(first)}`, { kind: code, member: name })
}

function sentence(issue: z.core.$ZodIssue): string {
  return issue.code === 'custom' ? `${issue.message}.` : `is not acceptable: ${issue.message.toLowerCase()}.`
}

function refused(say: string, kind: string): Fault {
  return new Fault('invalid_request', say, { kind })
}
