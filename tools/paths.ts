// Documented paths: a page that names a file, a folder, a link or an npm script which is not there is wrong.
import { posix } from 'node:path'
import type { Outcome, Tree } from './tree.ts'

const map = 'ARCHITECTURE.md'
const mapLines = 300

/** Where a path in a page may start: the root, the page's own folder, or the sources of a package. */
const bases = ['', 'packages/server/src/', 'packages/sdk/src/', 'packages/server/', 'packages/sdk/']
const tops = /^(packages|docs|test|tools|examples|bench|changes|\.ci)\//
const extensions = /\.(ts|tsx|js|mjs|json|md|sql|ya?ml|txt)$/

/** Is this piece of inline code meant as a path of the repository? */
const isPath = (code: string): boolean =>
  /^[\w.@<>*-]+(\/[\w.@<>*{},-]+)*\/?$/.test(code) &&
  !/^(node_modules|\.writ|https?:|@)/.test(code) &&
  (tops.test(code) ||
    (extensions.test(code) && code.includes('/')) ||
    (/^[\w-]+\//.test(code) && code.endsWith('/')))

/** Every path that exists: files, and folders with and without their final slash. */
const existing = (files: readonly string[]): ReadonlySet<string> => {
  const paths = new Set(files)
  for (const file of files) {
    for (let folder = posix.dirname(file); folder !== '.'; folder = posix.dirname(folder)) {
      paths.add(folder).add(`${folder}/`)
    }
  }
  return paths
}

/** `<name>` and `*` stand for any one name: then the folder around it has to exist. */
const exists = (paths: ReadonlySet<string>, path: string): boolean => {
  const solid = path.replace(/[^/]*[<*{].*$/, '')
  return solid === '' ? path !== '' : paths.has(solid)
}

interface Mention {
  readonly page: string
  readonly line: number
  readonly path: string
}

const mentionsIn = (page: string, text: string, wanted: (line: string) => string[]): Mention[] => {
  let fenced = false
  return text.split('\n').flatMap((line, index) => {
    if (/^\s*(```|~~~)/.test(line)) fenced = !fenced
    return fenced ? [] : wanted(line).map(path => ({ page, line: index + 1, path }))
  })
}

const inlineCode = (line: string): string[] => [...line.matchAll(/`([^`]+)`/g)].map(match => match[1] ?? '')
const links = (line: string): string[] =>
  [...line.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(match => match[1] ?? '')
    .filter(to => !/^(https?:|mailto:|#)/.test(to))

/** Holds every page of the repository (not the records in `changes/`) to what exists; `scripts` are npm's. */
export const checkPaths = (tree: Tree, scripts: readonly string[]): Outcome => {
  const pages = tree.files.filter(file => /^(docs\/.*|[A-Z]+)\.md$/.test(file) && file !== 'CHANGELOG.md')
  const paths = existing(tree.files)
  const found = pages.flatMap(page => {
    const text = tree.read(page)
    const folder = `${posix.dirname(page)}/`
    const code = mentionsIn(page, text, line => inlineCode(line).filter(isPath)).map(mention => ({
      ...mention,
      known: [...bases, folder].some(base => exists(paths, posix.normalize(base + mention.path))),
    }))
    const linked = mentionsIn(page, text, links).map(mention => ({
      ...mention,
      known: exists(paths, posix.normalize(folder + mention.path.replace(/#.*$/, ''))),
    }))
    const commands = [...text.matchAll(/npm run ([\w:-]+)/g)].map(match => ({
      page,
      line: text.slice(0, match.index).split('\n').length,
      path: match[0],
      known: scripts.includes(match[1] ?? ''),
    }))
    return [...code, ...linked, ...commands]
  })
  const numbers = tree.files.flatMap(file => /^docs\/decisions\/(\d{4})-/.exec(file)?.[1] ?? [])
  const taken = numbers.filter((number, index) => numbers.indexOf(number) !== index)
  const long = tree.files.includes(map) && tree.read(map).split('\n').length > mapLines
  const problems = [
    ...(long ? [`${map} is a map only as long as it has no more than ${mapLines} lines`] : []),
    ...taken.map(number => `docs/decisions/ has two records ${number}`),
    ...found
      .filter(({ known }) => !known)
      .map(({ page, line, path }) => `${page}:${line} names ${path}, which does not exist`),
  ]
  return { count: found.length, unit: 'mentions', problems }
}
