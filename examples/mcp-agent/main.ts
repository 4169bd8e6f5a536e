// An agent that uses an MCP server: the official client, with a `fetch` that proves who calls. No secret is configured.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { Agent } from '@writ/sdk/agent'

const [server, message = 'hello'] = process.argv.slice(2)
if (!server) {
  console.error('usage: mcp-agent URL [MESSAGE]')
  process.exit(2)
}
// Enrols on the first start, with what WRIT_ENROLLMENT holds; afterwards the key in WRIT_AGENT_DIRECTORY is enough.
const agent = await Agent.load()
const client = new Client({ name: 'mcp-agent', version: '1.0.0' })
await client.connect(new StreamableHTTPClientTransport(new URL(server), { fetch: agent.fetchFor() }))
const { content } = await client.callTool({ name: 'echo', arguments: { message } })
console.log(
  JSON.stringify({
    agent: agent.clientId,
    instance: agent.instance,
    key: agent.key().thumbprint,
    content,
  }),
)
await client.close()
agent.close()
