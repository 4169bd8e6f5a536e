// Runtime dependencies and the page that gives a reason for each of them.
import type { Outcome, Tree } from './tree.ts'

const page = 'docs/dependencies.md'

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

/** Compares the manifests of the packages with the first column of the page, both ways. */
export const checkDependencies = (tree: Tree): Outcome => {
  const manifests = tree.files.filter(file => /^packages\/[^/]+\/package\.json$/.test(file))
  const declared = manifests.flatMap(file => {
    const { dependencies, optionalDependencies } = JSON.parse(tree.read(file)) as Manifest
    return Object.entries({ ...dependencies, ...optionalDependencies }).filter(
      ([name]) => !name.startsWith('@writ/'),
    )
  })
  const rows = tree.files.includes(page) ? tree.read(page).split('\n') : []
  const cells = rows.filter(row => row.startsWith('| `')).map(row => row.split('|')[1] ?? '')
  const explained = cells.flatMap(cell => [...cell.matchAll(/`([^`]+)`/g)].map(match => match[1] ?? ''))
  const names = new Set(declared.map(([name]) => name))
  return {
    count: names.size,
    unit: 'dependencies',
    problems: [
      ...[...names].filter(name => !explained.includes(name)).map(name => `${name} has no reason in ${page}`),
      ...explained
        .filter(name => !names.has(name))
        .map(name => `${page} explains ${name}, which nothing depends on`),
      ...declared
        .filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
        .map(([name, version]) => `${name} is not pinned to one version: ${version}`),
    ],
  }
}
