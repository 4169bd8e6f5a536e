// From an OpenAPI 3.1 document to the types of a client: one type per schema, one row per operation.

interface Schema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Schema
  readonly description?: string
}

interface Content {
  readonly content?: { readonly 'application/json'?: { readonly schema: Schema } }
}

interface Operation {
  readonly operationId: string
  readonly summary: string
  readonly security: readonly { readonly dpop?: readonly string[] }[]
  readonly parameters?: readonly { name: string; in: string; required: boolean; schema: Schema }[]
  readonly requestBody?: Content & { readonly required: boolean }
  readonly responses: Readonly<Record<string, Content>>
}

/** The parts of a document that the client is made of. */
export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

const union = (parts: readonly string[]): string => [...new Set(parts)].join(' | ')

const literal = (value: unknown): string =>
  typeof value === 'string' ? `'${value.replaceAll("'", "\\'")}'` : String(value)

/** The type of a value of this schema. */
const typeOf = (schema: Schema): string => {
  if (schema.$ref) return schema.$ref.replace('#/components/schemas/', '')
  if (schema.const !== undefined) return literal(schema.const)
  if (schema.enum) return union(schema.enum.map(literal))
  if (schema.anyOf) return union(schema.anyOf.map(typeOf))
  if (Array.isArray(schema.type)) return union(schema.type.map(type => typeOf({ ...schema, type })))
  switch (schema.type) {
    case 'object':
      return objectOf(schema)
    case 'array':
      return `readonly (${typeOf(schema.items ?? {})})[]`
    case 'integer':
      return 'number'
    case 'string':
    case 'number':
    case 'boolean':
    case 'null':
      return schema.type
    default:
      return 'unknown'
  }
}

const objectOf = ({ properties = {}, required = [], additionalProperties }: Schema): string => {
  const members = Object.entries(properties).map(([name, member]) => {
    const said = member.description === undefined ? '' : `/** ${member.description} */\n`
    return `${said}readonly ${name}${required.includes(name) ? '' : '?'}: ${typeOf(member)}`
  })
  if (typeof additionalProperties !== 'object') return `{\n${members.join('\n')}\n}`
  return `Readonly<Record<string, ${typeOf(additionalProperties)}>>`
}

/** An object of the parameters in this place; absent where there are none. */
const parametersOf = (operation: Operation, place: string): string[] => {
  const those = operation.parameters?.filter(parameter => parameter.in === place) ?? []
  if (those.length === 0) return []
  // A query is text on the wire, and a number in a program.
  const members = those.map(({ name, required, schema }) => {
    const type =
      place === 'query' && schema.enum === undefined && schema.const === undefined
        ? 'string | number'
        : typeOf(schema)
    return `readonly ${name}${required ? '' : '?'}: ${type}`
  })
  const isOptional = those.every(({ required }) => !required)
  return [
    `readonly ${place === 'path' ? 'params' : place}${isOptional ? '?' : ''}: { ${members.join('; ')} }`,
  ]
}

const rowOf = (operation: Operation): string => {
  const { schema: body } = operation.requestBody?.content?.['application/json'] ?? {}
  const { content } =
    Object.entries(operation.responses).find(([status]) => status.startsWith('2'))?.[1] ?? {}
  const answer = content?.['application/json']?.schema
  const input = [
    ...parametersOf(operation, 'path'),
    ...parametersOf(operation, 'query'),
    ...(body === undefined || !operation.requestBody?.required ? [] : [`readonly body: ${typeOf(body)}`]),
  ]
  const taken = input.length === 0 ? 'object' : `{ ${input.join('; ')} }`
  const shape = `{ readonly input: ${taken}; readonly answer: ${answer ? typeOf(answer) : 'undefined'} }`
  return `/** ${operation.summary}. */\n'${operation.operationId}': ${shape}`
}

const generated = (what: string): string =>
  `// Generated from docs/openapi.json by tools/openapi.ts; never edited. ${what}`

const renderObjects = ({ components }: OpenApi, used: readonly string[]): string =>
  [
    generated('The objects of the management API.'),
    ...used.map(name => `export interface ${name} ${objectOf(components.schemas[name] ?? {})}`),
  ].join('\n\n')

/** The rows of both tables, in the order of the operations' names. */
const rowsOf = ({ paths }: OpenApi): { readonly types: string; readonly places: string } => {
  const all = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  )
  all.sort((a, b) => (a.operation.operationId < b.operation.operationId ? -1 : 1))
  return {
    types: all.map(({ operation }) => rowOf(operation)).join('\n'),
    places: all
      .map(
        ({ operation, method, path }) =>
          `'${operation.operationId}': { method: '${method}', path: '${path}' },`,
      )
      .join('\n'),
  }
}

/** File → module, of the types that the admin client rests on. */
export const renderClient = (document: OpenApi): Readonly<Record<string, string>> => {
  const { types, places } = rowsOf(document)
  const said = types.replaceAll(/\/\*.*?\*\//g, '')
  const used = Object.keys(document.components.schemas).filter(name => new RegExp(`\\b${name}\\b`).test(said))
  const operations = [
    generated('What each operation of the management API takes and answers, and where it is.'),
    `import type { ${used.join(', ')} } from './objects.ts'`,
    `export interface Operations {\n${types}\n}`,
    `export const operations = {\n${places}\n} as const satisfies Readonly<Record<keyof Operations, { readonly method: string; readonly path: string }>>`,
  ]
  return {
    'packages/sdk/src/admin/objects.ts': renderObjects(document, used),
    'packages/sdk/src/admin/operations.ts': operations.join('\n\n'),
  }
}
