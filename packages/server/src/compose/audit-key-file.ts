// The verifier key of the audit log beside the data, so that an export is checked against a key that was kept.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Writes `<data>/audit.vkey` where there is none; one that stands is what was trusted first, and stays. */
export function keepAuditKey(data: string, verifierKey: string): void {
  try {
    writeFileSync(join(data, 'audit.vkey'), `${verifierKey}\n`, { flag: 'wx', mode: 0o644 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

/** The key that was kept, for a node that cannot unseal its own; undefined where none was. */
export function keptAuditKey(data: string): string | undefined {
  try {
    return readFileSync(join(data, 'audit.vkey'), 'utf8').trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
