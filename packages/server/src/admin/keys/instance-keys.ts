// Keys that an administrator registers: each makes one instance, or belongs to another OAuth client.
import { Fault } from '@writ/sdk/protocol/fault'
import { type AgentId, type ClientId, newId } from '@writ/sdk/protocol/identifier'
import { parsePublicJwk, thumbprint } from '@writ/sdk/protocol/jwk'
import type { Ctx } from '../../context.ts'
import { type Instance, isNameFree, type Key } from '../../domain/agent.ts'
import type { Put } from '../../domain/change.ts'
import type { Store } from '../../store/store.ts'
import type { AdminSettings } from '../operation.ts'

export interface NewKeys {
  readonly owner: AgentId | ClientId
  /** The keys the owner has or had: names are not used twice. */
  readonly known: readonly Pick<Key, 'kid' | 'thumbprint'>[]
  readonly jwks: readonly unknown[]
  /** Epoch seconds, or null for no end; the configured life of a key unless told. */
  readonly expiresAt?: number | null
}

/** What registering keys reads and needs. */
export interface KeyReads {
  readonly store: Pick<Store, 'keys'>
  readonly settings: Pick<AdminSettings, 'agentKeySeconds'>
  readonly randomBytes: (length: number) => Uint8Array
}

export interface Registered {
  readonly puts: readonly Put[]
  readonly keys: readonly Key[]
  readonly thumbprints: readonly string[]
}

/**
 * Throws `invalid_key` for a weak, private, symmetric or foreign one, `conflict` for a key that somebody holds or held:
 * a key names one holder for ever, so taking one over, even a dead one, would make two histories one.
 */
export async function newKeys(ctx: Ctx, deps: KeyReads, wanted: NewKeys): Promise<Registered> {
  const keys: Key[] = []
  const puts: Put[] = []
  for (const given of wanted.jwks) {
    const jwk = parsePublicJwk(given)
    const jkt = thumbprint(jwk)
    const kid = jwk.kid ?? jkt
    const others = [...wanted.known, ...keys]
    await mustBeNew(ctx, deps, { jkt, kid }, others)
    const instance = instanceOf(ctx, deps, wanted.owner)
    if (instance !== null) puts.push({ put: 'instance', value: instance, ifVersion: 0 })
    const key: Key = {
      thumbprint: jkt,
      kid,
      owner: wanted.owner,
      instance: instance?.id ?? null,
      jwk,
      state: 'active',
      notBefore: ctx.now,
      expiresAt: wanted.expiresAt === undefined ? ctx.now + deps.settings.agentKeySeconds : wanted.expiresAt,
      createdAt: ctx.now,
      stateAt: ctx.now,
      stateReason: null,
    }
    keys.push(key)
    puts.push({ put: 'key', value: key, ifVersion: 0 })
  }
  return { puts, keys, thumbprints: keys.map(key => key.thumbprint) }
}

type Named = Pick<Key, 'kid' | 'thumbprint'>

async function mustBeNew(
  ctx: Ctx,
  deps: KeyReads,
  { jkt, kid }: { jkt: string; kid: string },
  others: readonly Named[],
): Promise<void> {
  const isHere = others.some(other => other.thumbprint === jkt)
  if (isHere || (await deps.store.keys.byThumbprint(ctx, jkt)) !== undefined) {
    throw new Fault('conflict', 'This key is registered already; make a new one.', { kind: 'key_taken' })
  }
  if (!isNameFree({ kid, thumbprint: jkt }, others)) {
    throw new Fault('conflict', 'A key of this name exists already; give it another kid.', {
      kind: 'kid_taken',
    })
  }
}

function instanceOf(ctx: Ctx, deps: KeyReads, owner: AgentId | ClientId): Instance | null {
  if (!owner.startsWith('agt_')) return null
  return { id: newId('ins', deps.randomBytes), agent: owner as AgentId, createdAt: ctx.now, enrollment: null }
}
