// Runs test files, each in a process of its own, and counts what happened to every test in them.
import { run } from 'node:test'
import { inspect } from 'node:util'

/** What one file did. A file without a test, or one that crashed or hung, has failed. */
export interface FileResult {
  readonly passed: number
  readonly failed: readonly { readonly name: string; readonly detail: string }[]
  readonly skipped: readonly { readonly name: string; readonly reason: string }[]
  /** All it printed, for the reader of a failure. */
  readonly output: string
}

export interface RunOptions {
  readonly root: string
  /** Longer than this and the file is killed and counts as failed. */
  readonly limitSeconds: number
  /** Only tests whose names match run; a file may then have none. */
  readonly namePattern?: string | undefined
}

interface Report {
  readonly name: string
  readonly skip?: string | boolean
  readonly todo?: string | boolean
  readonly details: { readonly type?: string; readonly error?: Error & { readonly failureType?: string } }
}

const reasonOf = ({ skip, todo }: Report): string | undefined => {
  const mark = skip ?? todo
  if (mark === undefined || mark === false) return undefined
  return typeof mark === 'string' && mark !== '' ? mark : 'no reason given'
}

/** Runs one file (absolute path) to its end. */
const runFile = async (file: string, options: RunOptions): Promise<FileResult> => {
  const failed: { name: string; detail: string }[] = []
  const skipped: { name: string; reason: string }[] = []
  let passed = 0
  let output = ''
  const stream = run({
    files: [file],
    cwd: options.root,
    execArgv: ['--conditions=writ-source', '--disable-warning=ExperimentalWarning'],
    signal: AbortSignal.timeout(options.limitSeconds * 1000),
    ...(options.namePattern === undefined ? {} : { testNamePatterns: options.namePattern }),
  })
  for await (const { type, data } of stream as AsyncIterable<{
    type: string
    data: Report & { message?: string }
  }>) {
    if (type === 'test:stdout' || type === 'test:stderr') output += data.message ?? ''
    if (type !== 'test:pass' && type !== 'test:fail') continue
    const { name, details } = data
    const reason = reasonOf(data)
    if (reason !== undefined) skipped.push({ name, reason })
    else if (type === 'test:fail' && details.error?.failureType !== 'subtestsFailed') {
      failed.push({
        name: name === file ? 'the file itself' : name,
        detail: inspect(details.error?.cause ?? details.error),
      })
    } else if (type === 'test:pass' && details.type !== 'suite' && name !== file) passed += 1
  }
  const seen = passed + failed.length + skipped.length
  if (seen === 0 && options.namePattern === undefined)
    failed.push({ name: 'the file itself', detail: 'has no test' })
  return { passed, failed, skipped, output }
}

/** Runs every file, `workers` at a time, telling `report` about each as soon as it is done. */
export const runFiles = async (
  files: readonly string[],
  workers: number,
  options: RunOptions,
  report: (file: string, result: FileResult, seconds: number) => void,
): Promise<void> => {
  const queue = [...files]
  const work = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const started = performance.now()
      const result = await runFile(`${options.root}/${file}`, options)
      report(file, result, (performance.now() - started) / 1000)
    }
  }
  await Promise.all(Array.from({ length: workers }, work))
}
