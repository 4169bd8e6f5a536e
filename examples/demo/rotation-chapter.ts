// A further chapter: everything rotates under traffic, the drain is watched to its end, and a credential lives for seconds.
import { startPostgres } from '@writ/server/testing'
import type { Narrator } from './narrator.ts'
import type { Processes } from './processes.ts'
import { openStage } from './stage.ts'
import { rotateEverything } from './steps/everything.ts'
import { hire } from './steps/identity.ts'
import { lendForSeconds } from './steps/lending.ts'
import { keepInVault } from './steps/vault.ts'

export async function rotationChapter(
  folder: string,
  processes: Processes,
  narrator: Narrator,
): Promise<void> {
  narrator.title('Writ: keys that rotate themselves, and end when nobody needs them.')
  const starting = startPostgres({ databases: 1, auth: 'scram-sha-256' })
  try {
    const [database, stage] = await Promise.all([starting, openStage(folder, processes, narrator)])
    const url = database.database()
    narrator.fact('database', 'PostgreSQL 18, which asks for passwords')
    const { step } = narrator
    const hired = await step(1, 'An agent is hired', say => hire(stage, say))
    const vault = await step(2, 'A password of the database moves into the vault', say =>
      keepInVault(stage, hired, { say, url }),
    )
    await step(3, 'writ rotate --all, under traffic', say => rotateEverything(stage, hired, { say, vault }))
    await step(4, 'A credential that lives for three seconds', say => lendForSeconds(hired, { say, vault }))
    hired.agent.close()
  } finally {
    const database = await starting
    await database.close()
  }
}
