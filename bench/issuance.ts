// Token issuance (private_key_jwt and DPoP, durable entry) beside bare servers that do only what cannot be avoided.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '@writ/server/testing'
import { send } from './load.ts'
import { type Figure, median, sideBySide } from './measure.ts'
import { type Caller, populate } from './population.ts'
import { type Running, siteAt, startAuthority, startFloor } from './processes.ts'
import { tokenRequests } from './token.ts'

const connections = 32
const perRound = 4_000
const rounds = 5
const callers = 200

/** Answered requests a second; throws when one was refused. The requests are those that the authority would take. */
export async function rate(target: Running, issuer: string, by: readonly Caller[]): Promise<number> {
  const requests = await tokenRequests(issuer, by, perRound)
  const load = await send(target.port, requests, connections)
  if (load.failed > 0) throw new Error(`${load.failed} of ${load.answered} requests failed`)
  return load.answered / load.seconds
}

async function latency(target: Running, issuer: string, by: readonly Caller[]): Promise<number> {
  const load = await send(target.port, await tokenRequests(issuer, by, 400), 1)
  if (load.failed > 0) throw new Error(`${load.failed} of ${load.answered} requests failed`)
  return median(load.latencies)
}

export async function issuance(): Promise<readonly Figure[]> {
  const home = mkdtempSync(join(tmpdir(), 'writ-bench-'))
  const cluster = await startPostgres({ databases: 2, settings: { fsync: 'on', synchronous_commit: 'on' } })
  try {
    return [...(await onSqlite(home)), ...(await onPostgres(home, cluster))]
  } finally {
    await cluster.close()
    rmSync(home, { recursive: true, force: true })
  }
}

async function onSqlite(home: string): Promise<readonly Figure[]> {
  const site = await siteAt(join(home, 'sqlite'))
  const by = await populate(site, callers, 0)
  const writ = await startAuthority(site)
  const { issuer } = site
  const bare = await startFloor('crypto')
  const floor = await startFloor('sqlite', join(home, 'floor.db'))
  try {
    await rate(writ, issuer, by)
    await rate(floor, issuer, by)
    const [issued, least, ratio] = await sideBySide(
      rounds,
      () => rate(writ, issuer, by),
      () => rate(floor, issuer, by),
    )
    const cryptoOnly = median([
      await rate(bare, issuer, by),
      await rate(bare, issuer, by),
      await rate(bare, issuer, by),
    ])
    const [waited, floorWaited, waitRatio] = await sideBySide(
      rounds,
      () => latency(writ, issuer, by),
      () => latency(floor, issuer, by),
    )
    return [
      {
        name: 'issuance, SQLite',
        value: issued,
        unit: 'tokens/s',
        floor: { name: 'verify twice, sign, grouped commit', value: least },
        ratio,
        target: { at: 'least', bound: 0.6 },
      },
      {
        name: 'issuance, SQLite, for orientation',
        value: issued,
        unit: 'tokens/s',
        floor: { name: 'verify twice, sign, no commit', value: cryptoOnly },
        ratio: issued / cryptoOnly,
      },
      {
        name: 'one connection waits, SQLite',
        value: waited,
        unit: 'ms',
        floor: { name: 'the same floor', value: floorWaited },
        ratio: waitRatio,
        target: { at: 'most', bound: 1.5 },
      },
    ]
  } finally {
    await Promise.all([writ.stop(), bare.stop(), floor.stop()])
  }
}

async function onPostgres(
  home: string,
  cluster: Awaited<ReturnType<typeof startPostgres>>,
): Promise<readonly Figure[]> {
  const site = await siteAt(join(home, 'postgres'), cluster.database())
  const by = await populate(site, callers, 0)
  const writ = await startAuthority(site)
  const { issuer } = site
  const floor = await startFloor('postgres', cluster.database())
  try {
    await rate(writ, issuer, by)
    await rate(floor, issuer, by)
    const [issued, least, ratio] = await sideBySide(
      rounds,
      () => rate(writ, issuer, by),
      () => rate(floor, issuer, by),
    )
    return [
      {
        name: 'issuance, PostgreSQL',
        value: issued,
        unit: 'tokens/s',
        floor: { name: 'verify twice, sign, grouped commit', value: least },
        ratio,
        target: { at: 'least', bound: 0.5 },
      },
    ]
  } finally {
    await Promise.all([writ.stop(), floor.stop()])
  }
}
