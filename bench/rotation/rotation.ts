// Everything is rotated under load: 200 agents through two nodes on PostgreSQL, and not one call may fail.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type AdminClient, createAdminClient } from '@writ/sdk/admin'
import { Agent, type OperatorCredentials } from '@writ/sdk/agent'
import { protect, require } from '@writ/sdk/resource/express'
import { startPostgres } from '@writ/server/testing'
import express from 'express'
import pg from 'pg'
import type { Figure } from '../measure.ts'
import { freePort, type Running, startNode } from '../processes.ts'
import { hire, type Worked } from './agents.ts'
import { openBalancer } from './balancer.ts'
import { rotateAll } from './operator.ts'

const agents = Number(process.env['WRIT_BENCH_AGENTS'] ?? 200)
const roles = Number(process.env['WRIT_BENCH_ROLES'] ?? 20)
const settleMs = 5_000
const limitMs = 240_000

/** Short lives, so that everything that a rotation waits for comes within the run. */
const settings = {
  WRIT_ACCESS_TOKEN_SECONDS: '10',
  WRIT_DRAIN_SECONDS: '10',
  WRIT_ISSUER_KEY_PUBLISH_SECONDS: '3',
  WRIT_JWKS_CACHE_SECONDS: '2',
  WRIT_CLOCK_SKEW_SECONDS: '1',
  WRIT_ROTATION_SPREAD_SECONDS: '10',
}

export async function rotation(): Promise<readonly Figure[]> {
  const home = mkdtempSync(join(tmpdir(), 'writ-bench-'))
  const cluster = await startPostgres({
    databases: 2,
    auth: 'scram-sha-256',
    settings: { max_connections: '200' },
  })
  const balancer = await openBalancer()
  const nodes: Running[] = []
  try {
    const issuer = `http://127.0.0.1:${balancer.port}`
    const database = cluster.database()
    const data = [join(home, 'a'), join(home, 'b')]
    for (const each of data) {
      const port = await freePort()
      const sealer = `file:${join(home, 'root.key')}`
      nodes.push(await startNode({ data: each, port, issuer, database, sealer, settings }))
      balancer.between(nodes.map(node => node.port))
    }
    const upstream = await prepareUpstream(cluster.database())
    return await measured({ ...operatorOf(join(home, 'a')), issuer, upstream })
  } finally {
    await Promise.all(nodes.map(node => node.stop()))
    await balancer.close()
    await cluster.close()
    rmSync(home, { recursive: true, force: true })
  }
}

function operatorOf(data: string): Pick<Site, 'data' | 'admin' | 'operator'> {
  const operator = JSON.parse(readFileSync(join(data, 'operator.json'), 'utf8')) as OperatorCredentials
  return { data, operator, admin: createAdminClient(Agent.fromCredentials(operator)) }
}

interface Site {
  readonly admin: AdminClient
  readonly operator: OperatorCredentials
  readonly issuer: string
  readonly data: string
  /** The URL of a database whose roles are rotated. */
  readonly upstream: string
}

async function measured(site: Site): Promise<readonly Figure[]> {
  const { admin, operator, issuer } = site
  const api = await openApi(site)
  const secrets = await makeSecrets(site)
  console.error(`bench: hiring ${agents} agents …`)
  const workers = await hire({ admin, owner: operator.client_id, api: api.url, issuer, agents, secrets })
  workers.start()
  await pause(settleMs)
  const before = workers.agents.map(agent => agent.key().thumbprint)
  console.error('bench: writ rotate --all …')
  const beganMs = performance.now()
  const { batch } = await rotateAll(site)
  // The operator's own key is among those that rotated: whoever goes on with the old one keeps it from draining.
  const ended = await untilEnded(operatorOf(site.data).admin, batch)
  const seconds = (performance.now() - beganMs) / 1000
  await pause(settleMs)
  const worked = await workers.stop()
  await api.close()
  const renewed = workers.agents.filter((agent, at) => agent.key().thumbprint !== before[at]).length
  if (renewed !== agents) throw new Error(`${agents - renewed} agents kept their key`)
  for (const failure of worked.failures.slice(0, 20)) console.error(`bench: ${failure}`)
  return figuresOf(worked, { ended, seconds })
}

function figuresOf(
  worked: Worked,
  { ended, seconds }: { ended: number; seconds: number },
): readonly Figure[] {
  return [
    { name: 'rotate --all under load: calls and logins', value: worked.calls + worked.logins, unit: '' },
    {
      name: 'rotate --all under load: failures',
      value: worked.failures.length,
      unit: '',
      target: { at: 'most', bound: 0 },
    },
    { name: 'rotate --all under load: longest stall', value: worked.longestMs, unit: 'ms' },
    { name: 'rotate --all under load: rotations ended', value: ended, unit: '' },
    { name: 'rotate --all under load: until the last one ended', value: seconds, unit: 's' },
  ]
}

/** The API that the agents call, with our verifier in front. */
async function openApi({ admin, issuer }: Site): Promise<{ url: string; close(): Promise<void> }> {
  const app = express()
  const server = createServer(app)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const scopes = [{ name: 'read', description: 'Reads' }]
  await admin.call('resources.create', { body: { identifier: url, name: 'API', scopes } })
  const guard = protect({ issuer, resource: url, name: 'API', scopes: ['read'] })
  app.use(guard)
  app.get('/work', require('read'), (_req, res) => void res.json({ done: true }))
  await guard.verifier.ready()
  return {
    url,
    close: () =>
      new Promise(resolve => {
        guard.verifier.close()
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

const administrator = 'upstream-admin'

/** A role that may make others, and its URL with a password. */
async function prepareUpstream(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(`create role rotator login createrole password 'bench-only'`)
  await client.query('grant pg_monitor, pg_signal_backend to rotator with admin option')
  await client.query('create role workers')
  await client.query('grant workers to rotator with admin option')
  await client.end()
  return Object.assign(new URL(url), { username: 'rotator', password: 'bench-only' }).href
}

/** One secret for each of the roles, rotated by the role of the administrator. Answers their names. */
async function makeSecrets({ admin, upstream }: Site): Promise<readonly string[]> {
  const names = Array.from({ length: roles }, (_, at) => `role-${at}`)
  await admin.call('secrets.create', { body: { name: administrator, value: upstream, consumers: names } })
  for (const name of names) {
    const options = { admin: administrator, role: name.replace('-', '_'), memberOf: ['workers'] }
    const rotator = { kind: 'postgres-role', options }
    await admin.call('secrets.create', { body: { name, consumers: [], lease_seconds: 5, rotator } })
  }
  return names
}

/** Waits until every rotation of the batch has ended; answers how many. Throws where one did not. */
async function untilEnded(admin: AdminClient, batch: string): Promise<number> {
  for (const deadline = performance.now() + limitMs; ; await pause(1000)) {
    const states = new Map<string, number>()
    const stuck: string[] = []
    for await (const one of admin.pages('rotations.list', { query: { batch, limit: 200 } })) {
      states.set(one.state, (states.get(one.state) ?? 0) + 1)
      if (one.state === 'blocked' || one.state === 'failed')
        stuck.push(`${one.kind} ${one.target}: ${one.problem}`)
    }
    const all = [...states.values()].reduce((sum, count) => sum + count, 0)
    if (states.get('retired') === all) return all
    if (stuck.length > 0) throw new Error(`stuck: ${stuck.join('; ')}`)
    if (performance.now() > deadline) throw new Error(`not ended in time: ${JSON.stringify([...states])}`)
  }
}
