// Issuer keys that the root itself sealed, before there were tenant keys: sealed anew under the tenant key, at the start.
import type { Ctx } from '../context.ts'
import type { Put } from '../domain/change.ts'
import { identityOf } from '../keys/providers/local.ts'
import type { Store } from '../store/store.ts'
import type { Keyring } from '../vault/keyring.ts'
import type { RootSealer } from '../vault/sealers/sealer.ts'

export interface AdoptionDeps {
  readonly store: Pick<Store, 'issuerKeys' | 'commit'>
  readonly keyring: Pick<Keyring, 'sealerOf' | 'keyOf'>
  readonly root: Pick<RootSealer, 'open'>
}

const perCommit = 200

/**
 * Leaves every key sealed by the tenant key; one that the root does not open is left as it is, for the reading of the
 * keys to refuse. Repeatable: a node that is cut off here, or slower than another, finds the rest or nothing.
 */
export async function adoptIssuerKeys(ctx: Ctx, { store, keyring, root }: AdoptionDeps): Promise<void> {
  const own = keyring.sealerOf(ctx)
  const found = []
  for (const key of await store.issuerKeys.list(ctx)) {
    if (key.sealed === '' || keyring.keyOf(ctx, key.sealed) !== undefined) continue
    const identity = identityOf(ctx.tenant, key.purpose, key.kid)
    const opened = await root.open(key.sealed, identity)
    if (opened !== undefined) found.push({ key, identity, opened })
  }
  for (let at = 0; at < found.length; at += perCommit) {
    const batch = found.slice(at, at + perCommit)
    // In one go with the sealing: what is sealed rests on the key that seals at this instant.
    const basis = own.basis?.()
    const puts = batch.map(({ key: { version, ...key }, identity, opened }): Put => {
      const value = { ...key, sealed: own.seal(opened, identity) }
      return { put: 'issuerKey', value, ifVersion: version }
    })
    await store.commit(ctx, {
      puts,
      bases: basis === undefined ? [] : [basis],
      entries: [
        {
          type: 'vault_key.adopted',
          outcome: 'allowed',
          requestId: ctx.requestId,
          facts: { keys: batch.length },
        },
      ],
    })
  }
}
