// What knip tells tools/check.ts: how many files it went through, and one line per thing that nobody uses.
import type { ReporterOptions } from 'knip'

/** A reporter has to be the default export of its file: the one place where knip asks for that. */
export default ({ issues, counters }: ReporterOptions): void => {
  const problems = Object.entries(issues).flatMap(([kind, files]) =>
    Object.values(files).flatMap(found =>
      Object.values(found).map(({ filePath, line, symbol }) => `${filePath}:${line ?? 1} ${kind}: ${symbol}`),
    ),
  )
  console.log(JSON.stringify({ processed: counters.processed, problems }))
}
