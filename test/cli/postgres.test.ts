// The command line over PostgreSQL: migrations are said, and a database that is away keeps nobody from stopping.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Cluster, startPostgres } from '@writ/server/testing'
import { newFolder, serve, until, writ } from './process.ts'

let cluster: Cluster

before(async () => {
  cluster = await startPostgres()
})
after(() => cluster.close())

test('migrate says what it did, and nothing the second time', async t => {
  const cwd = newFolder(work => t.after(work))
  const env = { WRIT_DATABASE_URL: cluster.database() }
  const first = await writ(['migrate', '--json'], { cwd, env })
  assert.deepEqual(JSON.parse(first.stdout), {
    database: 'postgres',
    applied: ['foundation', 'rotation-and-vault', 'authorization'],
  })
  const second = await writ(['migrate', '--json'], { cwd, env })
  assert.deepEqual(JSON.parse(second.stdout), { database: 'postgres', applied: [] })
})

test('a server whose database is away says so, serves again when it is back, and stops in time without it', async t => {
  const cwd = newFolder(work => t.after(work))
  const env = { WRIT_DATABASE_URL: cluster.database() }
  const served = await serve(['--port', '0'], { cwd, env })
  t.after(() => served.end('SIGKILL'))
  const listing = (): Promise<{ code: number; stderr: string }> => writ(['agent', 'list'], { cwd })
  assert.equal((await listing()).code, 0)
  await cluster.stop('crash')
  const refused = await listing()
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /^writ: .*try again.*\n$/)
  await cluster.start()
  await until(async () => (await listing()).code === 0)
  await cluster.stop('crash')
  const { code, ms } = await served.end()
  assert.equal(code, 0, served.stderr())
  assert.ok(ms < 5000, `${ms} ms`)
  await cluster.start()
})
