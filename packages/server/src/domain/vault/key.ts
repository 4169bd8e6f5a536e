// Keys of the vault, one level below the root: each wraps the data keys of a tenant's secrets (NIST SP 800-57 §5.3.5).
import type { VaultKeyId } from '@writ/sdk/protocol/identifier'

/**
 * `staged`: nodes learn it, nothing is wrapped with it. `active`: wraps. `retiring`: opens what is left under it while
 * that is rewrapped. `retired`: nothing is left under it, and its own wrapped form is gone.
 */
export type VaultKeyState = 'staged' | 'active' | 'retiring' | 'retired'

export interface VaultKey {
  readonly id: VaultKeyId
  readonly state: VaultKeyState
  /** The key, sealed by the root under this record's identity; empty once retired. */
  readonly sealed: string
  /** The id of the root key version that sealed it. */
  readonly root: string
  readonly createdAt: number
  /** When a staged key becomes active: until then every node has read it. */
  readonly activatesAt: number
  readonly stateAt: number
}

export type VaultKeyMove = 'activate' | 'supersede' | 'retire'

const moves: Readonly<Record<VaultKeyMove, { readonly from: VaultKeyState; readonly to: VaultKeyState }>> = {
  activate: { from: 'staged', to: 'active' },
  supersede: { from: 'active', to: 'retiring' },
  retire: { from: 'retiring', to: 'retired' },
}

/** The key after the move. Throws where its state does not have it. A retired key keeps nothing that could be opened. */
export function moveVaultKey(key: VaultKey, move: VaultKeyMove, at: number): VaultKey {
  const { from, to } = moves[move]
  if (key.state !== from) throw new Error(`a vault key that is ${key.state} cannot ${move}`)
  return { ...key, state: to, stateAt: at, sealed: to === 'retired' ? '' : key.sealed }
}

/** The one key that wraps; undefined where there is none or, by nobody's leave, two. */
export function activeVaultKey<K extends VaultKey>(keys: readonly K[]): K | undefined {
  const active = keys.filter(key => key.state === 'active')
  return active.length === 1 ? active[0] : undefined
}

/** The subject of signals and bases: what is wrapped under a key rests on it, so that nothing is added to a former one. */
export function vaultKeySubject(id: string): string {
  return `vault-key:${id}`
}

/** The same of a version of the root: what it seals rests on it, so that nothing comes that it alone could open once it goes. */
export function rootSubject(version: string): string {
  return `vault-root:${version}`
}
