// What the authority is believed to be, as plainly as it can be said: no store, no signals, no cache, only what is so.
import type { KeyPair } from '@writ/sdk/protocol/jwk'

export interface ModelKey {
  readonly pair: KeyPair
  /** Null until something has told it. */
  instance: string | null
  state: 'active' | 'retiring' | 'revoked'
  expiresAt: number
}

export interface ModelAgent {
  readonly id: string
  status: 'active' | 'suspended' | 'retired'
  expiresAt: number | null
  readonly keys: ModelKey[]
}

export interface ModelResource {
  readonly identifier: string
  /** Null while it is deleted. */
  id: string | null
  /** The names of its scopes. */
  names: ReadonlySet<string>
}

export interface ModelGrant {
  readonly id: string
  readonly agent: ModelAgent
  readonly resource: ModelResource
  scopes: readonly string[]
  readonly expiresAt: number | null
  isEnded: boolean
}

export interface ModelToken {
  readonly text: string
  readonly agent: ModelAgent
  readonly resource: ModelResource
  readonly key: ModelKey
  readonly grants: readonly ModelGrant[]
  readonly scopes: readonly string[]
  readonly expiresAt: number
  /** Once set it stays set: that is property 8. */
  isEnded: boolean
}

export interface Model {
  /** Epoch seconds; it only moves when somebody moves it. */
  now(): number
  readonly agents: ModelAgent[]
  readonly resources: ModelResource[]
  readonly grants: ModelGrant[]
  readonly tokens: ModelToken[]
  /** Assertions that were taken, by whom. */
  readonly spent: { readonly agent: ModelAgent; readonly key: ModelKey; readonly assertion: string }[]
}

/** Every scope that a resource of these histories may have; the bundle stands for two of the others. */
export const leafNames = ['read', 'write', 'erase'] as const
export const bundle = 'both'
export const sensitive = 'erase'
export const bundled = ['read', 'write'] as const

/** What a name stands for at the resource as it is now. */
export function leavesOf({ names }: ModelResource, name: string): readonly string[] {
  if (!names.has(name)) return []
  return name === bundle ? bundled : [name]
}

/** The names of a resource with these leaves: the bundle is there where both of its leaves are. */
export function namesOf(leaves: readonly string[]): ReadonlySet<string> {
  return new Set([...leaves, ...(bundled.every(leaf => leaves.includes(leaf)) ? [bundle] : [])])
}

export function isAgentLive({ status, expiresAt }: ModelAgent, now: number): boolean {
  return status === 'active' && (expiresAt === null || now < expiresAt)
}

export function isKeyLive({ state, expiresAt }: ModelKey, now: number): boolean {
  return state !== 'revoked' && now < expiresAt
}

export function isGrantLive({ isEnded, expiresAt }: ModelGrant, now: number): boolean {
  return !isEnded && (expiresAt === null || now < expiresAt)
}

/** Whether introspection has to say that the token is active. */
export function isTokenLive({ isEnded, agent, expiresAt }: ModelToken, now: number): boolean {
  return !isEnded && now < expiresAt && isAgentLive(agent, now)
}

export interface Wish {
  readonly agent: ModelAgent
  readonly key: ModelKey
  readonly resource: ModelResource
  /** Undefined where no scope is named. */
  readonly asked: readonly string[] | undefined
}

export type Due = { readonly error: string } | { readonly scopes: readonly string[] }

/** What the token endpoint owes: a refusal by its code, or a token with exactly these leaves. */
export function dueFor({ now, grants }: Model, { agent, key, resource, asked }: Wish): Due {
  if (!isAgentLive(agent, now()) || !isKeyLive(key, now())) return { error: 'invalid_client' }
  if (resource.id === null) return { error: 'invalid_target' }
  const given = new Set(
    grants
      .filter(grant => grant.agent === agent && grant.resource === resource && isGrantLive(grant, now()))
      .flatMap(grant => grant.scopes.flatMap(name => leavesOf(resource, name))),
  )
  if (asked === undefined) return { scopes: [...given].filter(leaf => leaf !== sensitive).sort() }
  const wanted = asked.map(name => leavesOf(resource, name))
  const isGranted = wanted.every(leaves => leaves.length > 0 && leaves.every(leaf => given.has(leaf)))
  return isGranted ? { scopes: [...new Set(wanted.flat())].sort() } : { error: 'invalid_scope' }
}

/** Ends the tokens for which it is so, for good. */
export function endTokens({ tokens }: Model, isEnded: (token: ModelToken) => boolean): void {
  for (const token of tokens) token.isEnded ||= isEnded(token)
}

/** Gives a resource other scopes: what it had before and has no more ends its tokens; a new name is nobody's yet. */
export function rescope(model: Model, resource: ModelResource, names: ReadonlySet<string>): void {
  const lost = [...resource.names].some(name => {
    const before = leavesOf(resource, name)
    return before.some(leaf => !leavesOf({ ...resource, names }, name).includes(leaf))
  })
  if (lost) endTokens(model, token => token.resource === resource)
  for (const grant of model.grants) {
    if (grant.resource !== resource || !isGrantLive(grant, model.now())) continue
    const scopes = grant.scopes.filter(name => resource.names.has(name) || !names.has(name))
    // What rests on a grant that was cut ends with what it was.
    if (scopes.length < grant.scopes.length) endTokens(model, token => token.grants.includes(grant))
    grant.scopes = scopes
    if (grant.scopes.length === 0) grant.isEnded = true
  }
  resource.names = names
}

/** Property 3 in small: a key stays with the instance that it was first seen with. */
export function mustBeInstance(key: ModelKey, instance: string): void {
  key.instance ??= instance
  if (key.instance !== instance) throw new Error(`a key of ${key.instance} speaks for ${instance}`)
}
