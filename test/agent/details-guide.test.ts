// The programs in the guide to authorization details run as they stand, against a real authority on a socket.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { guideAuthority, programsOf, runProgram } from '../harness/guide.ts'
import { freshDirectory } from './agents.ts'

const root = join(import.meta.dirname, '../..')
const guide = readFileSync(join(root, 'docs/guide/authorization-details.md'), 'utf8')
const programs = programsOf('authorization-details.md')
const [granted = ''] = [...guide.matchAll(/--authorization-details '(\[.*?\])'/g)].map(
  ([, json = '']) => json,
)
const [map = ''] = [...guide.matchAll(/```json\n([\s\S]*?)```/g)].map(([, json = '']) => json)
const shop = 'https://shop.example'
let environment: Record<string, string>
const started = new AsyncDisposableStack()
after(() => started.disposeAsync())

before(async () => {
  const { issuer, operator, manage } = await guideAuthority(started)
  const post = (path: string, members: object) => manage('POST', path, members)
  const scopes = [{ name: 'orders', description: 'Work with orders' }]
  await post('/resources', { identifier: shop, name: 'Shop', scopes, ...JSON.parse(map) })
  const { id } = await post('/agents', { name: 'buyer', owner: operator.clientId, purpose: 'Buys' })
  const details = { authorization_details: JSON.parse(granted) }
  await post('/grants', { agent: id, resource: shop, scopes: ['orders'], reason: 'guide', ...details })
  const { enroll_uri, token } = await post(`/agents/${id}/enrollments`, {})
  environment = {
    ISSUER: issuer,
    WRIT_ENROLLMENT: `${enroll_uri}#${token}`,
    WRIT_AGENT_DIRECTORY: freshDirectory(),
  }
})

test('the guide shows as many programs as are tested here', () => assert.equal(programs.length, 2))

test('an agent gets a token for less than it was granted, and hears what it got', async () => {
  const [detail] = JSON.parse(await runProgram(programs[0] ?? '', environment))
  assert.deepEqual(detail.arguments, { amount: { range: { max: 20 } }, category: { exact: 'ink' } })
})

test('a resource publishes its types and its map of actions', async () => {
  const metadata = JSON.parse(await runProgram(programs[1] ?? '', environment))
  assert.deepEqual(metadata.authorization_details_types_supported, ['mcp_tool'])
  assert.deepEqual(metadata.writ_scope_actions, { version: 1, ...JSON.parse(map) })
})
