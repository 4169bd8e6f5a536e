// npm run check: every guard of the house, side by side; one line each with its count; zero seen is a failure.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { specifications } from '../test/rfc/requirements/index.ts'
import { checkCatches } from './catches.ts'
import { linesOf, runScript } from './command.ts'
import { checkConfined } from './confined.ts'
import { checkDependencies } from './dependencies.ts'
import { checkDocs } from './docs.ts'
import { changedSince, checkFragments } from './fragments.ts'
import { checkLayers } from './layers.ts'
import { checkNames } from './names.ts'
import { checkOutside } from './outside.ts'
import { checkPackaging } from './packaging.ts'
import { checkPaths } from './paths.ts'
import { checkSizes } from './sizes.ts'
import { checkSpecs } from './specs.ts'
import { runFiles } from './test-run.ts'
import { isTest, type Outcome, openTree } from './tree.ts'

const root = join(import.meta.dirname, '..')
const tree = openTree(root)

const types = async (): Promise<Outcome> => {
  const { stdout } = await runScript(root, 'typescript/bin/tsc', [
    '--noEmit',
    '--listFiles',
    '--pretty',
    'false',
  ])
  const lines = linesOf(stdout)
  const seen = lines.filter(line => line.startsWith(`${root}/`) && !line.includes('/node_modules/'))
  return { count: seen.length, unit: 'files', problems: lines.filter(line => !line.startsWith('/')) }
}

/** `::error title=RULE,file=FILE,line=LINE,…::WHAT`, as one line that an editor can follow. */
const shorter = (line: string): string =>
  line.replace(
    /^::\w+ title=([^,]*),file=([^,]*),line=(\d+),[^:]*::/,
    (_, rule, file, at) => `${file.replace(`${root}/`, '')}:${at} ${rule}: `,
  )

const lint = async (): Promise<Outcome> => {
  const biome = '@biomejs/biome/bin/biome'
  const args = ['check', '--max-diagnostics=1000', '--colors=off']
  const { code, stdout, stderr } = await runScript(root, biome, args)
  const count = Number(/Checked (\d+) files/.exec(stdout + stderr)?.[1] ?? 0)
  if (code === 0) return { count, unit: 'files', problems: [] }
  const listed = await runScript(root, biome, [...args, '--reporter=github'])
  const problems = linesOf(listed.stdout)
    .filter(line => line.startsWith('::'))
    .map(shorter)
  return { count, unit: 'files', problems: problems.length ? problems : linesOf(stderr) }
}

const deadCode = async (): Promise<Outcome> => {
  const args = ['--reporter', './tools/dead-code-report.ts', '--no-config-hints', '--no-progress']
  const { stdout, stderr } = await runScript(root, 'knip/bin/knip.js', args)
  if (!stdout.startsWith('{')) return { count: 0, unit: 'files', problems: linesOf(stdout + stderr) }
  const { processed, problems } = JSON.parse(stdout) as { processed: number; problems: string[] }
  return { count: processed, unit: 'files', problems }
}

const pins = async (): Promise<Outcome> => {
  const files = tree.files.filter(file => file.startsWith('test/pins/') && isTest(file))
  let count = 0
  const problems: string[] = []
  await runFiles(files, 1, { root, limitSeconds: 180 }, (file, { passed, failed }) => {
    count += passed + failed.length
    problems.push(...failed.map(({ name, detail }) => `${file}: ${name}\n${detail}`))
  })
  return { count, unit: 'pins', problems }
}

const scripts = (): string[] =>
  Object.keys((JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object }).scripts)

/** Name → guard. Those that start programs come first, so that they run while the others are computed. */
const checks: Readonly<Record<string, () => Outcome | Promise<Outcome>>> = {
  types,
  lint,
  'dead code': deadCode,
  packaging: () => checkPackaging(root),
  pins,
  layers: () => checkLayers(tree),
  confined: () => checkConfined(tree),
  catches: () => checkCatches(tree),
  sizes: () => checkSizes(tree),
  names: () => checkNames(tree),
  outside: () => checkOutside(tree),
  specs: () => checkSpecs(tree, specifications),
  docs: () => checkDocs(tree),
  dependencies: () => checkDependencies(tree),
  paths: () => checkPaths(tree, scripts()),
  fragments: () => checkFragments(tree, changedSince(root, tree.files)),
}

const main = async (wanted: readonly string[]): Promise<void> => {
  const started = performance.now()
  const chosen = Object.entries(checks).filter(([name]) => wanted.length === 0 || wanted.includes(name))
  const verdicts = chosen.map(async ([name, guard]): Promise<boolean> => {
    const { count, unit, problems } = await (async () => guard())().catch(
      (error: unknown): Outcome => ({ count: 0, unit: 'things', problems: [String(error)] }),
    )
    const seen = count > 0 ? problems : [...problems, 'saw nothing, which proves nothing']
    console.log(`${seen.length ? '✗' : '✓'} ${name.padEnd(12)} ${count} ${unit}`)
    for (const problem of seen) console.log(`    ${problem}`)
    return seen.length === 0
  })
  const passed = (await Promise.all(verdicts)).filter(Boolean).length
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  process.exitCode = passed === chosen.length && passed > 0 ? 0 : 1
  console.log(`\n${passed} of ${chosen.length} checks passed in ${seconds} s`)
}

await main(process.argv.slice(2))
