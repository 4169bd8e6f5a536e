// A change or the end of a client's registration: the same rules, whether an administrator or the client itself asks.
import type { Ctx } from '../../context.ts'
import type { Removal, Versioned } from '../../domain/change.ts'
import { type Client, hasSecrets, type TokenEndpointAuthMethod } from '../../domain/client.ts'
import { endSecrets } from '../../domain/client-secret-succession.ts'
import type { Store } from '../../store/store.ts'
import type { KeyReads } from '../keys/instance-keys.ts'
import { endKeys, type KeyChange, replaceKeys, usableKeys } from './keys.ts'
import { type ClientMetadata, mustFit } from './metadata.ts'

/** The registration as it is wanted, whole. */
export interface Wanted {
  readonly name: string
  readonly method: TokenEndpointAuthMethod
  readonly metadata: Readonly<Record<string, unknown>>
  /** Undefined keeps the keys, where the method has any. */
  readonly jwks: readonly unknown[] | undefined
}

export interface Changed extends KeyChange {
  /** To be put by the caller, who may have more to change about it. */
  readonly client: Client
}

export interface ClientReads extends KeyReads {
  readonly store: Pick<Store, 'keys' | 'clientSecrets'>
}

/** Throws `invalid_value`, `invalid_key` or `conflict` for what no registration may have (threat C37). */
export async function changeOf(
  ctx: Ctx,
  deps: ClientReads,
  client: Client,
  wanted: Wanted,
): Promise<Changed> {
  const { name, method, metadata } = wanted
  const jwks = wanted.jwks ?? (method === 'private_key_jwt' ? undefined : [])
  const change: KeyChange =
    jwks === undefined
      ? { puts: [], signals: [], keys: await usableKeys(ctx, deps, client.id) }
      : await replaceKeys(ctx, deps, client, jwks)
  mustFit(method, change.keys.length > 0, metadata as ClientMetadata)
  // What no longer proves the client must not come back to life when its method changes again.
  const ended = hasSecrets(method)
    ? { puts: [], signals: [] }
    : endSecrets(await deps.store.clientSecrets.ofClient(ctx, client.id), 'revoked', ctx.now)
  return {
    client: { ...client, name, tokenEndpointAuthMethod: method, metadata, updatedAt: ctx.now },
    puts: [...change.puts, ...ended.puts],
    signals: [...change.signals, ...ended.signals, { subject: client.id, kind: 'changed' }],
    keys: change.keys,
  }
}

/** The client gone, with everything that proved it. Its id is never used again. */
export async function endOf(
  ctx: Ctx,
  deps: Pick<ClientReads, 'store'>,
  client: Versioned<Client>,
): Promise<Pick<KeyChange, 'puts' | 'signals'> & { readonly removals: readonly Removal[] }> {
  const keys = await endKeys(ctx, deps, client.id, 'client deleted')
  const secrets = endSecrets(await deps.store.clientSecrets.ofClient(ctx, client.id), 'revoked', ctx.now)
  return {
    puts: [...keys.puts, ...secrets.puts],
    removals: [{ remove: 'client', id: client.id, ifVersion: client.version }],
    signals: [...keys.signals, ...secrets.signals, { subject: client.id, kind: 'narrowed' }],
  }
}
