// The keys of other OAuth clients: replaced as a set, or ended with their client.
import { Fault } from '@writ/sdk/protocol/fault'
import { parsePublicJwk, thumbprint } from '@writ/sdk/protocol/jwk'
import type { Ctx } from '../../context.ts'
import { type Key, revokeKey } from '../../domain/agent.ts'
import type { Put, Signal, Versioned } from '../../domain/change.ts'
import type { Client } from '../../domain/client.ts'
import { type KeyReads, newKeys } from '../keys/instance-keys.ts'

export interface KeyChange {
  readonly puts: readonly Put[]
  readonly signals: readonly Signal[]
  /** Those that are usable once the change is made. */
  readonly keys: readonly Key[]
}

function isUsable(key: Key): boolean {
  return key.state === 'active' || key.state === 'retiring'
}

export async function usableKeys(ctx: Ctx, deps: Pick<KeyReads, 'store'>, client: string): Promise<Key[]> {
  return (await deps.store.keys.ofOwner(ctx, client)).filter(isUsable)
}

/** Revokes the keys; what they proved is dead at once. */
function revoked(
  ctx: Ctx,
  keys: readonly Versioned<Key>[],
  reason: string,
): Pick<KeyChange, 'puts' | 'signals'> {
  const puts: Put[] = []
  const signals: Signal[] = []
  for (const { version, ...key } of keys) {
    const next = revokeKey(key, reason, ctx.now)
    if (next === undefined) continue
    puts.push({ put: 'key', value: next, ifVersion: version })
    signals.push({ subject: `key:${key.thumbprint}`, kind: 'narrowed' })
  }
  return { puts, signals }
}

/** Revokes every key of the client. */
export async function endKeys(
  ctx: Ctx,
  deps: Pick<KeyReads, 'store'>,
  client: string,
  reason: string,
): Promise<Pick<KeyChange, 'puts' | 'signals'>> {
  const keys = (await deps.store.keys.ofOwner(ctx, client)).map(({ use: _, ...key }) => key)
  return revoked(ctx, keys, reason)
}

/** The set of keys replaced by another one: those in both stay, new ones come, the others are revoked. */
export async function replaceKeys(
  ctx: Ctx,
  deps: KeyReads,
  client: Client,
  jwks: readonly unknown[],
): Promise<KeyChange> {
  const known = (await deps.store.keys.ofOwner(ctx, client.id)).map(({ use: _, ...key }) => key)
  const usable = known.filter(isUsable)
  // Each as strictly as at its registration: a key that stays may come with its private half this time.
  const given = new Set(jwks.map(jwk => thumbprint(parsePublicJwk(jwk))))
  if (given.size < jwks.length) {
    throw new Fault('invalid_value', 'The member jwks names a key twice.', { kind: 'key_twice' })
  }
  const kept = usable.filter(key => given.has(key.thumbprint))
  const fresh = jwks.filter(jwk => !kept.some(key => key.thumbprint === thumbprint(parsePublicJwk(jwk))))
  const made = await newKeys(ctx, deps, { owner: client.id, known, jwks: fresh, expiresAt: null })
  const gone = revoked(
    ctx,
    usable.filter(key => !kept.includes(key)),
    'replaced',
  )
  return { puts: [...made.puts, ...gone.puts], signals: gone.signals, keys: [...kept, ...made.keys] }
}
