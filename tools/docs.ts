// Generated pages: each is rendered from the table it documents, and a check compares. Run it to write them.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { codes } from '@writ/sdk/protocol/fault'
import { specifications } from '../test/rfc/requirements/index.ts'
import { renderSpecs } from './specs.ts'
import { type Outcome, openTree, type Tree } from './tree.ts'

const renderProblems = (): string =>
  [
    '<!-- Generated from packages/sdk/src/protocol/fault.ts by `npm run docs`; edit the table, not this page. -->',
    '# Problems',
    '',
    'Every error carries one of these codes. The code decides the HTTP status.',
    '',
    ...Object.entries(codes).flatMap(([code, { status, title, spec }]) => [
      `## ${code}`,
      '',
      `${title}. Status ${status}; ${spec === 'ours' ? 'a code of Writ' : spec}.`,
      '',
    ]),
  ].join('\n')

/** Page → how it is rendered. */
const pages: Readonly<Record<string, (tree: Tree) => string>> = {
  'docs/specs.md': tree => renderSpecs(tree, specifications),
  'docs/problems.md': renderProblems,
}

/** Compares each generated page with what its table says now. */
export const checkDocs = (tree: Tree): Outcome => {
  const stale = Object.entries(pages).filter(
    ([page, render]) => !tree.files.includes(page) || tree.read(page) !== render(tree),
  )
  return {
    count: Object.keys(pages).length,
    unit: 'generated pages',
    problems: stale.map(([page]) => `${page} is stale: npm run docs`),
  }
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '..')
  const tree = openTree(root)
  for (const [page, render] of Object.entries(pages)) writeFileSync(join(root, page), render(tree))
}
