// The guides for operators, from top to bottom: every command on a page, in its order, against one authority.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { newFolder, root, runProgram, serve } from './process.ts'

const commandsOf = (page: string): readonly string[] =>
  [...readFileSync(join(root, 'docs/guide', page), 'utf8').matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(
    ([, block = '']) => block.trim().split('\n'),
  )

for (const [page, least] of [
  ['operators.md', 20],
  ['clients.md', 4],
  ['secrets.md', 9],
  ['policies.md', 10],
  ['authorization-details.md', 5],
  ['stopping.md', 15],
  ['sessions-and-risk.md', 11],
] as const) {
  test(`every command of ${page} works, in the order of the page`, t => work(t, commandsOf(page), least))
}

async function work(t: TestContext, commands: readonly string[], least: number): Promise<void> {
  assert.ok(commands.length >= least)
  const cwd = newFolder(end => t.after(end))
  const served = await serve(['--port', '0'], { cwd })
  t.after(() => served.end('SIGKILL'))
  for (const command of commands) {
    const { code, stdout, stderr } = await runProgram('sh', ['-c', command], { cwd })
    assert.equal(code, 0, `${command}\n${stderr}`)
    assert.ok(!command.startsWith('writ ') || stdout !== '' || stderr !== '', command)
  }
}
