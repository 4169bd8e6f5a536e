// Budgets: how long a file and a function, how wide a folder, how many parameters and picked dependencies.
import { posix } from 'node:path'
import { childrenOf, isCode, isTest, lineOf, type Outcome, type Syntax, type Tree, walk } from './tree.ts'

const budgets = { file: 400, folder: 25, function: 60, parameters: 4, dependencies: 4 } as const

/** What is over budget today, at its size of today: a row may shrink or go, and a pin notices a new one. */
export const exceptions: Readonly<Record<string, number>> = {}

/** Folders of records that only ever grow: one file per decision, change, migration. */
const records = /^(changes|docs\/decisions|.*\/migrations)$/

const isFunction = (node: Syntax): boolean =>
  /Function|TSMethodSignature/.test(node.type) && Array.isArray(node['params'])

/** Lines of a function that no function inside it owns: a suite or a factory counts only what is its own. */
const ownLines = (node: Syntax, text: string): number => {
  const lines = lineOf(text, node.end) - lineOf(text, node.start) + 1
  const inner: Syntax[] = []
  const collect = (child: Syntax): void => {
    if (isFunction(child)) inner.push(child)
    else for (const next of childrenOf(child)) collect(next)
  }
  for (const child of childrenOf(node)) collect(child)
  return inner.reduce((sum, child) => sum - (lineOf(text, child.end) - lineOf(text, child.start)), lines)
}

/** How many members `Pick<Deps, 'a' | 'b'>` picks; 0 for anything else. */
const picked = (node: Syntax): number => {
  if (node.type !== 'TSTypeReference' || (node['typeName'] as Syntax)['name'] !== 'Pick') return 0
  const [from, members] =
    (node['typeArguments'] as { readonly params: readonly Syntax[] } | null)?.params ?? []
  if ((from?.['typeName'] as Syntax | undefined)?.['name'] !== 'Deps') return 0
  return (members?.['types'] as Syntax[] | undefined)?.length ?? 1
}

/** Subject → size, for everything over its budget in one file. */
const oversize = (tree: Tree, file: string): [subject: string, size: number, budget: number][] => {
  const text = tree.read(file)
  const over: [string, number, number][] = []
  const measure = (subject: string, size: number, budget: number): void => {
    if (size > budget) over.push([subject, size, budget])
  }
  measure(`${file} lines`, text.trimEnd().split('\n').length, budgets.file)
  walk(tree.syntax(file), node => {
    const at = `${file}:${lineOf(text, node.start)}`
    measure(`${at} dependencies`, picked(node), budgets.dependencies)
    if (!isFunction(node)) return
    measure(`${at} parameters`, (node['params'] as Syntax[]).length, budgets.parameters)
    measure(`${at} function lines`, ownLines(node, text), budgets.function)
  })
  return over
}

/** Folders with too many entries; a test belongs to the file beside it. */
const crowded = (files: readonly string[]): [subject: string, size: number, budget: number][] => {
  const entries = new Map<string, Set<string>>()
  for (const file of files.filter(name => !isTest(name))) {
    for (let path = file; path !== '.'; path = posix.dirname(path)) {
      const folder = posix.dirname(path)
      entries.set(folder, (entries.get(folder) ?? new Set()).add(path))
    }
  }
  return [...entries]
    .filter(([folder, { size }]) => size > budgets.folder && !records.test(folder))
    .map(([folder, { size }]) => [`${folder}/ entries`, size, budgets.folder])
}

/** Measures every file, function and folder; an exception that is no longer needed is a problem too. */
export const checkSizes = (tree: Tree, allowed: Readonly<Record<string, number>> = exceptions): Outcome => {
  const code = tree.files.filter(isCode)
  const over = [...code.flatMap(file => oversize(tree, file)), ...crowded(tree.files)]
  const stale = Object.entries(allowed).filter(
    ([subject, size]) => !over.some(([s, n]) => s === subject && n === size),
  )
  return {
    count: code.length,
    unit: 'files',
    problems: [
      ...over
        .filter(([subject, size]) => size > (allowed[subject] ?? 0))
        .map(([subject, size, budget]) => `${subject}: ${size}, budget ${budget}`),
      ...stale.map(([subject, size]) => `${subject}: is no longer ${size}; lower or remove its exception`),
    ],
  }
}
