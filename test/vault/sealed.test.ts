// A server without its root: it answers public facts, refuses the rest with a reason, and opens by itself.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { newFolder, plainEnvironment, serve, writBinary } from '../cli/process.ts'
import { until } from '../harness/deadline.ts'

/** Starts one on data whose key is away, and waits until it says so. */
async function startSealed(issuer: string, cwd: string) {
  const args = ['serve', '--log-level', 'silent', '--port', new URL(issuer).port]
  const child = spawn(writBinary, args, { cwd, env: plainEnvironment(), stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => (said += chunk))
  const ended = once(child, 'exit')
  await until('it says that it is sealed', 60, async () => {
    if (child.exitCode !== null) throw new Error(`it ended: ${said}`)
    return /^writ: sealed/m.test(said)
  })
  return {
    said: () => said,
    async end(): Promise<number> {
      child.kill('SIGTERM')
      const [code] = await ended
      return code
    },
  }
}

test('without its key file a server starts sealed, says why, and opens as soon as the file is back', async t => {
  const cwd = newFolder(work => t.after(work))
  const first = await serve(['--port', '0'], { cwd })
  const { issuer } = first
  const { keys } = await (await fetch(`${issuer}/jwks`)).json()
  assert.equal((await first.end()).code, 0)

  const file = join(cwd, '.writ/seal.key')
  renameSync(file, `${file}.away`)
  const again = await startSealed(issuer, cwd)
  assert.match(again.said(), /^writ: sealed, and trying again: .*seal\.key.* is missing/m)
  assert.deepEqual((await (await fetch(`${issuer}/jwks`)).json()).keys, keys)
  for (const path of [
    '/.well-known/oauth-authorization-server',
    '/.well-known/openid-configuration',
    '/.well-known/writ-configuration',
    '/healthz',
    '/errors',
    '/limits',
  ]) {
    assert.equal((await fetch(`${issuer}${path}`)).status, 200, path)
  }
  const ready = await fetch(`${issuer}/readyz`)
  assert.equal(ready.status, 503)
  assert.match((await ready.json()).sealed, /seal\.key/)
  for (const [path, method] of [
    ['/token', 'POST'],
    ['/introspect', 'POST'],
    ['/api/v1/agents', 'GET'],
    ['/rekey', 'POST'],
    ['/revocations', 'GET'],
    ['/audit/checkpoint', 'GET'],
  ] as const) {
    const answer = await fetch(`${issuer}${path}`, { method })
    assert.equal(answer.status, 503, path)
    assert.match(await answer.text(), /This authority is sealed\. .*seal\.key/)
  }

  // Another in its place would open nothing, and everything new would be lost with it.
  assert.ok(!existsSync(file))
  renameSync(`${file}.away`, file)
  await until('it has opened', 30, async () => (await fetch(`${issuer}/readyz`)).status === 200)
  await until('it says so', 10, async () => /^writ: ready/m.test(again.said()))
  assert.equal(await again.end(), 0)
})

test('a sealed server publishes no key that merely stands in the database, and stops when it is asked to', async t => {
  const cwd = newFolder(work => t.after(work))
  const first = await serve(['--port', '0'], { cwd })
  await first.end()
  renameSync(join(cwd, '.writ/seal.key'), join(cwd, 'away.key'))
  renameSync(join(cwd, '.writ/published-keys.json'), join(cwd, 'away.json'))
  const sealed = await startSealed(first.issuer, cwd)
  assert.equal((await fetch(`${first.issuer}/jwks`)).status, 503)
  assert.equal(await sealed.end(), 0)
})

test('a sealed server does not go on publishing a key that was cut since it was last open', async t => {
  const cwd = newFolder(work => t.after(work))
  const first = await serve(['--port', '0'], { cwd })
  await first.end()
  // As another node would have done meanwhile, because somebody else may sign with the key.
  const db = new DatabaseSync(join(cwd, '.writ/writ.db'))
  db.exec(`update issuer_keys set body = json_set(body, '$.state', 'retired', '$.retiresAt', null)
    where json_extract(body, '$.purpose') = 'token'`)
  db.close()
  renameSync(join(cwd, '.writ/seal.key'), join(cwd, 'away.key'))
  const sealed = await startSealed(first.issuer, cwd)
  const answer = await fetch(`${first.issuer}/jwks`)
  assert.equal(answer.status, 200)
  assert.deepEqual((await answer.json()).keys, [])
  assert.equal(await sealed.end(), 0)
})
