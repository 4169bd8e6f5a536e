// RFC 9396 type `mcp_tool`: one tool of an MCP server, and what its arguments may be.
import { canonicalResource } from '../uri.ts'
import {
  admits,
  type Constraint,
  constraintOf,
  containsConstraint,
  parseConstraint,
  stepsOf,
} from './constraint.ts'
import type { AuthorizationDetail, DetailType, Problem } from './detail.ts'
import { hasOneReading, isRecord, memberProblem } from './members.ts'

interface McpTool extends AuthorizationDetail {
  readonly server: string
  readonly tool: string
  /** Absent: the arguments are not limited. Otherwise those that are not named may not be given. */
  readonly arguments?: Readonly<Record<string, Constraint>>
}

const maxNameLetters = 128
const maxArguments = 64

/** A name is a name: `*` is one as well, and stands for no other. */
export const mcpTool: DetailType = {
  type: 'mcp_tool',

  parse(value) {
    const problem = memberProblem(value, ['type', 'server', 'tool'], ['arguments'])
    if (problem !== undefined) return problem
    const { server, tool, arguments: given } = value
    if (typeof server !== 'string' || canonicalResource(server) !== server)
      return { problem: 'has a server that is no identifier of a resource in its canonical form' }
    if (!isName(tool)) return { problem: 'has a tool that is no name' }
    if (!Object.hasOwn(value, 'arguments')) return { type: 'mcp_tool', server, tool }
    const limits = parseArguments(given)
    return 'problem' in limits ? limits : { type: 'mcp_tool', server, tool, arguments: limits.arguments }
  },

  contains(outer: McpTool, inner: McpTool) {
    if (outer.server !== inner.server || outer.tool !== inner.tool) return false
    if (outer.arguments === undefined) return true
    return inner.arguments !== undefined && areWithin(outer.arguments, inner.arguments)
  },

  covers(detail: McpTool, { action, resource, object, arguments: given }) {
    if (action !== 'call' || object?.type !== 'tool') return false
    if (resource !== detail.server || object.id !== detail.tool) return false
    const limits = detail.arguments
    if (limits === undefined) return true
    return (
      Object.keys(given).every(name => Object.hasOwn(limits, name)) &&
      Object.entries(limits).every(([name, limit]) =>
        admits(limit, Object.hasOwn(given, name) ? given[name] : undefined),
      )
    )
  },

  isAt: (detail: McpTool, resource) => detail.server === resource,

  steps: ({ arguments: limits = {} }: McpTool) =>
    Object.values(limits).reduce((sum, limit) => sum + stepsOf(limit), 0),

  least({ action, resource, object, arguments: given }) {
    if (action !== 'call' || object?.type !== 'tool') return undefined
    const limits: [string, Constraint][] = []
    for (const [name, value] of Object.entries(given)) {
      const limit = constraintOf(value)
      if (limit === undefined) return undefined
      limits.push([name, limit])
    }
    const detail = mcpTool.parse({
      type: 'mcp_tool',
      server: resource,
      tool: object.id,
      arguments: Object.fromEntries(limits),
    })
    return 'type' in detail ? detail : undefined
  },
} as DetailType

const isName = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value.length <= maxNameLetters && hasOneReading(value)

function parseArguments(
  given: unknown,
): { readonly arguments: Readonly<Record<string, Constraint>> } | Problem {
  if (!isRecord(given) || Object.keys(given).length > maxArguments)
    return { problem: `has arguments that are no object of at most ${maxArguments} members` }
  const limits: [string, Constraint][] = []
  for (const [name, value] of Object.entries(given)) {
    // Copied by assignment anywhere downstream, it would set a prototype.
    if (!isName(name) || name === '__proto__') return { problem: 'has an argument whose name is none' }
    const limit = parseConstraint(value)
    if ('problem' in limit) return { problem: `has a constraint on ${name} that ${limit.problem}` }
    limits.push([name, limit])
  }
  return { arguments: Object.fromEntries(limits) }
}

/** An argument that the inner one may be given, the outer one knows; one that the outer one needs, the inner one needs. */
function areWithin(
  outer: Readonly<Record<string, Constraint>>,
  inner: Readonly<Record<string, Constraint>>,
): boolean {
  return (
    Object.entries(inner).every(([name, limit]) => {
      const other = Object.hasOwn(outer, name) ? outer[name] : undefined
      return other !== undefined && containsConstraint(other, limit)
    }) &&
    Object.entries(outer).every(([name, limit]) => Object.hasOwn(inner, name) || limit.optional === true)
  )
}
