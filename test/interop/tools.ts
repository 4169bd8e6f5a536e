// A server of the official MCP library with two tools, behind our guard: `echo` takes `read`, `shout` takes `write`.
import { createMcpHandler, fromJsonSchema, McpServer } from '@modelcontextprotocol/server'
import { toResponse } from '@writ/sdk/resource/fetch'
import { decideRequest, type McpOptions, mcpGuard } from '@writ/sdk/resource/mcp'
import type { Resource } from './site.ts'

const inputSchema = fromJsonSchema<{ message: string }>({
  type: 'object',
  properties: { message: { type: 'string' } },
})

export function guardedTools(options: Omit<McpOptions, 'tools'>): Resource {
  const backend = createMcpHandler(() => {
    const server = new McpServer({ name: 'tools', version: '1' })
    for (const name of ['echo', 'shout'])
      server.registerTool(name, { inputSchema }, ({ message }) => ({
        content: [{ type: 'text', text: message }],
      }))
    return server
  })
  const guard = mcpGuard({ ...options, tools: { echo: 'read', shout: 'write' } })
  const handle = async (request: Request): Promise<Response> => {
    const decision = await decideRequest(guard, request)
    if (decision.kind === 'answer') return toResponse(decision.answer)
    const { headers, body } = decision
    const { method, url } = request
    return backend.fetch(new Request(url, { method, headers, ...(body && { body: Buffer.from(body) }) }))
  }
  return { handle, verifier: guard.verifier }
}
