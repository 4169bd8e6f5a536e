// Packages as a stranger installs them: every export leads to a file of the tarball, with types that resolve.
import { globSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { build, published } from './build.ts'
import { linesOf, run, runScript } from './command.ts'
import type { Outcome } from './tree.ts'

interface Manifest {
  readonly name: string
  readonly exports: Readonly<Record<string, { readonly types: string }>>
}

/** Every subpath somebody can import: a pattern stands for each declaration file it matches. */
const entryPoints = (at: string, manifest: Manifest): string[] =>
  Object.entries(manifest.exports).flatMap(([subpath, { types }]) => {
    const [before = '', after] = types.split('*')
    if (after === undefined) return [subpath]
    return globSync(types, { cwd: at }).map(file => {
      const matched = `./${file}`.slice(before.length, -after.length)
      return subpath.replace('*', matched)
    })
  })

/** What `attw` finds wrong with the types of a tarball, for consumers that import (never require): rows of its table. */
const typeProblems = async (root: string, tarball: string, entries: readonly string[]): Promise<string[]> => {
  const format = ['--format', 'table-flipped', '--no-color', '--no-emoji', '--profile', 'esm-only']
  const args = [...format, '--entrypoints', ...entries, '--', tarball]
  const { code, stdout, stderr } = await runScript(root, '@arethetypeswrong/cli/dist/index.js', args)
  if (code === 0) return []
  const rows = linesOf(stdout).filter(row => row.startsWith('│ "'))
  const failed = rows.filter(row =>
    row.split('│').some(cell => !/^$|^ *("|OK|\(ignored)/.test(cell.trimEnd())),
  )
  return failed.length ? failed.map(row => row.replace(/ +/g, ' ')) : linesOf(stdout + stderr)
}

const inspect = async (root: string, at: string): Promise<Outcome> => {
  const manifest = JSON.parse(readFileSync(join(at, 'package.json'), 'utf8')) as Manifest
  const entries = entryPoints(at, manifest)
  const packed = await run('npm', ['pack', '--silent', '--ignore-scripts'], at)
  const tarball = join(at, linesOf(packed.stdout).at(-1) ?? '')
  const bytes = new Uint8Array(readFileSync(tarball)).buffer
  const { messages } = await publint({ pack: { tarball: bytes }, level: 'warning' })
  const lint = messages.map(message => formatMessage(message, manifest as never) ?? message.code)
  const types = await typeProblems(root, tarball, entries)
  return {
    count: entries.length,
    unit: 'entry points',
    problems: [...lint, ...types].map(problem => `${manifest.name}: ${problem}`),
  }
}

/** Builds, packs and inspects every published package; nothing is left behind. */
export const checkPackaging = async (root: string): Promise<Outcome> => {
  const to = join(root, `.build/check-${process.pid}`)
  try {
    const complaints = await build(root, to)
    if (complaints.length)
      return { count: published.length, unit: 'packages', problems: complaints.slice(0, 5) }
    const outcomes = await Promise.all(published.map(name => inspect(root, join(to, name))))
    return {
      count: outcomes.reduce((sum, { count }) => sum + count, 0),
      unit: 'entry points',
      problems: outcomes.flatMap(({ problems }) => problems),
    }
  } finally {
    rmSync(to, { recursive: true, force: true })
  }
}
