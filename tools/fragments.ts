// Change fragments: whoever changes a package says so to its users, in changes/<slug>.md.
import { execFileSync } from 'node:child_process'
import type { Outcome, Tree } from './tree.ts'

export const kinds = ['security', 'added', 'changed', 'fixed'] as const
export type Kind = (typeof kinds)[number]

export interface Fragment {
  readonly file: string
  readonly kind: Kind
  readonly text: string
}

/** Reads one fragment: front matter with exactly `kind`, then one or two sentences; a string says what is wrong. */
export const parseFragment = (file: string, source: string): Fragment | string => {
  const [, kind, text] = /^---\nkind: (\w+)\n---\n\s*([\s\S]+?)\s*$/.exec(source) ?? []
  if (!kind || !text) return `${file} does not read as front matter with a kind, then text`
  if (!(kinds as readonly string[]).includes(kind)) return `${file} has the unknown kind ${kind}`
  if (text.length > 600) return `${file} is longer than two sentences`
  if (!/[.!)]$/.test(text)) return `${file} does not end like a sentence`
  return { file, kind: kind as Kind, text }
}

export const fragmentsIn = (tree: Tree): (Fragment | string)[] =>
  tree.files.filter(file => /^changes\/.+\.md$/.test(file)).map(file => parseFragment(file, tree.read(file)))

/** Files that differ from the newest release (its tag), or all of them before the first. */
export const changedSince = (root: string, files: readonly string[]): readonly string[] => {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: 'pipe' })
  const tag = git('tag', '--list', 'v*', '--merged', 'HEAD', '--sort=-version:refname').split('\n')[0]
  return tag ? git('diff', '--name-only', tag).split('\n') : files
}

/** Requires a fragment when the source of a package changed, and validates each one there is. */
export const checkFragments = (tree: Tree, changed: readonly string[]): Outcome => {
  const read = fragmentsIn(tree)
  const problems = read.filter(fragment => typeof fragment === 'string')
  const touched = changed.filter(file => /^packages\/[^/]+\/src\//.test(file))
  if (touched.length && !read.length) problems.push(`${touched[0]} changed; say so in changes/<slug>.md`)
  return { count: read.length + touched.length, unit: 'changes and fragments', problems }
}
