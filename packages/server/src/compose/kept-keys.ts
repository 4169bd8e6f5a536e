// The published keys as this node last unsealed them, in its own folder: what a sealed node publishes (decision 0010).
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { isFault } from '@writ/sdk/protocol/fault'
import { readJsonObject } from '@writ/sdk/protocol/json'
import type { Keys } from '../keys/keys.ts'
import { keptKeysFile } from './places.ts'

/**
 * Keeps what is published whenever it changes, and answers it while nothing could be unsealed. Never what merely stands
 * in the database: whoever can write there could plant a key, and every verifier would believe it.
 */
export function keepingPublished(keys: Keys, data: string): Keys {
  let kept: string | undefined
  const keep = (text: string): void => {
    if (text === kept) return
    const path = keptKeysFile(data)
    writeFileSync(`${path}.new`, text, { mode: 0o600 })
    renameSync(`${path}.new`, path)
    kept = text
  }
  return {
    ...keys,
    published(scope) {
      try {
        return keys.published(scope)
      } catch (error) {
        const last = isFault(error) ? readKept(data) : undefined
        if (last === undefined) throw error
        return last
      }
    },
    async reload(scope) {
      await keys.reload(scope)
      keep(JSON.stringify(keys.published(scope)))
    },
  }
}

function readKept(data: string): ReturnType<Keys['published']> | undefined {
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
