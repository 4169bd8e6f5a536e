// writ key rotate --operator, cut off anywhere: the operator is never locked out, and the file is never half written.
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { generateKeyPair, type PublicJwk, thumbprint } from '@writ/sdk/protocol/jwk'
import { newFolder, serve, writ } from './process.ts'

interface OperatorFile {
  readonly issuer: string
  readonly client_id: string
  readonly jwk: PublicJwk & { readonly d: string }
}

const publicHalf = ({ d: _, ...jwk }: OperatorFile['jwk']): PublicJwk => jwk

async function site(t: TestContext, ...flags: readonly string[]) {
  const cwd = newFolder(work => t.after(work))
  const served = await serve(['--port', '0', ...flags], { cwd })
  t.after(() => served.end('SIGKILL'))
  const path = join(cwd, '.writ/operator.json')
  const aside = join(cwd, '.writ/operator.next.json')
  const read = (): OperatorFile => JSON.parse(readFileSync(path, 'utf8'))
  const command = (...args: string[]) => writ(args, { cwd })
  const list = await command('instance', 'list', 'operator', '--json')
  const instance: string = JSON.parse(list.stdout).items[0].id
  return {
    cwd,
    aside,
    read,
    command,
    /** As a rotation leaves it that was cut off: the successor waits, the file still has the old key. */
    cutOff(old: OperatorFile, next: OperatorFile['jwk']) {
      const purpose = `rotation:${thumbprint(publicHalf(old.jwk))}`
      writeFileSync(path, JSON.stringify(old), { mode: 0o600 })
      writeFileSync(aside, JSON.stringify({ purpose, instance, jwk: next }), { mode: 0o600 })
    },
  }
}

const rotate = ['key', 'rotate', '--operator', '--json']

describe("the operator's key", { concurrency: 2 }, () => {
  test('goes on with the successor, where the authority took it and the file was not written any more', async t => {
    const { aside, read, command, cutOff } = await site(t, '--drain-seconds', '1')
    const before = read()
    assert.equal((await command(...rotate)).code, 0)
    const after = read()
    assert.notDeepEqual(after.jwk, before.jwk)
    cutOff(before, after.jwk)
    assert.equal((await command('agent', 'list')).code, 0)
    assert.equal(existsSync(aside), false)
    assert.deepEqual(read(), after)
  })

  test('finishes what was cut off before the authority heard of it, with the key that waits', async t => {
    const { aside, read, command, cutOff } = await site(t)
    const before = read()
    const next = generateKeyPair('ES256').secret.reveal() as OperatorFile['jwk']
    cutOff(before, next)
    assert.equal((await command('agent', 'list')).code, 0)
    assert.deepEqual(read().jwk, next)
    assert.equal(existsSync(aside), false)
    assert.equal((await command('agent', 'list')).code, 0)
  })

  test('is replaced by one of two who do it at once, and both can go on', async t => {
    const { read, command } = await site(t)
    const before = read()
    const both = await Promise.all([command(...rotate), command(...rotate)])
    assert.ok(
      both.some(({ code }) => code === 0),
      JSON.stringify(both),
    )
    assert.notDeepEqual(read().jwk, before.jwk)
    assert.equal((await command('agent', 'list')).code, 0)
    assert.equal((await command(...rotate)).code, 0)
  })

  test('is rotated whatever the environment says to agents', async t => {
    const { cwd, command } = await site(t)
    assert.equal((await command('agent', 'create', '--name', 'a', '--purpose', 'p', '--json')).code, 0)
    const { stdout } = await command('agent', 'enroll', 'a')
    const [, enrollment = ''] = /^WRIT_ENROLLMENT=(.*)$/m.exec(stdout) ?? []
    assert.match(enrollment, /#/)
    const said = await writ(rotate, { cwd, env: { WRIT_ENROLLMENT: enrollment } })
    assert.deepEqual([said.code, said.stderr], [0, ''])
  })
})
