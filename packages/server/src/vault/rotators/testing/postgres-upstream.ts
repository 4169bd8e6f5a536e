// A PostgreSQL whose roles are rotated: an administrator with no more than the guide asks for, and a table to read.
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import type { Upstream } from '../contract-scene.ts'
import { scramVerifier } from '../scram.ts'

export interface PostgresUpstream extends Upstream {
  /** Runs a statement as the superuser. */
  ask(sql: string): Promise<readonly pg.QueryResultRow[]>
  /** The URL of the superuser, past the wire. */
  readonly root: string
  /** The role that may read the table. */
  readonly readers: string
}

/** One server for a whole test file; `open` gives each test a database and an administrator of its own. */
export interface PostgresServer {
  open(through: (port: number) => Promise<number>): Promise<PostgresUpstream>
  close(): Promise<void>
}

export const adminPassword = 'the-password-of-the-administrator'

interface Cluster {
  database(): string
  close(): Promise<void>
}

type Start = (options: {
  readonly databases: number
  readonly auth: 'scram-sha-256'
  readonly settings: Readonly<Record<string, string>>
  readonly onLog: (text: string) => void
}) => Promise<Cluster>

export async function startPostgresServer(start: Start, databases: number): Promise<PostgresServer> {
  let log = ''
  const cluster = await start({
    databases,
    auth: 'scram-sha-256',
    onLog(text) {
      log += text
    },
    settings: { max_connections: '100', log_statement: 'all' },
  })
  let count = 0
  return {
    async open(through) {
      count += 1
      const upstream = await openUpstream(cluster.database(), count, through)
      return { ...upstream, written: async () => log }
    },
    close: () => cluster.close(),
  }
}

async function openUpstream(
  root: string,
  count: number,
  through: (port: number) => Promise<number>,
): Promise<PostgresUpstream> {
  const client = new pg.Client({ connectionString: root })
  await client.connect()
  const ask = async (sql: string): Promise<readonly pg.QueryResultRow[]> => (await client.query(sql)).rows
  const [admin, readers, role] = [`rotator${count}`, `readers${count}`, `app${count}`]
  // As a verifier, so that the log has it nowhere: whatever shows it there is the rotator.
  await ask(`create role ${admin} login createrole password '${await scramVerifier(adminPassword)}'`)
  await ask(`grant pg_monitor, pg_signal_backend to ${admin}`)
  await ask(`create role ${readers}; grant ${readers} to ${admin} with admin option`)
  await ask(`create table things (id int primary key); grant select on things to ${readers}`)
  const { port, pathname } = new URL(root)
  const near = await through(Number(port))
  const past = (url: string): string => Object.assign(new URL(url), { port }).href
  return {
    options: { admin: 'postgres-root', role, memberOf: [readers] },
    secrets: { 'postgres-root': `postgres://${admin}:${adminPassword}@127.0.0.1:${near}${pathname}` },
    ...{ ask, root, readers },
    worksWith: value => canRead(past(value.reveal())),
    async refuse(isRefusing) {
      // Without it, it may neither make roles nor change those that it made (PostgreSQL's manual, §21.2).
      await ask(`alter role ${admin} ${isRefusing ? 'nocreaterole' : 'createrole'}`)
    },
    async enter(value) {
      const session = new pg.Client({ connectionString: past(value.reveal()) })
      let isOpen = true
      session.on('error', () => undefined)
      session.on('end', () => {
        isOpen = false
      })
      await session.connect()
      return async () => {
        // What the server has ended is heard of a moment later.
        await pause(50)
        return (
          isOpen &&
          (await session.query('select 1').then(
            () => true,
            () => false,
          ))
        )
      }
    },
    close: () => client.end(),
  }
}

async function canRead(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query('select count(*) from things')
    return true
  } catch (error) {
    const code = error instanceof pg.DatabaseError ? error.code : undefined
    if (code === '28P01' || code === '28000') return false
    throw error
  } finally {
    await client.end()
  }
}

/** What of a value is secret: its password. */
export function passwordsOf(url: string): readonly string[] {
  return [decodeURIComponent(new URL(url).password)]
}
