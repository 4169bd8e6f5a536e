// Terminal transcripts: every *.txt beside this file, typed into a shell against an authority of its own.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { freePort, newFolder, runProgram, type Served, serve } from './process.ts'
import { type Bound, fill, mismatch, parseTranscript, type Step } from './transcript.ts'

const files = readdirSync(import.meta.dirname).filter(name => name.endsWith('.txt'))

async function type(step: Step, cwd: string, bound: Bound): Promise<void> {
  const command = fill(step.command, bound)
  const said = await runProgram('sh', ['-c', command], { cwd })
  const problem =
    mismatch(step.stdout, said.stdout, bound) ??
    mismatch(step.stderr, said.stderr, bound) ??
    (said.code === step.code ? undefined : `exit code ${said.code} instead of ${step.code}`)
  if (problem === undefined) return
  assert.fail(
    `line ${step.line}: $ ${command}\n${problem}\n\nstdout:\n${said.stdout}\nstderr:\n${said.stderr}`,
  )
}

describe('transcripts', { concurrency: 2 }, () => {
  for (const file of files) {
    test(file.replace('.txt', '').replaceAll('-', ' '), async t => {
      const cwd = newFolder(work => t.after(work))
      const port = await freePort()
      const bound: Bound = new Map()
      let served: Served | undefined
      t.after(() => served?.end('SIGKILL'))
      for (const step of parseTranscript(readFileSync(join(import.meta.dirname, file), 'utf8'))) {
        if ('command' in step) {
          await type(step, cwd, bound)
          continue
        }
        const [what, ...flags] = step.words
        if (what === 'serve') served = await serve(['--port', String(port), ...flags], { cwd })
        else if (what === 'stop') assert.equal((await served?.end())?.code, 0)
        else throw new Error(`line ${step.line}: there is no direction ${what}`)
      }
    })
  }
})

test('there are transcripts', () => {
  assert.ok(files.length >= 10)
})
