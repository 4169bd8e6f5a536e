// Decisions over AuthZEN beside a bare server that does only what cannot be avoided; batches; budgets in the same commit.

import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createProof, proofHeader } from '@writ/sdk/protocol/dpop'
import { newId } from '@writ/sdk/protocol/identifier'
import { createServer } from '@writ/server'
import { requestBytes, send } from '../load.ts'
import { type Figure, sideBySide } from '../measure.ts'
import { api, type Caller, populate } from '../population.ts'
import { type Running, type Site, siteAt, startAuthority, startDecisionFloor } from '../processes.ts'
import { tokenFor } from '../token.ts'
import { usageMicroseconds } from './usage.ts'

const connections = 32
const perRound = 2_000
const rounds = 5
const batchOf = 50

type Store = Awaited<ReturnType<typeof createServer>>['store']
type Put = NonNullable<Parameters<Store['commit']>[1]['puts']>[number]

/** Grants the first caller the decision point, and the second a right with budgets. */
async function equip(site: Site, [point, spender]: readonly Caller[]): Promise<void> {
  const server = await createServer({ data: site.data, issuer: site.issuer })
  try {
    const [tenant] = await server.store.tenants.list()
    if (tenant === undefined || point === undefined || spender === undefined)
      throw new Error('nobody is there')
    const now = Math.floor(Date.now() / 1000)
    const grantOf = (agent: string, resource: string, members: object): Put => ({
      put: 'grant',
      ifVersion: 0,
      value: {
        id: newId('grt', randomBytes),
        agent: agent as never,
        resource,
        scopes: ['read'],
        reason: 'bench',
        expiresAt: null,
        createdAt: now,
        createdBy: agent as never,
        revokedAt: null,
        ...members,
      },
    })
    const calls = {
      unit: 'calls',
      currency: null,
      limit: 1_000_000_000,
      windowSeconds: 3600,
      burst: 0,
    } as const
    const puts: readonly Put[] = [
      { put: 'resource', ifVersion: 0, value: paidApi(now) },
      grantOf(point.clientId, `${site.issuer}/api/v1`, { scopes: ['writ:decisions:evaluate'] }),
      grantOf(spender.clientId, paid, { budgets: [calls] }),
    ]
    const ctx = { tenant: tenant.id, now, nowMs: now * 1000 }
    const entry = { type: 'bench.equipped', outcome: 'allowed', requestId: 'bench' } as const
    const committed = await server.store.commit(ctx as never, { puts, entries: [entry] })
    if (committed.kind !== 'done') throw new Error(`not equipped: ${committed.kind}`)
  } finally {
    await server.close()
  }
}

const paid = 'https://paid.example'

function paidApi(now: number): Extract<Put, { put: 'resource' }>['value'] {
  return {
    id: newId('res', randomBytes),
    identifier: paid,
    name: 'Paid API',
    scopes: [{ name: 'read', description: 'Reads', includes: [], sensitive: false }],
    introspectionClients: [],
    bearerAllowed: false,
    createdAt: now,
    updatedAt: now,
  }
}

interface Asking {
  readonly issuer: string
  readonly point: Caller
  readonly token: string
}

type Bodies = (at: number) => object

function requests({ issuer, point, token }: Asking, endpoint: string, count: number, body: Bodies): Buffer[] {
  const path = `/access/v1/${endpoint}`
  const header = proofHeader(point.key)
  const nowSeconds = Math.floor(Date.now() / 1000)
  const proof = { key: point.key, method: 'POST', uri: issuer + path, nowSeconds, header, accessToken: token }
  return Array.from({ length: count }, (_, at) =>
    requestBytes(
      Number(new URL(issuer).port),
      path,
      { 'content-type': 'application/json', authorization: `DPoP ${token}`, dpop: createProof(proof) },
      JSON.stringify(body(at)),
    ),
  )
}

async function rate(target: Running, made: readonly Buffer[], at = connections): Promise<number> {
  const load = await send(target.port, made, at)
  if (load.failed > 0) throw new Error(`${load.failed} of ${load.answered} requests failed`)
  return load.answered / load.seconds
}

/** Bodies of the questions, and the requests that carry them. */
interface Questions {
  readonly plain: Bodies
  readonly spending: Bodies
  readonly still: Bodies
  readonly batch: Bodies
  ask(body: Bodies, endpoint?: string, count?: number): readonly Buffer[]
}

async function questionsTo(site: Site, by: readonly Caller[]): Promise<Questions> {
  const [point, spender] = by as [Caller, Caller]
  const { issuer } = site
  const asking = { issuer, point, token: await tokenFor(issuer, point, `${issuer}/api/v1`) }
  const question = (caller: Caller, id = api) => ({
    subject: { type: 'agent', id: caller.clientId },
    action: { name: 'read' },
    resource: { type: 'resource', id },
  })
  const plain: Bodies = at => question(by[at % by.length] as Caller)
  return {
    plain,
    spending: () => question(spender, paid),
    still: () => question(spender),
    batch: at => ({ evaluations: Array.from({ length: batchOf }, (_, one) => plain(at + one)) }),
    ask: (body, endpoint = 'evaluation', count = perRound) => requests(asking, endpoint, count, body),
  }
}

export async function decision(): Promise<readonly Figure[]> {
  const home = mkdtempSync(join(tmpdir(), 'writ-bench-'))
  const site = await siteAt(join(home, 'writ'))
  const by = await populate(site, 100, 0)
  await equip(site, by)
  const writ = await startAuthority(site)
  const floor = await startDecisionFloor(join(home, 'floor.db'))
  try {
    return await figures(writ, floor, await questionsTo(site, by))
  } finally {
    await Promise.all([writ.stop(), floor.stop()])
    rmSync(home, { recursive: true, force: true })
  }
}

async function figures(
  writ: Running,
  floor: Running,
  { plain, spending, still, batch, ask }: Questions,
): Promise<readonly Figure[]> {
  await rate(writ, ask(plain))
  await rate(floor, ask(plain))
  const [decided, least, ratio] = await sideBySide(
    rounds,
    () => rate(writ, ask(plain)),
    () => rate(floor, ask(plain)),
  )
  const [one, many, batchRatio] = await sideBySide(
    3,
    async () => 1000 / (await rate(writ, ask(plain, 'evaluation', 400), 1)),
    async () => 1000 / (await rate(writ, ask(batch, 'evaluations', 100), 1)),
  )
  const [free, spent, budgetRatio] = await sideBySide(
    rounds,
    () => rate(writ, ask(still)),
    () => rate(writ, ask(spending)),
  )
  const counting = await usageMicroseconds()
  return [
    {
      name: 'decision over AuthZEN, SQLite',
      value: decided,
      unit: 'decisions/s',
      floor: { name: 'Hono, proof, one Cedar call, grouped commit', value: least },
      ratio,
      target: { at: 'least', bound: 0.6 },
    },
    {
      name: `batch of ${batchOf}`,
      value: many,
      unit: 'ms',
      floor: { name: 'one decision', value: one },
      ratio: 1 / batchRatio,
      target: { at: 'most', bound: 10 },
    },
    {
      name: 'decision that spends a budget',
      value: spent,
      unit: 'decisions/s',
      floor: { name: 'the same without', value: free },
      ratio: 1 / budgetRatio,
      target: { at: 'least', bound: 0.87 },
    },
    {
      name: 'counting the use of grants',
      value: counting,
      unit: 'µs/decision',
      floor: { name: 'a whole decision', value: 1e6 / decided },
      ratio: (counting * decided) / 1e6,
      target: { at: 'most', bound: 0.03 },
    },
  ]
}
