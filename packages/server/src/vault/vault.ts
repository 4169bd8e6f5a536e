// The port of the vault: what other parts may do with secrets of a tenant. Synchronous: tenant keys are in memory.
import type { VaultKeyId } from '@writ/sdk/protocol/identifier'
import type { Secret } from '@writ/sdk/protocol/secret'
import type { Ctx } from '../context.ts'
import type { Basis } from '../domain/change.ts'
import type { VaultKey } from '../domain/vault/key.ts'
import type { SecretVersion } from '../domain/vault/secret.ts'

type Scope = Pick<Ctx, 'tenant'>

/** A value as it is stored: encrypted under a data key of its own, which a tenant key wraps. */
export interface Protected {
  readonly vaultKey: VaultKeyId
  readonly sealed: string
  /**
   * Rests on the tenant key being the active one: whoever commits the sealed text carries this, so that nothing is
   * added under a key that was superseded meanwhile.
   */
  readonly basis: Basis
}

/** Which version a value belongs to: bound into both ciphertexts, so that none can take another's place. */
export type VersionIdentity = Pick<SecretVersion, 'id' | 'secret'>

export interface Vault {
  /** Throws `temporarily_unavailable` while sealed, or where tenant keys were not read for too long. */
  protect(scope: Scope, value: Secret<string>, of: VersionIdentity): Protected
  /** Throws `server_error` (`secret_unopened`) where the stored text is not what was sealed for this version. */
  reveal(scope: Scope, version: SecretVersion): Secret<string>
  /** The same value under the active tenant key: only the data key is wrapped anew. Undefined where it is already. */
  rewrap(scope: Scope, version: SecretVersion): Protected | undefined
  /** Every tenant key, oldest first, without its sealed form. */
  states(scope: Scope): readonly Omit<VaultKey, 'sealed'>[]
  /** Why nothing can be opened now, for people; undefined while all is open. */
  sealedBecause(): string | undefined
}
