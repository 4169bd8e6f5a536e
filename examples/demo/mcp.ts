// The official MCP client with a `fetch` of ours: all that it takes to make an MCP client an agent with an identity.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'

export interface McpConnection {
  readonly client: Client
  /** The text of the tool's answer. Throws what the client throws. */
  call(tool: string, args: Readonly<Record<string, unknown>>): Promise<string>
}

export async function connect(url: string, fetchAs: typeof fetch): Promise<McpConnection> {
  const client = new Client({ name: 'reporter', version: '1.0.0' })
  const reconnectionOptions = {
    maxRetries: 0,
    initialReconnectionDelay: 1000,
    maxReconnectionDelay: 1000,
    reconnectionDelayGrowFactor: 1,
  }
  const transport = new StreamableHTTPClientTransport(new URL(url), { fetch: fetchAs, reconnectionOptions })
  await client.connect(transport)
  return {
    client,
    async call(name, args) {
      const { content } = await client.callTool({ name, arguments: args })
      return content.map(part => (part.type === 'text' ? part.text : part.type)).join('')
    },
  }
}
