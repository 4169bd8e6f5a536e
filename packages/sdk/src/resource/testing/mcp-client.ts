// A process that calls tools with an official MCP client: started by the tests of the guard, without our conditions.
import { randomUUID } from 'node:crypto'
import { createProof } from '../../protocol/dpop.ts'
import { importPrivate, type PrivateJwk } from '../../protocol/jwk.ts'
import { Secret } from '../../protocol/secret.ts'

interface Task {
  /** The package of the client, and the revision it is to speak. */
  readonly library: '@modelcontextprotocol/client' | '@modelcontextprotocol/sdk'
  readonly mode: 'auto' | 'legacy'
  readonly url: string
  readonly token: string
  readonly jwk: PrivateJwk
  readonly calls: readonly { readonly name: string; readonly arguments: Record<string, unknown> }[]
}

const task = JSON.parse(process.argv[2] ?? '') as Task
const key = importPrivate(new Secret(task.jwk))

const proving: typeof fetch = (input, init) => {
  const headers = new Headers(init?.headers)
  const nowSeconds = Math.floor(Date.now() / 1000)
  const proof = {
    key,
    method: init?.method ?? 'GET',
    uri: String(input),
    accessToken: task.token,
    nowSeconds,
  }
  headers.set('authorization', `DPoP ${task.token}`)
  headers.set('dpop', createProof({ ...proof, jti: randomUUID() }))
  return fetch(input, { ...init, headers })
}

const load = async () => {
  if (task.library === '@modelcontextprotocol/client') return import('@modelcontextprotocol/client')
  const { Client } = await import('@modelcontextprotocol/sdk/client/index.js')
  return { Client, ...(await import('@modelcontextprotocol/sdk/client/streamableHttp.js')) }
}

const { Client, StreamableHTTPClientTransport } =
  (await load()) as typeof import('@modelcontextprotocol/client')
const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: task.mode } })
await client.connect(new StreamableHTTPClientTransport(new URL(task.url), { fetch: proving }))
const results: unknown[] = [(await client.listTools()).tools.length > 3]
for (const call of task.calls) {
  results.push(
    await client.callTool(call).then(
      ({ content }) => content,
      error => String(error),
    ),
  )
}
await client.close()
process.stdout.write(JSON.stringify(results))
