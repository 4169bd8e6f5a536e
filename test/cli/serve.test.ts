// The process of writ serve: how it ends, what it refuses to start on, and what a restart finds.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, copyFileSync, readFileSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { freePort, newFolder, type Served, serve, until, writ } from './process.ts'

/** An authority in a folder of its own, ended with the test however that goes. */
async function started(
  t: TestContext,
  ...flags: readonly string[]
): Promise<{ readonly cwd: string; readonly served: Served }> {
  const cwd = newFolder(work => t.after(work))
  const served = await serve(['--port', '0', ...flags], { cwd })
  t.after(() => served.end('SIGKILL'))
  return { cwd, served }
}

/** A listener of the revocation stream: an answer that never ends by itself. */
async function openStream({ issuer }: Served): Promise<ReadableStreamDefaultReader<Uint8Array>> {
  const document = await (await fetch(`${issuer}/.well-known/writ-configuration`)).json()
  const { revocation_stream: url } = document as { revocation_stream: string }
  const answer = await fetch(url)
  assert.equal(answer.status, 200)
  const reader = answer.body?.getReader()
  assert.ok(reader)
  await reader.read()
  return reader
}

const body = 'grant_type=client_credentials'

/** A request of which only the beginning has arrived. */
async function beginRequest({ issuer }: Served): Promise<Socket & { said: () => string }> {
  const socket = connect(Number(new URL(issuer).port), '127.0.0.1')
  await once(socket, 'connect')
  let said = ''
  socket.on('data', chunk => {
    said += chunk
  })
  socket.on('error', () => {})
  const head = `POST /token HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: ${body.length}\r\n`
  socket.write(`${head}expect: 100-continue\r\n\r\n`)
  const request = Object.assign(socket, { said: () => said })
  // Only then is it certain that the server has it.
  await until(() => said.includes('100 Continue'))
  socket.write(body.slice(0, 5))
  return request
}

describe('stopping', { concurrency: 2 }, () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`at ${signal} it ends with 0 within 5 s, streams open and a request stuck halfway`, async t => {
      const { served } = await started(t)
      const stream = await openStream(served)
      const stuck = await beginRequest(served)
      const unused = connect(Number(new URL(served.issuer).port), '127.0.0.1')
      await once(unused, 'connect')
      const { code, ms } = await served.end(signal)
      assert.equal(code, 0)
      assert.ok(ms < 5000, `${ms} ms`)
      await assert.rejects(async () => {
        for (let end = false; !end; ) end = (await stream.read()).done
        throw new Error('ended')
      })
      stuck.destroy()
      unused.destroy()
    })
  }

  test('answers the request that it has begun, and no new one, before it ends', async t => {
    const { served } = await started(t)
    const underWay = await beginRequest(served)
    const ending = served.end()
    await until(() =>
      fetch(`${served.issuer}/healthz`).then(
        () => false,
        () => true,
      ),
    )
    underWay.write(body.slice(5))
    const { code, ms } = await ending
    assert.equal(code, 0)
    assert.match(underWay.said(), /HTTP\/1\.1 401 /)
    assert.ok(ms < 4000, `it waited ${ms} ms although the last answer was given`)
  })

  for (const [signal, code] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const) {
    test(`a second ${signal} ends it at once, and not with 0`, async t => {
      const { served } = await started(t)
      const stuck = await beginRequest(served)
      served.child.kill('SIGTERM')
      // Somebody who presses twice, not one wish that arrives twice.
      const pressed = performance.now()
      await until(() => performance.now() - pressed > 300)
      await until(() =>
        fetch(`${served.issuer}/healthz`).then(
          () => false,
          () => true,
        ),
      )
      const end = await served.end(signal)
      assert.equal(end.code, code)
      assert.ok(end.ms < 2000, `${end.ms} ms`)
      stuck.destroy()
    })
  }
})

