// The routes of the management API as the published document has them, each with a request that reaches its rule.
import type { Authority } from '../harness/authority.ts'

export interface Asked {
  readonly operation: string
  readonly method: string
  /** Whole, with identifiers that are well formed and name nothing. */
  readonly url: string
  /** A body that reaches validation and no further, where one is taken. */
  readonly body: unknown
  /** The scope that the document demands. */
  readonly scopes: readonly string[]
}

interface Parameter {
  readonly name: string
  readonly in: string
  readonly schema: { readonly pattern?: string }
}

interface Described {
  readonly operationId: string
  readonly security: readonly { readonly dpop: readonly string[] }[]
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly required: boolean }
}

/** An identifier of the parameter's kind that nobody has. */
function nobody({ schema }: Parameter): string {
  const prefix = /^\^([a-z]{3}_)/.exec(schema.pattern ?? '')?.[1]
  return prefix === undefined ? 'nothing' : prefix + '0'.repeat(26)
}

/** The guarded reads of the audit log, which are files by the layout of tlog-tiles and no operations. */
const auditReads = ['/audit', '/api/v1/audit'].flatMap(place => [
  `${place}/entries`,
  `${place}/export`,
  `${place}/tile/entries/000`,
])

function auditRead(url: string): Asked {
  return {
    operation: new URL(url).pathname,
    method: 'GET',
    url,
    body: undefined,
    scopes: ['writ:events:read'],
  }
}

/** Every route of the document the server publishes; throws where it has none. */
export async function routesOf(authority: Authority): Promise<readonly Asked[]> {
  const answer = await authority.fetch('/api/v1/openapi.json')
  const document = (await answer.json()) as {
    servers: { url: string }[]
    paths: Record<string, Record<string, Described>>
  }
  const base = document.servers[0]?.url ?? ''
  const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): Asked => {
      const inPath = operation.parameters?.filter(parameter => parameter.in === 'path') ?? []
      const filled = inPath.reduce(
        (url, parameter) => url.replace(`{${parameter.name}}`, nobody(parameter)),
        path,
      )
      return {
        operation: operation.operationId,
        method: method.toUpperCase(),
        url: base + filled,
        body: operation.requestBody?.required === true ? {} : undefined,
        scopes: operation.security.flatMap(({ dpop }) => dpop),
      }
    }),
  )
  if (routes.length === 0) throw new Error('the document describes no route')
  return [...routes, ...auditReads.map(path => auditRead(`${authority.issuer}${path}`))]
}
