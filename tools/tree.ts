// The repository as the guards see it: its files, their text and their syntax trees. Tests plant one in memory.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseSync } from 'oxc-parser'

/** What a guard found: how many things it looked at (zero means it saw nothing and fails) and what is wrong. */
export interface Outcome {
  readonly count: number
  readonly unit: string
  readonly problems: readonly string[]
}

/** A node of the syntax tree (ESTree with TypeScript), read loosely. */
export interface Syntax {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [member: string]: unknown
}

export interface Tree {
  /** Paths from the root, with `/`, sorted: what is tracked or would be, never what is ignored. */
  readonly files: readonly string[]
  read(file: string): string
  /** The parsed program; throws with the file's name when it does not parse. */
  syntax(file: string): Syntax
}

const treeOf = (files: readonly string[], read: (file: string) => string): Tree => {
  const parsed = new Map<string, Syntax>()
  const syntax = (file: string): Syntax => {
    const known = parsed.get(file)
    if (known) return known
    const { program, errors } = parseSync(file, read(file))
    if (errors[0]) throw new Error(`${file}: ${errors[0].message}`)
    const node = program as unknown as Syntax
    parsed.set(file, node)
    return node
  }
  return { files: [...files].sort(), read, syntax }
}

/** The working tree under `root` (a git checkout): tracked files and new ones that are not ignored. */
export const openTree = (root: string): Tree => {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  })
  const files = listed.split('\0').filter(file => file !== '' && existsSync(join(root, file)))
  return treeOf([...new Set(files)], file => readFileSync(join(root, file), 'utf8'))
}

/** A tree of planted files, so that a guard is tested against the violation it is there for. */
export const plant = (files: Readonly<Record<string, string>>): Tree =>
  treeOf(Object.keys(files), file => files[file] ?? '')

const isNode = (value: unknown): value is Syntax =>
  typeof value === 'object' && value !== null && typeof (value as Syntax).type === 'string'

/** The nodes directly below `node`, in source order. */
export const childrenOf = (node: Syntax): Syntax[] =>
  Object.values(node).flatMap(value =>
    Array.isArray(value) ? value.filter(isNode) : isNode(value) ? [value] : [],
  )

/** Visits `node` and everything below it, parents first. */
export const walk = (node: Syntax, visit: (node: Syntax) => void): void => {
  visit(node)
  for (const child of childrenOf(node)) walk(child, visit)
}

/** The line (from 1) of a position in `text`. */
export const lineOf = (text: string, position: number): number => text.slice(0, position).split('\n').length

export const isCode = (file: string): boolean => /\.(ts|tsx|js|mjs)$/.test(file)
export const isTest = (file: string): boolean => /\.test\.tsx?$/.test(file)
/** Tests and what only they use: never published. */
export const isForTests = (file: string): boolean => isTest(file) || /\/testing\//.test(file)
