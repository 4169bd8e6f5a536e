// The rotator `postgres-role` at a real PostgreSQL, administered by a role that is no superuser.
import { after } from 'node:test'
import { rotatorContract } from './contract.ts'
import { postgresRole } from './postgres-role.ts'
import { passwordsOf, startPostgresServer } from './testing/postgres-upstream.ts'

const server = await startPostgresServer(40)
after(() => server.close())

rotatorContract('postgres-role', {
  rotator: postgresRole,
  open: through => server.open(through),
  secretsOf: passwordsOf,
  hostile: [
    { role: 'app"; drop role writ; --' },
    { role: "app'" },
    { role: 'app\u0000' },
    { role: 'app\n' },
    { role: 'App' },
    { role: 'app a' },
    { role: '' },
    { role: 'a'.repeat(62) },
    { role: 'ａｐｐ' },
    { role: 'pg_monitor' },
    { admin: '../root' },
    { memberOf: ['readers"; drop role writ; --'] },
    { memberOf: ['readers\u0000'] },
    { memberOf: ['readers\n'] },
    { memberOf: [''] },
    { memberOf: ['r'.repeat(64)] },
    { address: 'postgres://user:password@host/db' },
    { address: 'postgres://host/db?sslmode=disable&options=-c%20role=writ' },
    { address: 'https://host/db' },
    { ca: '/etc/passwd' },
    { password: 'x' },
  ],
})
