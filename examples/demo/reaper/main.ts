// Outlives the demo by a moment, however it ends: stops what it started and deletes its folder, also after kill -9.
import { existsSync, rmSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

interface Told {
  readonly folder?: string
  readonly began?: number
  readonly ended?: number
}

const running = new Set<number>()
let folder: string | undefined

process.on('message', (told: Told) => {
  if (told.folder !== undefined) folder = told.folder
  if (told.began !== undefined) running.add(told.began)
  if (told.ended !== undefined) running.delete(told.ended)
})
// The signals of a terminal reach the whole group; this process goes only when the channel to the demo does.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
process.on('disconnect', () => {
  for (const pid of running) kill(pid)
  if (folder !== undefined) void remove(folder, running.size === 0 ? 1 : 10)
})

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    // It was faster.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Until it has stayed away for so many looks: what is being killed on a busy machine may still write for a moment. */
async function remove(path: string, looks: number): Promise<void> {
  for (let away = 0; away < looks; away = existsSync(path) ? 0 : away + 1) {
    try {
      rmSync(path, { recursive: true, force: true, maxRetries: 5 })
    } catch (error) {
      // Somebody wrote into it while it was being emptied: the next look finds it.
      if (!['ENOTEMPTY', 'EBUSY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    }
    if (looks > 1) await pause(100)
  }
}
