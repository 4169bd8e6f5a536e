// A PostgreSQL credential for one lease, beside a bare CREATE ROLE by the same administrator at the same server.
import { randomBytes } from 'node:crypto'
import { Secret } from '@writ/sdk/protocol/secret'
import { postgresDynamic, startPostgres } from '@writ/server/testing'
import pg from 'pg'
import { type Figure, median, sideBySide } from './measure.ts'

const rounds = 9
const perRound = 60

/** Median milliseconds of one call. */
async function timed(act: () => Promise<unknown>): Promise<number> {
  const took: number[] = []
  for (let call = 0; call < perRound; call += 1) {
    const began = performance.now()
    await act()
    took.push(performance.now() - began)
  }
  return median(took)
}

/** A role that may make others and is no superuser; answers its URL. */
async function administrator(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const password = randomBytes(24).toString('hex')
  await client.query(`create role rotator login createrole password '${password}'`)
  await client.query('create role readers; grant readers to rotator with admin option')
  await client.end()
  return Object.assign(new URL(url), { username: 'rotator', password }).href
}

export async function credentials(): Promise<readonly Figure[]> {
  const cluster = await startPostgres({
    ...{ databases: 1, auth: 'scram-sha-256' },
    settings: { fsync: 'on', synchronous_commit: 'on' },
  })
  const admin = await administrator(cluster.database())
  const client = new pg.Client({ connectionString: admin })
  await client.connect()
  try {
    const options = postgresDynamic.options.parse({ admin: 'root', base: 'bench', memberOf: ['readers'] })
    const issue = async (): Promise<unknown> => {
      const now = Math.floor(Date.now() / 1000)
      return postgresDynamic.issue({
        ...{ options, secretName: 'bench', now, expiresAt: now + 600 },
        handle: postgresDynamic.handleOf(options, randomBytes(13).toString('hex')),
        secret: async () => new Secret(admin),
        signal: new AbortController().signal,
      })
    }
    const bare = async (): Promise<unknown> => {
      const [role, password] = [
        `bare_${randomBytes(13).toString('hex')}`,
        randomBytes(32).toString('base64url'),
      ]
      return client.query(`create role ${role} login password '${password}'`)
    }
    await Promise.all([timed(issue), timed(bare)])
    const [issued, floor, ratio] = await sideBySide(
      rounds,
      () => timed(issue),
      () => timed(bare),
    )
    return [
      {
        ...{ name: 'PostgreSQL credential for a lease, p50', value: issued, unit: 'ms' },
        ...{ floor: { name: 'bare CREATE ROLE', value: floor }, ratio },
      },
    ]
  } finally {
    await client.end()
    await cluster.close()
  }
}
