// npm run demo: the main job against real parts, narrated and asserted; `-- NAME` runs a further chapter, `-- all` each.
import { Unmet } from './check.ts'
import { decisionsChapter } from './decisions-chapter.ts'
import { mainJob } from './main-job.ts'
import { createNarrator, type Narrator } from './narrator.ts'
import { openProcesses, type Processes } from './processes.ts'
import { rotationChapter } from './rotation-chapter.ts'
import { openFolder } from './stage.ts'

type Chapter = (folder: string, processes: Processes, narrator: Narrator) => Promise<void>

/** Each starts its own parts on an empty store. The first one is what runs without a name. */
const chapters: Readonly<Record<string, Chapter>> = {
  main: mainJob,
  rotation: rotationChapter,
  decisions: decisionsChapter,
}

/** Longer than this and something hangs. */
const limitSeconds = 120
const exitOf = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

// What somebody has set for an authority of their own must not reach the ones of the demo.
for (const variable of Object.keys(process.env))
  if (variable.startsWith('WRIT_')) delete process.env[variable]

const [name = 'main'] = process.argv.slice(2)
const chosen = name === 'all' ? Object.keys(chapters) : [name]
for (const one of chosen) {
  if (Object.hasOwn(chapters, one)) continue
  console.error(`demo: there is no chapter ${one}; choose from: all ${Object.keys(chapters).join(' ')}`)
  process.exit(2)
}
let failed = false
for (const one of chosen) if (!(await run(chapters[one] as Chapter))) failed = true
// Connections that are kept alive would hold the process for seconds.
process.exit(failed ? 1 : 0)

async function run(chapter: Chapter): Promise<boolean> {
  const narrator = createNarrator(process.stdout)
  const folder = openFolder()
  const processes = openProcesses(folder)
  const startedAt = performance.now()
  for (const [signal, code] of Object.entries(exitOf)) {
    process.removeAllListeners(signal)
    process.on(signal, () => void processes.stop().finally(() => process.exit(code)))
  }
  try {
    const limit = Promise.withResolvers<never>()
    setTimeout(() => limit.reject(new Error(`not done after ${limitSeconds} s`)), limitSeconds * 1000).unref()
    await Promise.race([chapter(folder, processes, narrator), processes.trouble, limit.promise])
    const codes = await processes.stop()
    // An authority that is asked to stop ends what it has begun; the others of the demo just go.
    if (codes.get('writ serve') !== 0)
      throw new Error(`writ serve ended with ${codes.get('writ serve')}, not 0`)
    await processes.clean()
    narrator.plain('')
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
    narrator.plain(`Done in ${seconds} s. All processes have ended, and nothing was left behind.`)
    return true
  } catch (error) {
    await processes.stop()
    const what = error instanceof Unmet ? error.message : error instanceof Error ? error.stack : String(error)
    process.stderr.write(`${processes.tails()}\n ✘   ${what}\n`)
    return false
  }
}
