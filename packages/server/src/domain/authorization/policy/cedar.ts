// Cedar (docs.cedarpolicy.com, language 4): the one door to the engine. Synchronous, and a function of what is handed in.
import type * as cedar from '@cedar-policy/cedar-wasm/nodejs'
import { lineAt } from './bounds.ts'
import { engine, isBroken, replaceEngine } from './engine.ts'

/** A name of one thing, as the engine reads it. */
export interface Uid {
  readonly type: string
  readonly id: string
}

export interface Entity {
  readonly uid: Uid
  readonly attrs: Readonly<Record<string, unknown>>
  readonly parents: readonly Uid[]
  readonly tags?: Readonly<Record<string, unknown>>
}

/** One request to the engine: nothing beside these entities exists for the policies. */
export interface EngineRequest {
  readonly principal: Uid
  readonly action: Uid
  readonly resource: Uid
  readonly context: Readonly<Record<string, unknown>>
  readonly entities: readonly Entity[]
}

export interface EngineAnswer {
  readonly allowed: boolean
  /** The policies that decided. */
  readonly reasons: readonly string[]
  /** The policies that failed. The engine alone would go on without them. */
  readonly errors: readonly string[]
}

/** What is wrong with a text, where that is known: the policy, and the line from 1. */
export interface PolicyProblem {
  readonly policy: string | null
  readonly line: number | null
  readonly say: string
}

type Read<T> = { readonly value: T } | { readonly problems: readonly PolicyProblem[] }

/** A policy as Cedar's JSON format has it: scope and body, to be walked. */
export type PolicyTree = cedar.PolicyJson

/** The policies of a text, each as its own text, in the order of the text; or what does not parse. */
export function splitPolicies(text: string): Read<readonly string[]> {
  return guarded(() => {
    const answer = engine().policySetTextToParts(text)
    if (answer.type === 'failure')
      return { problems: answer.errors.map(error => problemOf(error, text, null)) }
    if (answer.policy_templates.length > 0)
      return {
        problems: [{ policy: null, line: null, say: 'Templates are not supported: name what is meant.' }],
      }
    return { value: answer.policies }
  })
}

export function parsePolicy(text: string): Read<PolicyTree> {
  return guarded(() => {
    const answer = engine().policyToJson(text)
    if (answer.type === 'success') return { value: answer.json }
    return { problems: answer.errors.map(error => problemOf(error, text, null)) }
  })
}

/** Holds policies, by id, against a schema. Warnings count: what can never be true is no rule. */
export function validatePolicies(
  schema: string,
  policies: Readonly<Record<string, string>>,
): readonly PolicyProblem[] {
  const checked = guarded<readonly PolicyProblem[]>(() => {
    const answer = engine().validate({ schema, policies: { staticPolicies: policies } })
    if (answer.type === 'failure') return { problems: answer.errors.map(error => problemOf(error, '', null)) }
    return {
      value: [...answer.validationErrors, ...answer.validationWarnings].map(({ policyId, error }) =>
        problemOf(error, policies[policyId] ?? '', policyId),
      ),
    }
  })
  return 'value' in checked ? checked.value : checked.problems
}

function problemOf(error: cedar.DetailedError, text: string, policy: string | null): PolicyProblem {
  const [at] = error.sourceLocations ?? []
  // Offsets of the engine count bytes of UTF-8.
  const before = at === undefined ? null : Buffer.from(text).subarray(0, at.start).toString()
  const hint = error.help === null ? '' : ` (${error.help})`
  return {
    policy,
    line: before === null ? null : lineAt(text, before.length),
    say: shortened(`${error.message}${hint}`),
  }
}

/** Names of a text come back in what is wrong with it, however long they are. */
function shortened(text: string): string {
  return text.length <= longestSay ? text : `${text.slice(0, longestSay - 1)}…`
}

const longestSay = 400

/** The engine throws where it runs out of stack: a refusal like any other, never a crash of whoever asked. */
function guarded<T>(run: () => Read<T>): Read<T> {
  try {
    return run()
  } catch (error) {
    if (!(error instanceof Error)) throw error
    recover(error)
    return { problems: [{ policy: null, line: null, say: 'The policy engine could not read this text.' }] }
  }
}

/** A set that the engine keeps parsed, as long as it is among those used last. */
export interface Prepared {
  readonly policies: Readonly<Record<string, string>>
  /** Length of its texts. */
  readonly size: number
}

export function prepare(policies: Readonly<Record<string, string>>): Prepared {
  return { policies, size: Object.values(policies).reduce((size, text) => size + text.length, 0) }
}

// The engine keeps what it has parsed under a name for ever, and can only replace it. So the names are few and are used
// again; a set that lost its name is parsed anew the next time, and costs that much more once.
const mostNames = 256
const mostText = 4 * 1024 * 1024
const names = new Map<Prepared, string>()
const allNames = Array.from({ length: mostNames }, (_, index) => `set-${index}`)
let free = [...allNames]
let held = 0
let newest: Prepared | undefined

/** Without this, one text that breaks the engine would be the last that anybody here had an answer to (threat C44). */
function recover(error: Error): void {
  if (!isBroken(error)) return
  replaceEngine()
  names.clear()
  free = [...allNames]
  held = 0
  newest = undefined
}

function nameOf(prepared: Prepared): string | undefined {
  const known = names.get(prepared)
  if (known !== undefined) {
    if (prepared !== newest) {
      // A Map keeps the order of insertion: the least used is always the first.
      names.delete(prepared)
      names.set(prepared, known)
      newest = prepared
    }
    return known
  }
  for (const [oldest, name] of names) {
    if (free.length > 0 && held + prepared.size <= mostText) break
    engine().preparsePolicySet(name, {})
    names.delete(oldest)
    free.push(name)
    held -= oldest.size
  }
  const name = free.pop() as string
  const answer = engine().preparsePolicySet(name, { staticPolicies: prepared.policies })
  if (answer.type === 'failure') {
    free.push(name)
    return undefined
  }
  names.set(prepared, name)
  held += prepared.size
  newest = prepared
  return name
}

/** The answer of the engine; undefined where it has none, which nobody may take for a yes (threat C44). */
export function ask(prepared: Prepared, request: EngineRequest): EngineAnswer | undefined {
  try {
    const name = nameOf(prepared)
    if (name === undefined) return undefined
    const { principal, action, resource, context, entities } = request
    const answer = engine().statefulIsAuthorized({
      principal,
      action,
      resource,
      context: context as cedar.Context,
      entities: entities as cedar.Entities,
      preparsedPolicySetId: name,
    })
    if (answer.type === 'failure') return undefined
    const { decision, diagnostics } = answer.response
    return {
      allowed: decision === 'allow',
      reasons: diagnostics.reason,
      errors: diagnostics.errors.map(({ policyId }) => policyId),
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error
    recover(error)
    return undefined
  }
}
