// PostgreSQL is held to the contract of the store, as two nodes on one database.
import { randomBytes } from 'node:crypto'
import { after } from 'node:test'
import { startPostgres } from '../contract/postgres.ts'
import { type Opened, storeContract } from '../contract/store-contract.ts'
import { openStore } from './open.ts'

const cluster = await startPostgres()
after(() => cluster.close())

const openAt = async (url: string): Promise<Opened> => {
  const another = () => openStore({ kind: 'postgres', url }, { randomBytes })
  const store = await another()
  return {
    store,
    another,
    async reopen() {
      await store.close()
      return openAt(url)
    },
    close: () => store.close(),
  }
}

storeContract('PostgreSQL', () => openAt(cluster.database()))
