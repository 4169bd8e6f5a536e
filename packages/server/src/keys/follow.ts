// Reads the issuer keys again as soon as a signal names one; the loop `reload-keys` is the poll behind it.
import type { Ctx } from '../context.ts'
import type { Signal } from '../domain/change.ts'
import type { Keys } from './keys.ts'

type Tenant = Ctx['tenant']

/** What of the store's feed this needs. */
export interface KeySignals {
  subscribe(listener: (tenant: Tenant, signals: readonly Signal[]) => void): () => void
}

/** Follows until the answered function is called. `failed` hears of a reading that failed; the poll tries again. */
export function followKeys(
  signals: KeySignals,
  keys: Pick<Keys, 'reload'>,
  failed: (error: unknown) => void,
): () => void {
  return signals.subscribe((tenant, batch) => {
    if (!batch.some(({ subject }) => subject.startsWith('issuer-key:'))) return
    keys.reload({ tenant }).catch(failed)
  })
}
