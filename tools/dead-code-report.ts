// What knip tells tools/check.ts: how many files it went through, and one line per thing that nobody uses.
import { readFileSync } from 'node:fs'
import type { Issue, ReporterOptions } from 'knip'

/** `require('invoices:read')` of the resource SDK demands a scope; nothing of ours loads a package that way. */
const isScope = ({ type, filePath, line }: Issue): boolean =>
  type === 'unlisted' && /\brequire\(/.test(readFileSync(filePath, 'utf8').split('\n')[(line ?? 1) - 1] ?? '')

/** A reporter has to be the default export of its file: the one place where knip asks for that. */
export default ({ issues, counters, cwd }: ReporterOptions): void => {
  const found = Object.entries(issues).flatMap(([kind, files]) =>
    Object.values(files).flatMap(symbols => Object.values(symbols).map(issue => ({ kind, issue }))),
  )
  const problems = found
    .filter(({ issue }) => !isScope(issue))
    .map(({ kind, issue: { filePath, line, symbol } }) => {
      const file = filePath.replace(`${cwd}/`, '')
      return kind === 'files' ? `${file} is used by nothing` : `${file}:${line ?? 1} ${kind}: ${symbol}`
    })
  console.log(JSON.stringify({ processed: counters.processed, problems }))
}
