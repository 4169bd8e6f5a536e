// A tool that is halted on one node is halted for whoever listens to another, and lifted there, in the order of the store.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createVerifier, type Verifier } from '@writ/sdk/resource/verifier'
import { type Composed, createServer } from '@writ/server'
import { startPostgres } from '@writ/server/testing'
import { expect } from '../harness/agent.ts'
import { issuer } from '../harness/authority.ts'
import { until } from '../harness/deadline.ts'
import { Party } from '../harness/party.ts'

const resource = 'https://tools.example/mcp'
const tools = ['burn', 'melt', 'drown', 'echo']

const wireOf = (server: Composed) =>
  ((url: string | URL | Request, init?: RequestInit) => {
    const text = String(url)
    return server.fetch(new Request(text.startsWith('/') ? `${issuer}${text}` : text, init))
  }) as typeof fetch

async function scene(t: TestContext) {
  const cluster = await startPostgres()
  t.after(() => cluster.close())
  const data = mkdtempSync(join(tmpdir(), 'writ-nodes-'))
  t.after(() => rmSync(data, { recursive: true, force: true }))
  const databaseUrl = cluster.database()
  const nodes: Composed[] = []
  for (let count = 0; count < 2; count += 1) {
    const node = await createServer({ data, issuer, databaseUrl, rateLimits: 'off' })
    t.after(() => node.close())
    nodes.push(node)
  }
  const { client_id: clientId, jwk } = JSON.parse(readFileSync(join(data, 'operator.json'), 'utf8'))
  const operators = nodes.map(
    node => new Party({ issuer, clientId, jwk, fetch: wireOf(node), nowMs: Date.now }),
  )
  const verifiers: Verifier[] = []
  for (const node of nodes) {
    const verifier = createVerifier({ issuer, resource, fetch: wireOf(node) })
    t.after(() => verifier.close())
    await verifier.ready()
    verifiers.push(verifier)
  }
  const [operator] = operators as [Party]
  const body = { identifier: resource, name: 'Tools', scopes: [{ name: 'call', description: 'Calls' }] }
  expect(await operator.manage('POST', '/resources', body), 201)
  return { operators, verifiers }
}

/** What everybody who has confirmed everything up to now believes to be halted. */
async function believed(operator: Party, verifiers: readonly Verifier[]): Promise<readonly string[][]> {
  await until('both have confirmed', 20, async () => {
    const { epoch, items } = expect(await operator.manage('GET', '/enforcement-points'), 200)
    return items.length === 2 && items.every((item: { epoch: number }) => item.epoch >= epoch)
  })
  return verifiers.map(verifier => tools.filter(tool => verifier.isHalted(tool)))
}

test('whoever has confirmed a halt or a lift believes it, on whatever node it was made and heard of', async t => {
  const { operators, verifiers } = await scene(t)
  const [operator] = operators as [Party]
  const live = new Map<string, string>()
  for (let step = 0; step < 24; step += 1) {
    const by = operators[step % 2] as Party
    const tool = tools[(step * 7 + (step >> 2)) % 3] as string
    const id = live.get(tool)
    if (id === undefined) {
      const body = { kind: 'tool', target: `${resource}#${tool}`, reason: 'test' }
      live.set(tool, expect(await by.manage('POST', '/halts', body), 201).id)
    } else {
      live.delete(tool)
      expect(await by.manage('POST', `/halts/${id}/lift`, { reason: 'test' }), 200)
    }
    const truth = tools.filter(one => live.has(one))
    assert.deepEqual(await believed(operator, verifiers), [truth, truth], `step ${step}`)
  }
})

test('halts on both nodes at once: nobody forgets one of them', async t => {
  const { operators, verifiers } = await scene(t)
  const [operator] = operators as [Party]
  const made = await Promise.all(
    ['burn', 'melt', 'drown'].map(async (tool, index) => {
      const by = operators[index % 2] as Party
      const body = { kind: 'tool', target: `${resource}#${tool}`, reason: 'test' }
      return expect(await by.manage('POST', '/halts', body), 201).id as string
    }),
  )
  const all = ['burn', 'melt', 'drown']
  assert.deepEqual(await believed(operator, verifiers), [all, all])
  await Promise.all(
    made.map(async (id, index) => {
      const by = operators[(index + 1) % 2] as Party
      expect(await by.manage('POST', `/halts/${id}/lift`, { reason: 'test' }), 200)
    }),
  )
  assert.deepEqual(await believed(operator, verifiers), [[], []])
})
