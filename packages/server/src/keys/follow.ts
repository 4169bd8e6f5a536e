// Reads the keys again as soon as a signal names one; the loop `reload-keys` is the poll behind it.
import type { Ctx } from '../context.ts'
import type { Signal } from '../domain/change.ts'
import type { Keys } from './keys.ts'

type Tenant = Ctx['tenant']

/** What of the store's feed this needs. */
export interface KeySignals {
  subscribe(listener: (tenant: Tenant, signals: readonly Signal[]) => void): () => void
}

export interface Followers {
  readonly keys: Pick<Keys, 'reload'>
  /** The keys of the vault, under which those of the issuer are sealed. */
  readonly keyring: Pick<Keys, 'reload'>
}

/** Follows until the answered function is called. `failed` hears of a reading that failed; the poll tries again. */
export function followKeys(
  signals: KeySignals,
  { keys, keyring }: Followers,
  failed: (error: unknown) => void,
): () => void {
  return signals.subscribe((tenant, batch) => {
    const names = (prefix: string): boolean => batch.some(({ subject }) => subject.startsWith(prefix))
    // The vault's first: what seals the issuer's may be new.
    const opened = names('vault-key:') ? keyring.reload({ tenant }).catch(failed) : Promise.resolve()
    if (names('issuer-key:')) opened.then(() => keys.reload({ tenant })).catch(failed)
  })
}
