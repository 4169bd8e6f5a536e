// A keystore that ends with the process: for instances that enrol at each start, and for tests.
import type { Keystore } from './keystore.ts'
import { activateIn, emptyRecord, heldIn, importKey, type KeystoreRecord, stageIn } from './record.ts'

/** Keeps every guarantee of the port but durability: a new process is a new instance. */
export function memoryKeystore(): Keystore {
  let record: KeystoreRecord = emptyRecord
  let turn: Promise<unknown> = Promise.resolve()
  return {
    read: async () => heldIn(record),
    async stage(purpose) {
      const next = stageIn(record, purpose)
      record = next
      return importKey(next.staged.jwk)
    },
    async activate(thumbprint, acceptance) {
      record = activateIn(record, thumbprint, acceptance)
    },
    alone(work) {
      const mine = turn.then(work, work)
      turn = mine.catch(() => undefined)
      return mine
    },
  }
}
