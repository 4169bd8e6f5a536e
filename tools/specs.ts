// Requirements of specifications and the tests that cite them: nothing demanded stays unproven, nothing is cited in vain.
import type { Specification } from '../test/rfc/requirements/specification.ts'
import { lineOf, type Outcome, type Syntax, type Tree, walk } from './tree.ts'

interface Citation {
  /** Undefined when the argument is not a literal, so that nobody can see what is cited. */
  readonly id: string | undefined
  readonly file: string
  readonly line: number
}

const citing = /^(packages|test)\/.*(\.test|\/contract|\/contract\/[\w-]+)\.ts$/

/** Every argument of every `verifies(…)` in tests and contracts. */
const citationsIn = (tree: Tree): Citation[] =>
  tree.files
    .filter(file => citing.test(file))
    .flatMap(file => {
      const text = tree.read(file)
      const found: Citation[] = []
      if (!text.includes('verifies(')) return found
      walk(tree.syntax(file), node => {
        const callee = node['callee'] as Syntax | undefined
        if (node.type !== 'CallExpression' || callee?.['name'] !== 'verifies') return
        for (const argument of node['arguments'] as Syntax[]) {
          const id = typeof argument['value'] === 'string' ? argument['value'] : undefined
          found.push({ id, file, line: lineOf(text, argument.start) })
        }
      })
      return found
    })

/** Compares rows with citations: unknown, invisible, uncited, malformed and repeated ids. */
export const checkSpecs = (tree: Tree, specifications: readonly Specification[]): Outcome => {
  const rows = specifications.flatMap(({ name, requirements }) => requirements.map(row => ({ name, ...row })))
  const known = new Set(rows.map(({ id }) => id))
  const citations = citationsIn(tree)
  const cited = new Set(citations.map(({ id }) => id))
  const problems = [
    ...citations
      .filter(({ id }) => id === undefined || !known.has(id))
      .map(
        ({ id, file, line }) =>
          `${file}:${line} cites ${id ?? 'something that is not a literal id'}, which no row has`,
      ),
    ...rows.filter(({ id }) => !cited.has(id)).map(({ id }) => `${id} is verified by no test`),
    ...rows
      .filter(({ id, name, section }) => !id.startsWith(`${name.replaceAll(' ', '')}-${section}-`))
      .map(({ id, name, section }) => `${id} does not name ${name} and section ${section}`),
  ]
  if (known.size !== rows.length) problems.push('two rows share an id')
  return { count: rows.length, unit: 'requirements', problems }
}

const tableOf = (spec: Specification, citations: readonly Citation[]): string[] => [
  '| requirement | level | what is demanded | verified by |',
  '| --- | --- | --- | --- |',
  ...spec.requirements.map(({ id, level, text, url }) => {
    const tests = new Set(citations.filter(citation => citation.id === id).map(({ file }) => `\`${file}\``))
    return `| [${id}](${url}) | ${level} | ${text} | ${[...tests].sort().join(', ') || '**nothing yet**'} |`
  }),
]

/** `docs/specs.md`: specification → files → requirements → tests. */
export const renderSpecs = (tree: Tree, specifications: readonly Specification[]): string => {
  const citations = citationsIn(tree)
  const sources = tree.files.filter(file => /^packages\/\w+\/src\/.*(?<!\.test)\.ts$/.test(file))
  const sections = specifications.flatMap(spec => {
    const cite = new RegExp(`${spec.name}\\b`)
    const files = sources.filter(file => cite.test(tree.read(file))).map(file => `\`${file}\``)
    return [
      '',
      `## ${spec.name}: ${spec.title}`,
      '',
      `Cited in ${files.join(', ') || 'no file yet'}.`,
      '',
      ...tableOf(spec, citations),
    ]
  })
  const head = [
    '<!-- Generated from test/rfc/requirements by `npm run docs`; edit the rows, not this page. -->',
    '# Specifications',
  ]
  const told =
    'Each row is a demand in our own words; the link leads to the original, the last column to the proof.'
  return `${[...head, '', told, ...sections].join('\n')}\n`
}
