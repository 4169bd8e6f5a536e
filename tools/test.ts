// npm test: every test file, or those whose path contains an argument; the last line counts, and decides the exit code.

import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { linkLibraries } from './postgres-libraries.ts'
import { type FileResult, runFiles } from './test-run.ts'
import { isTest, openTree } from './tree.ts'

const limitSeconds = 300

/** Says how one file went: a line when all is well, everything that is known when not. */
const describe = (file: string, { passed, failed, skipped, output }: FileResult, seconds: number): string => {
  const counts = [`${passed} passed`]
  if (failed.length) counts.push(`${failed.length} failed`)
  if (skipped.length) counts.push(`${skipped.length} skipped`)
  const head = `${failed.length ? '✗' : '✓'} ${file}  ${counts.join(', ')}  (${seconds.toFixed(1)} s)`
  const details = failed.map(({ name, detail }) => `\n  ✗ ${name}\n${detail.replace(/^/gm, '    ')}`)
  const said =
    failed.length && output.trim() ? `\n  it printed:\n${output.trimEnd().replace(/^/gm, '    ')}` : ''
  return head + details.join('') + said
}

const main = async (): Promise<void> => {
  const root = join(import.meta.dirname, '..')
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { 'test-name-pattern': { type: 'string', short: 't' } },
  })
  linkLibraries(root)
  const files = openTree(root)
    .files.filter(isTest)
    .filter(file => positionals.length === 0 || positionals.some(part => file.includes(part)))
  const totals = { passed: 0, failed: 0 }
  const started = performance.now()
  const skips: string[] = []
  const options = { root, limitSeconds, namePattern: values['test-name-pattern'] }
  await runFiles(files, availableParallelism(), options, (file, result, seconds) => {
    console.log(describe(file, result, seconds))
    totals.passed += result.passed
    totals.failed += result.failed.length
    skips.push(...result.skipped.map(({ name, reason }) => `- ${file}: ${name}: ${reason}`))
  })
  console.log(`\n${files.length} files in ${((performance.now() - started) / 1000).toFixed(0)} s`)
  if (skips.length) console.log(`\nskipped:\n${skips.join('\n')}`)
  const strict = process.env['WRIT_NO_SKIPS'] === '1' && skips.length > 0
  if (strict) console.log('\nWRIT_NO_SKIPS is set: a skipped test is a failure')
  if (totals.passed === 0) console.log('\nno test passed, which proves nothing')
  process.exitCode = totals.failed > 0 || totals.passed === 0 || strict ? 1 : 0
  console.log(`\n${totals.passed} passed, ${totals.failed} failed, ${skips.length} skipped`)
}

await main()
