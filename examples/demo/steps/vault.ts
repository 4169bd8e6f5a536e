// A database's password moves into the vault: one agent may read it, and what it reads lets it in.
import { eventually, expectEqual, expectFault } from '../check.ts'
import { roleThatLogsIn, sql } from '../database.ts'
import type { Say } from '../narrator.ts'
import type { Stage } from '../stage.ts'
import type { Hired } from './identity.ts'

export interface Vault {
  /** The secret that is rotated, and the one that is lent. */
  readonly rotated: string
  readonly lent: string
  /** The URL of the database's owner. */
  readonly url: string
}

export async function keepInVault(
  { admin, issuer, writ }: Stage,
  { id, agent }: Hired,
  { say, url }: { readonly say: Say; readonly url: string },
): Promise<Vault> {
  const [rotated, lent] = ['reports-db', 'reports-db-once']
  await sql(
    url,
    `create role rotator login createrole password 'of-the-demo';
     grant pg_monitor, pg_signal_backend to rotator;
     create role reports;
     grant reports to rotator with admin option`,
  )
  const owner = Object.assign(new URL(url), { username: 'rotator', password: 'of-the-demo' }).href
  await admin.call('secrets.create', {
    body: { name: 'database-admin', value: owner, consumers: [rotated, lent] },
  })
  const options = { admin: 'database-admin', role: 'reporting', memberOf: ['reports'] }
  await admin.call('secrets.create', {
    body: {
      name: rotated,
      consumers: [id],
      lease_seconds: 3,
      rotator: { kind: 'postgres-role', options },
    },
  })
  await admin.call('secrets.create', {
    body: {
      name: lent,
      consumers: [id],
      lease_seconds: 3,
      rotator: {
        kind: 'postgres-dynamic',
        options: { admin: 'database-admin', base: 'once', memberOf: ['reports'] },
      },
    },
  })
  say.fact('secret', `${rotated}: a role of PostgreSQL, made by its rotator`)
  await expectFault('without a grant nobody reads it', 'invalid_scope', agent.secret(rotated))
  for (const name of [rotated, lent]) {
    const body = {
      agent: id,
      resource: `${issuer}/vault/${name}`,
      scopes: ['secret:read'],
      reason: 'Reads the reports',
    }
    await admin.call('grants.create', { body })
  }
  const held = await eventually('the first version is there', 10, () =>
    agent.secret(rotated).catch(() => undefined),
  )
  const role = await roleThatLogsIn(held.value.reveal())
  say.fact('grant', `on that very secret; the agent logs in as ${role}`)
  const shown = await writ('secret', 'show', rotated)
  expectEqual('nothing shows its value', shown.stdout.includes(new URL(held.value.reveal()).password), false)
  return { rotated, lent, url }
}
