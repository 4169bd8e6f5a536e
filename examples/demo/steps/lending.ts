// A credential that is made for one lease, works for three seconds, and is gone: upstream too.
import { setTimeout as pause } from 'node:timers/promises'
import { eventually, expectEqual, expectTrue } from '../check.ts'
import { roleThatLogsIn, sql } from '../database.ts'
import type { Say } from '../narrator.ts'
import type { Hired } from './identity.ts'
import type { Vault } from './vault.ts'

const lifeSeconds = 3

export async function lendForSeconds(
  { agent }: Hired,
  { say, vault }: { readonly say: Say; readonly vault: Vault },
): Promise<void> {
  const beganMs = performance.now()
  const lease = await agent.lease(vault.lent, { ttlSeconds: lifeSeconds })
  const url = lease.value.reveal()
  const role = await roleThatLogsIn(url)
  const issuedMs = performance.now() - beganMs
  say.fact('lease', `${role.slice(0, 24)}…, made and used in ${Math.round(issuedMs)} ms`)
  const exists = async (): Promise<boolean> =>
    (await sql(vault.url, `select 1 from pg_roles where rolname = '${role}'`)).length > 0
  expectEqual('PostgreSQL has the role', await exists(), true)
  // Its end is a whole second: half of the time is safe.
  await pause((lifeSeconds * 1000) / 2 - (performance.now() - beganMs))
  expectEqual('it works in the meantime', await roleThatLogsIn(url), role)
  await eventually('the role is gone', 6, async () => ((await exists()) ? undefined : true))
  const refused = await roleThatLogsIn(url).catch((error: Error) => error.message)
  expectTrue('nobody logs in with it', refused !== role, refused)
  const afterMs = performance.now() - beganMs
  say.fact('its end', `${(afterMs / 1000).toFixed(1)} s after it was made: no such role any more`)
}
