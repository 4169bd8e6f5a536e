// What both rotators of PostgreSQL do about a role: keep others off it, see its sessions, end them.
import { createHash } from 'node:crypto'
import { Fault } from '@writ/sdk/protocol/fault'
import pg from 'pg'
import type { Postgres } from './postgres-session.ts'

const { escapeLiteral } = pg

/** Begins a transaction in which no other node changes this role: two at once would fail on each other's rows. */
export function locking(username: string): string[] {
  const key = createHash('sha256').update(`writ role ${username}`).digest().readBigInt64BE()
  return ['begin', `select pg_catalog.pg_advisory_xact_lock(${key})`]
}

/** Sessions of the version; only the login name counts, which SET ROLE does not change. */
export const sessionsOf = (username: string, mark: string | null): string => `
  select a.pid, a.application_name, pg_catalog.host(a.client_addr) as host, a.client_port as port,
    extract(epoch from pg_catalog.clock_timestamp() - a.backend_start)::pg_catalog.int8::pg_catalog.text as age,
    extract(epoch from pg_catalog.clock_timestamp() - a.state_change)::pg_catalog.int8::pg_catalog.text as idle,
    a.state
  from pg_catalog.pg_stat_activity a join pg_catalog.pg_roles r on r.oid = a.usesysid
  where r.rolname = ${escapeLiteral(username)} and a.leader_pid is null
    ${mark === null ? '' : `and pg_catalog.shobj_description(r.oid, 'pg_authid') = ${escapeLiteral(mark)}`}
  order by a.backend_start, a.pid`

const rounds = 5

/** Ends them until there is none: one may have been let in just before the role was locked. */
export async function endSessions(postgres: Postgres, username: string, mark: string | null): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    const ending = await postgres.run(
      ...locking(username),
      `with ended as materialized (
        select pg_catalog.pg_terminate_backend(s.pid, 1000) from (${sessionsOf(username, mark)}) s
        join pg_catalog.pg_roles r on r.rolname = ${escapeLiteral(username)} and not r.rolcanlogin
      ) select * from ended`,
    )
    await postgres.run('commit')
    if (ending.length === 0) return
  }
  throw new Fault('temporarily_unavailable', `Sessions of the role ${username} do not end.`, {
    ...{ kind: 'sessions_stay', username },
  })
}
