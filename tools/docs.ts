// Generated pages: each is rendered from the table it documents, and a check compares. Run it to write them.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { codes } from '@writ/sdk/protocol/fault'
import { configRows, environmentName } from '../packages/server/src/config.ts'
import { specifications } from '../test/rfc/requirements/index.ts'
import { layers } from './layers.ts'
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

const renderConfiguration = (): string => {
  const rows = Object.entries(configRows).map(([key, { schema, does, because }]) => {
    const standard = schema.safeParse(undefined).data
    const shown = standard === undefined || standard === '' ? 'none' : `\`${standard}\``
    return `| \`${key}\` | \`${environmentName(key)}\` | ${shown} | ${does} | ${because} |`
  })
  return [
    '<!-- Generated from packages/server/src/config.ts by `npm run docs`; edit the table, not this page. -->',
    '# Configuration',
    '',
    'Flags win over the environment, the environment over the file. A configuration that cannot be made safe stops the start.',
    '',
    '| key | environment | default | what it does | why somebody would change it |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n')
}

/** The map, with its table of layers written anew between the marks: those that have files by now. */
const renderMap = (tree: Tree): string => {
  const standing = Object.entries(layers).filter(([, { at }]) => tree.files.some(file => file.startsWith(at)))
  const names = new Set(standing.map(([name]) => name))
  const told = (may: string): string => {
    const [name = '', kind] = may.split(':')
    return names.has(name) ? `\`${name}\`${kind ? ` (${kind})` : ''}` : ''
  }
  const listed = (may: string): string => may.split(' ').map(told).filter(Boolean).join(', ')
  const rows = standing.map(
    ([name, { at, may }]) =>
      `| \`${name}\` | \`${at}\` | ${may === '*' ? 'everything' : listed(may) || 'nothing'} |`,
  )
  const table = ['| layer | where | may import, besides itself |', '| --- | --- | --- |', ...rows].join('\n')
  const page = tree.files.includes('ARCHITECTURE.md') ? tree.read('ARCHITECTURE.md') : ''
  return page.replace(/(<!-- layers: .*-->)[\s\S]*(<!-- \/layers -->)/, `$1\n${table}\n$2`)
}

/** Page → what its table says now. */
const rendered = async (tree: Tree): Promise<Readonly<Record<string, string>>> => ({
  'ARCHITECTURE.md': renderMap(tree),
  'docs/configuration.md': renderConfiguration(),
  'docs/problems.md': renderProblems(),
  'docs/specs.md': renderSpecs(tree, specifications),
})

/** Compares each generated page with what its table says now. */
export const checkDocs = async (tree: Tree): Promise<Outcome> => {
  const pages = Object.entries(await rendered(tree))
  const stale = pages.filter(([page, text]) => !tree.files.includes(page) || tree.read(page) !== text)
  return {
    count: pages.length,
    unit: 'generated pages',
    problems: stale.map(([page]) => `${page} is stale: npm run docs`),
  }
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '..')
  const pages = await rendered(openTree(root))
  for (const [page, text] of Object.entries(pages)) writeFileSync(join(root, page), text)
}
