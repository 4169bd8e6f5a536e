// Outlives the demo by a moment, however it ends: stops what it started and deletes its folder, also after kill -9.
import { rmSync } from 'node:fs'

const running = new Set<number>()
let folder: string | undefined

process.on(
  'message',
  (told: { readonly folder?: string; readonly began?: number; readonly ended?: number }) => {
    if (told.folder !== undefined) folder = told.folder
    if (told.began !== undefined) running.add(told.began)
    if (told.ended !== undefined) running.delete(told.ended)
  },
)
// The signals of a terminal reach the whole group; this process goes only when the channel to the demo does.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
process.on('disconnect', () => {
  for (const pid of running) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch (error) {
      // It was faster.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
})
