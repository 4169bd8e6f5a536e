// The rotator `postgres-dynamic` at a real PostgreSQL, administered by a role that is no superuser.
import { after } from 'node:test'
import { leaseRotatorContract } from './lease-contract.ts'
import { postgresDynamic } from './postgres-dynamic.ts'
import { passwordsOf, startPostgresServer } from './testing/postgres-upstream.ts'

const server = await startPostgresServer(40)
after(() => server.close())

leaseRotatorContract('postgres-dynamic', {
  rotator: postgresDynamic,
  async open(through) {
    const upstream = await server.open(through)
    const { role: base, ...options } = upstream.options
    return { ...upstream, options: { ...options, base } }
  },
  secretsOf: passwordsOf,
  endsByItself: true,
  hostile: [
    { base: 'app"; drop role writ; --' },
    { base: "app'" },
    { base: 'app.*' },
    { base: 'app\u0000' },
    { base: 'app\n' },
    { base: 'App' },
    { base: '' },
    { base: 'a'.repeat(32) },
    { reassignTo: 'postgres' },
    { memberOf: ['readers"; drop role writ; --'] },
    { memberOf: ['readers\u0000'] },
    { address: 'postgres://user:password@host/db' },
    { password: 'x' },
  ],
})
