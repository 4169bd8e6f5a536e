// What others can import: every exported name of every entry point of the published packages, one line each.
import { join, posix } from 'node:path'
import { published } from './build.ts'
import { openTree, type Syntax, type Tree } from './tree.ts'

interface Manifest {
  readonly name: string
  readonly exports: Readonly<Record<string, { readonly 'writ-source': string }>>
}

/** Entry point as somebody imports it → its source file. */
const entriesOf = (tree: Tree, folder: string): [specifier: string, file: string][] => {
  const manifest = JSON.parse(tree.read(`${folder}/package.json`)) as Manifest
  return Object.entries(manifest.exports).flatMap(
    ([subpath, { 'writ-source': source }]): [string, string][] => {
      const [before = '', after] = posix.join(folder, source).split('*')
      const specifier = posix.join(manifest.name, subpath)
      if (after === undefined) return [[specifier, before]]
      return tree.files
        .filter(file => file.startsWith(before) && file.endsWith(after) && !file.endsWith('.test.ts'))
        .map(file => [file, file.slice(before.length, -after.length)] as const)
        .filter(([, matched]) => !matched.includes('/'))
        .map(([file, matched]) => [specifier.replace('*', matched), file])
    },
  )
}

const nameOf = (node: unknown): string =>
  String((node as Syntax | null)?.['name'] ?? (node as Syntax | null)?.['value'])

const declared = (declaration: Syntax): string[] => {
  const { type } = declaration
  if (type === 'VariableDeclaration')
    return (declaration['declarations'] as Syntax[]).map(({ id }) => nameOf(id))
  return [`${type.startsWith('TS') ? 'type ' : ''}${nameOf(declaration['id'])}`]
}

/** The exported names of a module, `type ` before those that leave no trace at run time. */
const exportsOf = (tree: Tree, file: string): string[] =>
  ((tree.files.includes(file) ? tree.syntax(file)['body'] : []) as Syntax[]).flatMap((node): string[] => {
    const from = (node['source'] as Syntax | null | undefined)?.['value']
    if (node.type === 'ExportAllDeclaration')
      return exportsOf(tree, posix.join(posix.dirname(file), String(from)))
    if (node.type !== 'ExportNamedDeclaration') return []
    if (node['declaration']) return declared(node['declaration'] as Syntax)
    return (node['specifiers'] as Syntax[]).map(specifier => {
      const kinds = [node['exportKind'], specifier['exportKind']]
      return `${kinds.includes('type') ? 'type ' : ''}${nameOf(specifier['exported'])}`
    })
  })

/** Lines of `entry point: name`, sorted. */
export const surface = (tree: Tree): string[] =>
  published
    .flatMap(name => entriesOf(tree, `packages/${name}`))
    .flatMap(([specifier, file]) => exportsOf(tree, file).map(name => `${specifier}: ${name}`))
    .sort()

if (import.meta.main) console.log(surface(openTree(join(import.meta.dirname, '..'))).join('\n'))
