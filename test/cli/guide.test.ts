// The guide for operators, from top to bottom: every command on it, in its order, against one authority.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { newFolder, root, runProgram, serve } from './process.ts'

const guide = readFileSync(join(root, 'docs/guide/operators.md'), 'utf8')
const commands = [...guide.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block = '']) =>
  block.trim().split('\n'),
)

test('every command of the guide for operators works, in the order of the page', async t => {
  assert.ok(commands.length > 20)
  const cwd = newFolder(work => t.after(work))
  const served = await serve(['--port', '0'], { cwd })
  t.after(() => served.end('SIGKILL'))
  for (const command of commands) {
    const { code, stdout, stderr } = await runProgram('sh', ['-c', command], { cwd })
    assert.equal(code, 0, `${command}\n${stderr}`)
    assert.ok(!command.startsWith('writ ') || stdout !== '' || stderr !== '', command)
  }
})
