// writ events follow: the log as it grows, without the looking itself, until somebody interrupts it.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { newFolder, plainEnvironment, serve, until, writ, writBinary } from './process.ts'

describe('following the log', async () => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    test(`shows what others do, not that it looks, and ends well at ${signal}`, async t => {
      const cwd = newFolder(work => t.after(work))
      const served = await serve(['--port', '0'], { cwd })
      t.after(() => served.end('SIGKILL'))
      const follower = spawn(writBinary, ['events', 'follow', '--json', '--every', '0.1'], {
        cwd,
        env: plainEnvironment(),
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      t.after(() => follower.kill('SIGKILL'))
      let seen = ''
      follower.stdout.on('data', chunk => {
        seen += chunk
      })
      const types = (): string[] =>
        seen
          .split('\n')
          .slice(0, -1)
          .map(line => (JSON.parse(line) as { type: string }).type)
      // Its own token is the first thing that it sees.
      await until(() => types().includes('token.issued'))
      const made = await writ(['agent', 'create', '--name', 'seen', '--purpose', 'p', '--json'], { cwd })
      assert.equal(made.code, 0)
      await until(() => types().includes('agent.created'))
      follower.kill(signal)
      assert.deepEqual(await once(follower, 'exit'), [0, null])
      assert.equal(types().filter(type => type === 'agent.created').length, 1)
      assert.ok(!types().includes('management.read'), seen)
    })
  }
})