describe('starting', { concurrency: 2 }, () => {
  test('refuses a folder that another server holds, which goes on serving', async t => {
    const { cwd, served } = await started(t)
    const second = await writ(['serve', '--port', '0'], { cwd })
    assert.deepEqual(second, {
      code: 1,
      stdout: '',
      stderr: 'writ: The data in .writ/writ.db is in use by another process; stop that one first\n',
    })
    assert.equal((await fetch(`${served.issuer}/readyz`)).status, 200)
    assert.equal((await writ(['agent', 'list'], { cwd })).code, 0)
  })

  test('says so where the port is taken, and leaves the folder as it was', async t => {
    const { cwd, served } = await started(t, '--tls-self-signed')
    const certificate = readFileSync(join(cwd, '.writ/tls-cert.pem'), 'utf8')
    const { port } = new URL(served.issuer)
    const second = await writ(['serve', '--port', port, '--tls-self-signed'], { cwd })
    assert.deepEqual(second, {
      code: 1,
      stdout: '',
      stderr: `writ: the port ${port} of 127.0.0.1 is taken; stop the other program, or choose another with --port\n`,
    })
    const elsewhere = await writ(['serve', '--port', '0', '--tls-self-signed'], { cwd })
    assert.equal(elsewhere.code, 1)
    assert.equal(readFileSync(join(cwd, '.writ/tls-cert.pem'), 'utf8'), certificate)
  })

  test('finds everything again, and does not speak of a first start', async t => {
    const cwd = newFolder(work => t.after(work))
    const port = String(await freePort())
    const first = await serve(['--port', port], { cwd })
    t.after(() => first.end('SIGKILL'))
    await until(() => /first start: the operator's key is in \.writ\/operator\.json/.test(first.stderr()))
    const made = await writ(['agent', 'create', '--name', 'a', '--purpose', 'p', '--json'], { cwd })
    const before = await writ(['agent', 'list', '--json'], { cwd })
    const keys = await (await fetch(`${first.issuer}/jwks`)).text()
    const operator = readFileSync(join(cwd, '.writ/operator.json'), 'utf8')
    assert.equal((await first.end()).code, 0)
    const second = await serve(['--port', port], { cwd })
    t.after(() => second.end('SIGKILL'))
    assert.equal(second.stderr(), '')
    assert.equal((await writ(['agent', 'list', '--json'], { cwd })).stdout, before.stdout)
    assert.match(before.stdout, new RegExp((JSON.parse(made.stdout) as { id: string }).id))
    assert.equal(await (await fetch(`${second.issuer}/jwks`)).text(), keys)
    assert.equal(readFileSync(join(cwd, '.writ/operator.json'), 'utf8'), operator)
  })

  test('refuses data of another issuer: tokens and log name the one it was made for', async t => {
    const { cwd, served } = await started(t, '--issuer', 'https://one.example')
    assert.equal(served.issuer, 'https://one.example')
    await served.end()
    const second = await writ(['serve', '--port', '0', '--issuer', 'https://two.example'], { cwd })
    assert.deepEqual(second, {
      code: 1,
      stdout: '',
      stderr:
        'writ: issuer: the data belongs to https://one.example; start with that issuer, or with another folder or database\n',
    })
  })
})

describe('the sealing key', { concurrency: 2 }, () => {
  const restart = async (t: TestContext, harm: (key: string, cwd: string) => void) => {
    const cwd = newFolder(work => t.after(work))
    const port = String(await freePort())
    const first = await serve(['--port', port], { cwd })
    assert.equal((await first.end()).code, 0)
    harm(join(cwd, '.writ/seal.key'), cwd)
    return { cwd, port, again: await writ(['serve', '--port', port], { cwd }) }
  }

  test('is not used where others may read it, and is where that is mended', async t => {
    const { cwd, port, again } = await restart(t, key => chmodSync(key, 0o640))
    assert.deepEqual(again, {
      code: 1,
      stdout: '',
      stderr:
        'writ: The sealing key .writ/seal.key is open to others (mode 0640): run chmod 600 .writ/seal.key\n',
    })
    chmodSync(join(cwd, '.writ/seal.key'), 0o600)
    const served = await serve(['--port', port], { cwd })
    assert.equal((await served.end()).code, 0)
  })

  test('is not taken for that of another authority', async t => {
    const other = newFolder(work => t.after(work))
    await (await serve(['--port', '0'], { cwd: other })).end()
    const { again } = await restart(t, key => {
      rmSync(key)
      copyFileSync(join(other, '.writ/seal.key'), key)
    })
    assert.equal(again.code, 1)
    assert.match(
      again.stderr,
      /^writ: The vault key vky_\w+ does not open with the key file .*\.writ\/seal\.key: it was sealed by another key/,
    )
  })
})
