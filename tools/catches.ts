// Nothing is swallowed unseen: who catches throws again, looks at what was caught, or says why not, in a comment.
import { isCode, isTest, lineOf, type Outcome, type Syntax, type Tree, walk } from './tree.ts'

/** Does this clause throw, or mention the error it was given? */
const looks = (clause: Syntax): boolean => {
  const name = (clause['param'] as Syntax | null)?.['name']
  let found = false
  walk(clause['body'] as Syntax, node => {
    found ||=
      node.type === 'ThrowStatement' ||
      (node.type === 'Identifier' && name !== undefined && node['name'] === name)
  })
  return found
}

/** Looks at every `catch` of the packages. */
export const checkCatches = (tree: Tree): Outcome => {
  const files = tree.files.filter(
    file => /^packages\/[^/]+\/(src|bin)\//.test(file) && isCode(file) && !isTest(file),
  )
  const clauses = files.flatMap(file => {
    const found: { file: string; clause: Syntax }[] = []
    walk(tree.syntax(file), node => {
      if (node.type === 'CatchClause') found.push({ file, clause: node })
    })
    return found
  })
  const problems = clauses.flatMap(({ file, clause }) => {
    const text = tree.read(file)
    if (looks(clause) || text.slice(clause.start, clause.end).includes('//')) return []
    return [
      `${file}:${lineOf(text, clause.start)} catches without a look at the error, and without saying why`,
    ]
  })
  return { count: clauses.length, unit: 'catches', problems }
}
