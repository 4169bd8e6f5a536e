// From the asking for a halt to the last call that is let in: two nodes on PostgreSQL, four resources, under calls.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type AdminClient, createAdminClient } from '@writ/sdk/admin'
import { Agent, type OperatorCredentials } from '@writ/sdk/agent'
import { createProof } from '@writ/sdk/protocol/dpop'
import { generateKeyPair, importPrivate, type PrivateJwk, type SignKey } from '@writ/sdk/protocol/jwk'
import { Secret } from '@writ/sdk/protocol/secret'
import { startPostgres } from '@writ/server/testing'
import type { Figure } from '../measure.ts'
import { freePort, type Running, startNode, startResource } from '../processes.ts'
import { openBalancer } from '../rotation/balancer.ts'

const rounds = Number(process.env['WRIT_BENCH_ROUNDS'] ?? 25)
const resources = 4
const everyMs = 10
const boundMs = 2000
const api = 'https://api.example'

export async function denial(): Promise<readonly Figure[]> {
  const home = mkdtempSync(join(tmpdir(), 'writ-bench-'))
  const cluster = await startPostgres({ databases: 1 })
  const balancer = await openBalancer()
  const running: Running[] = []
  try {
    const issuer = `http://127.0.0.1:${balancer.port}`
    const database = cluster.database()
    const nodes: Running[] = []
    for (const each of ['a', 'b']) {
      const port = await freePort()
      const sealer = `file:${join(home, 'root.key')}`
      nodes.push(await startNode({ data: join(home, each), port, issuer, database, sealer, settings: {} }))
      balancer.between(nodes.map(node => node.port))
    }
    running.push(...nodes)
    const operator = JSON.parse(readFileSync(join(home, 'a', 'operator.json'), 'utf8')) as OperatorCredentials
    const admin = createAdminClient(Agent.fromCredentials(operator))
    await admin.call('resources.create', {
      body: { identifier: api, name: 'API', scopes: [{ name: 'read', description: 'Reads' }] },
    })
    const points = await Promise.all(
      Array.from({ length: resources }, async () => startResource(issuer, api)),
    )
    running.push(...points)
    return figuresOf(await measured({ admin, operator, issuer, ports: points.map(({ port }) => port) }))
  } finally {
    await Promise.all(running.map(each => each.stop()))
    await balancer.close()
    await cluster.close()
    rmSync(home, { recursive: true, force: true })
  }
}

interface Site {
  readonly admin: AdminClient
  readonly operator: OperatorCredentials
  readonly issuer: string
  readonly ports: readonly number[]
}

/** Milliseconds from when each halt was asked for until the last answer of a resource that let a call in. */
async function measured(site: Site): Promise<readonly number[]> {
  const { admin, operator, issuer } = site
  const pair = generateKeyPair('ES256')
  const { id } = await admin.call('agents.create', {
    body: {
      name: 'runaway',
      owner: operator.client_id,
      purpose: 'Is halted',
      jwks: { keys: [{ ...pair.verify.jwk }] },
    },
  })
  await admin.call('grants.create', { body: { agent: id, resource: api, scopes: ['read'], reason: 'bench' } })
  const jwk = pair.secret.reveal() as PrivateJwk
  const key = importPrivate(new Secret(jwk))
  const found: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    // A new agent object each time: what it held is dead, and it does not know.
    const agent = Agent.fromCredentials({ issuer, client_id: id, jwk })
    const token = (await agent.token({ resource: api, scope: 'read' })).accessToken.reveal()
    agent.close()
    const callers = site.ports.map(port => call({ port, token, key }))
    await Promise.all(callers.map(caller => caller.admitted))
    // Before it is acknowledged, let alone told to anybody: whoever pulls the switch waits for that as well.
    const atMs = performance.now()
    const halt = await admin.call('halts.create', { body: { kind: 'agent', target: id, reason: 'bench' } })
    const lasts = await Promise.all(callers.map(caller => caller.refused))
    found.push(...lasts.map(lastMs => Math.max(0, lastMs - atMs)))
    await admin.call('halts.lift', { params: { id: halt.id }, body: { reason: 'bench' } })
    await pause(50)
  }
  return found
}

interface Calling {
  readonly port: number
  readonly token: string
  readonly key: SignKey
}

/** Calls again and again: when it was first let in, and when the last call that was let in had its answer. */
function call({ port, token, key }: Calling): { admitted: Promise<void>; refused: Promise<number> } {
  let isIn = (): void => undefined
  const admitted = new Promise<void>(resolve => {
    isIn = resolve
  })
  const refused = (async () => {
    let lastMs = Number.NEGATIVE_INFINITY
    for (const beganMs = performance.now(); performance.now() - beganMs < boundMs * 5; ) {
      const proof = createProof({
        key,
        method: 'GET',
        uri: `${api}/`,
        accessToken: token,
        nowSeconds: Math.floor(Date.now() / 1000),
      })
      const answer = await fetch(`http://127.0.0.1:${port}/`, {
        headers: { authorization: `DPoP ${token}`, dpop: proof },
      })
      await answer.arrayBuffer()
      if (answer.status === 200) {
        lastMs = performance.now()
        isIn()
      } else if (lastMs > 0) return lastMs
      else throw new Error(`a call was refused before anything was halted: ${answer.status}`)
      await pause(everyMs)
    }
    throw new Error('a call was still let in long after the halt')
  })()
  refused.catch(() => isIn())
  return { admitted, refused }
}

function figuresOf(delays: readonly number[]): readonly Figure[] {
  const sorted = [...delays].sort((a, b) => a - b)
  const at = (part: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
  const figure = (name: string, value: number, bound?: number): Figure => ({
    name,
    value,
    unit: 'ms',
    ...(bound === undefined ? {} : { target: { at: 'most', bound } }),
  })
  return [
    figure(`halt to denial, p50 of ${sorted.length}`, at(0.5)),
    figure('halt to denial, p99', at(0.99), 250),
    figure('halt to denial, longest', at(1), boundMs),
  ]
}
