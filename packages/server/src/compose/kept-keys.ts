// The published keys as this node last unsealed them, in its own folder: what a sealed node publishes (decision 0010).
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { isFault } from '@writ/sdk/protocol/fault'
import { readJsonObject } from '@writ/sdk/protocol/json'
import { type IssuerKey, isPublished } from '../domain/issuer-key.ts'
import type { TenantId } from '../domain/tenant.ts'
import type { KeyReader, Keys } from '../keys/keys.ts'
import { keptKeysFile } from './places.ts'

export interface KeptKeys extends Keys {
  /** Reads which keys the database says are published: needs no secret, so that a sealed node follows it too. */
  readPublished(scope: Parameters<Keys['reload']>[0]): Promise<void>
}

export interface KeepingOptions {
  readonly data: string
  readonly store: Pick<KeyReader, 'issuerKeys'>
  /** The clock, epoch seconds. */
  readonly now: () => number
}

type Published = ReturnType<Keys['published']>

/**
 * Keeps what is published whenever it changes, and answers it while nothing could be unsealed: of the keys that were
 * kept those which the database still has published. Never what merely stands in the database, where whoever can write
 * could plant a key that every verifier would believe; and never a key that was cut since this node was last open.
 */
export function keepingPublished(keys: Keys, { data, store, now }: KeepingOptions): KeptKeys {
  let kept: string | undefined
  const standing = new Map<TenantId, readonly IssuerKey[]>()
  const keep = (text: string): void => {
    if (text === kept) return
    const path = keptKeysFile(data)
    writeFileSync(`${path}.new`, text, { mode: 0o600 })
    renameSync(`${path}.new`, path)
    kept = text
  }
  const readPublished: KeptKeys['readPublished'] = async ({ tenant }) => {
    standing.set(tenant, await store.issuerKeys.list({ tenant }))
  }
  return {
    ...keys,
    readPublished,
    published(scope) {
      try {
        return keys.published(scope)
      } catch (error) {
        const rows = standing.get(scope.tenant)
        const last = isFault(error) && rows !== undefined ? readKept(data) : undefined
        if (last === undefined || rows === undefined) throw error
        return {
          keys: last.keys.filter(({ kid }) => rows.some(row => row.kid === kid && isPublished(row, now()))),
        }
      }
    },
    async reload(scope) {
      try {
        await keys.reload(scope)
      } catch (error) {
        await readPublished(scope)
        throw error
      }
      standing.delete(scope.tenant)
      keep(JSON.stringify(keys.published(scope)))
    },
  }
}

function readKept(data: string): Published | undefined {
  let bytes: Buffer
  try {
    bytes = readFileSync(keptKeysFile(data))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const read = readJsonObject(bytes)
  return 'value' in read && Array.isArray(read.value['keys'])
    ? { keys: read.value['keys'] as readonly Record<string, unknown>[] }
    : undefined
}
