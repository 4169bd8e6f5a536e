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

interface Analysis {
  readonly analysis?: {
    readonly problems?: readonly { readonly kind: string; readonly entrypoint?: string }[]
  }
  readonly problems?: Readonly<Record<string, readonly unknown[]>>
}

/** What `attw` finds wrong with the types of a tarball, for consumers that import (never require). */
const typeProblems = async (root: string, tarball: string, entries: readonly string[]): Promise<string[]> => {
  const args = ['--format', 'json', '--profile', 'esm-only', '--entrypoints', ...entries, '--']
  const { stdout, stderr } = await runScript(root, '@arethetypeswrong/cli/dist/index.js', [...args, tarball])
  if (!stdout.trimStart().startsWith('{')) return [`attw did not answer: ${stderr.slice(0, 300)}`]
  const kinds = Object.entries((JSON.parse(stdout) as Analysis).problems ?? {})
  return kinds.map(([kind, where]) => `${kind}: ${JSON.stringify(where).slice(0, 300)}`)
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
    if (complaints.length) return { count: published.length, unit: 'packages', problems: complaints }
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
