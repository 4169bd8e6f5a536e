// SQLite is held to the contract of the store, in a file and in memory.
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Opened, storeContract } from '../contract/store-contract.ts'
import { openStore } from './open.ts'

const inMemory = async (): Promise<Opened> => {
  const store = await openStore({ kind: 'sqlite', file: ':memory:' }, { randomBytes })
  return { store, close: () => store.close() }
}

const inFolder = async (folder: string): Promise<Opened> => {
  const store = await openStore({ kind: 'sqlite', file: join(folder, 'writ.db') }, { randomBytes })
  return {
    store,
    async reopen() {
      await store.close()
      return inFolder(folder)
    },
    async close() {
      await store.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

storeContract('SQLite in memory', inMemory, {
  without: { durability: 'memory ends with the process', nodes: 'memory has one process' },
})

storeContract('SQLite in a file', () => inFolder(mkdtempSync(join(tmpdir(), 'writ-store-'))), {
  without: { nodes: 'the file belongs to one process' },
})
