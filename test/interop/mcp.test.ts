// The official MCP clients, old line and new, against the authority and a guarded server: with our fetch, and with
// nothing of ours but an address and a key.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  Client,
  ClientCredentialsProvider,
  DpopSession,
  StreamableHTTPClientTransport as NewTransport,
  PrivateKeyJwtProvider,
} from '@modelcontextprotocol/client'
import * as v1 from '@modelcontextprotocol/sdk/client/auth-extensions.js'
import { Client as V1Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as V1Transport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { Agent } from '@writ/sdk/agent'
import { grant } from '../harness/agent.ts'
import type { Authority } from '../harness/authority.ts'
import { type Holder, holder, resourceAt, site } from './site.ts'
import { guardedTools } from './tools.ts'

/** What both lines of the client have in common, as far as it is used here. */
interface Tools {
  connect(): Promise<void>
  call(name: string): Promise<string>
  list(): Promise<string[]>
}

type Line = 'client' | 'sdk'
type Options = NonNullable<ConstructorParameters<typeof NewTransport>[1]>

function toolsOf(t: TestContext, line: Line, url: string, options: Options): Tools {
  const about = { name: 'interop', version: '1' }
  // The old line is the same in what is used here; its types only lack what came later.
  const client = line === 'sdk' ? (new V1Client(about) as unknown as Client) : new Client(about, negotiated)
  const OfLine = line === 'sdk' ? (V1Transport as unknown as typeof NewTransport) : NewTransport
  const transport: Parameters<Client['connect']>[0] = new OfLine(new URL(url), options)
  t.after(() => client.close())
  return {
    connect: () => client.connect(transport),
    list: async () => (await client.listTools()).tools.map(({ name }) => name),
    async call(name) {
      const { content } = await client.callTool({ name, arguments: { message: 'hello' } })
      const [first] = content
      return first?.type === 'text' ? first.text : ''
    },
  }
}

const negotiated = { versionNegotiation: { mode: 'auto' } } as const
const lines: readonly Line[] = ['client', 'sdk']
const named = (line: Line): string => `@modelcontextprotocol/${line}`

/** What every kind of client has to see: the list, what was granted, what was not, and that it is once it is. */
async function seesWhatIsGranted(tools: Tools, { writ, url, agent }: Staged, refusal: RegExp): Promise<void> {
  await tools.connect()
  assert.deepEqual(await tools.list(), ['echo', 'shout'])
  assert.equal(await tools.call('echo'), 'hello')
  await assert.rejects(tools.call('shout'), refusal)
  assert.equal(await tools.call('echo'), 'hello')
  await grant(writ, agent.clientId, ['write'], { resource: url })
  assert.equal(await tools.call('shout'), 'hello')
}

interface Staged {
  readonly writ: Authority
  readonly url: string
  readonly agent: Holder
}

async function stage(t: TestContext, bearer: boolean): Promise<Staged> {
  const writ = await site(t)
  const url = await resourceAt(t, writ, {
    path: '/mcp',
    members: { bearer_allowed: bearer },
    make: resource => guardedTools({ issuer: writ.issuer, resource, bearer }),
  })
  const agent = await holder(writ, { grants: { [url]: ['read'] } })
  return { writ, url, agent }
}

for (const line of lines) {
  test(`${named(line)} works with the fetch of an agent, and changes nothing else`, async t => {
    const staged = await stage(t, false)
    const { writ, url, agent } = staged
    const acting = Agent.fromCredentials({ issuer: writ.issuer, client_id: agent.clientId, jwk: agent.jwk })
    t.after(() => acting.close())
    await seesWhatIsGranted(
      toolsOf(t, line, url, { fetch: acting.fetchFor() }),
      staged,
      /lacks a scope|write/,
    )
  })
}

/**
 * The providers of the clients for agents without a person, unchanged. Their schemas demand an authorization endpoint,
 * which an issuer without grants for people does not have (RFC 8414 §2); so they are given the document itself, in the
 * place that the clients have for what was discovered elsewhere.
 */
async function providerOf(line: Line, { writ, agent }: Staged) {
  const Provider = line === 'sdk' ? v1.PrivateKeyJwtProvider : PrivateKeyJwtProvider
  const provider = new Provider({
    clientId: agent.clientId,
    privateKey: agent.jwk as unknown as Record<string, unknown>,
    algorithm: agent.jwk.alg,
    expectedIssuer: writ.issuer,
  })
  const answer = await fetch(`${writ.issuer}/.well-known/oauth-authorization-server`)
  const authorizationServerMetadata = await answer.json()
  const discovered = { authorizationServerUrl: writ.issuer, authorizationServerMetadata }
  return { provider: provider as PrivateKeyJwtProvider, discovered }
}

for (const line of lines) {
  test(`the provider of ${named(line)} obtains bearer tokens where a resource was registered for them`, async t => {
    const staged = await stage(t, true)
    const { provider, discovered } = await providerOf(line, staged)
    const authProvider = Object.assign(provider, { discoveryState: () => discovered })
    await seesWhatIsGranted(
      toolsOf(t, line, staged.url, { authProvider }),
      staged,
      /not granted|after trying upscoping/,
    )
    assert.equal((await provider.tokens())?.token_type, 'Bearer')
  })

  test(`the provider of ${named(line)} is told why it obtains no bearer token for any other resource`, async t => {
    const staged = await stage(t, false)
    const { provider, discovered } = await providerOf(line, staged)
    const authProvider = Object.assign(provider, { discoveryState: () => discovered })
    await assert.rejects(toolsOf(t, line, staged.url, { authProvider }).connect(), /DPoP/)
  })

  test(`the provider of ${named(line)} alone stops at the document: it demands an authorization endpoint`, async t => {
    const staged = await stage(t, true)
    const { provider } = await providerOf(line, staged)
    await assert.rejects(
      toolsOf(t, line, staged.url, { authProvider: provider }).connect(),
      /authorization_endpoint/,
    )
  })
}

for (const alg of ['ES256', 'EdDSA'] as const) {
  test(`the new line of the client proves its ${alg} key on each call when its provider has one`, async t => {
    const staged = await stage(t, false)
    const { provider, discovered } = await providerOf('client', staged)
    const session = await DpopSession.create({ alg })
    const authProvider = Object.assign(provider, { discoveryState: () => discovered, dpop: () => session })
    await seesWhatIsGranted(
      toolsOf(t, 'client', staged.url, { authProvider }),
      staged,
      /write is not granted/,
    )
    assert.equal((await provider.tokens())?.token_type, 'DPoP')
  })
}

test('a secret that somebody thought up opens nothing for an agent, which proves itself by its key', async t => {
  const staged = await stage(t, true)
  const { discovered } = await providerOf('client', staged)
  const secret = new ClientCredentialsProvider({
    clientId: staged.agent.clientId,
    clientSecret: 'a secret',
    expectedIssuer: staged.writ.issuer,
  })
  const authProvider = Object.assign(secret, { discoveryState: () => discovered })
  await assert.rejects(
    toolsOf(t, 'client', staged.url, { authProvider }).connect(),
    /could not be authenticated/,
  )
})
