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

/** An operation with the row of its type, and the object of the API that it is about: the first segment of its path. */
interface Row {
  readonly id: string
  readonly area: string
  readonly type: string
  readonly place: string
}

/** In the order of the operations' names. */
const rowsOf = ({ paths }: OpenApi): readonly Row[] =>
  Object.entries(paths)
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        id: operation.operationId,
        area: path.split('/')[1] ?? '',
        type: rowOf(operation),
        place: `'${operation.operationId}': { method: '${method.toUpperCase()}', path: '${path}' },`,
      })),
    )
    .sort((a, b) => (a.id < b.id ? -1 : 1))

const interfaceOf = (area: string): string =>
  `${area.replace(/(?:^|-)(.)/g, (_dash, letter: string) => letter.toUpperCase())}Operations`

const mentions = (type: string, name: string): boolean =>
  new RegExp(`\\b${name}\\b`).test(type.replaceAll(/\/\*.*?\*\//g, ''))

/** One file: the objects that only this area has, and what its operations take and answer. */
const renderArea = (
  { components: { schemas } }: OpenApi,
  area: string,
  {
    rows,
    own,
    shared,
  }: { readonly rows: readonly Row[]; readonly own: readonly string[]; readonly shared: readonly string[] },
): string => {
  const texts = [...rows.map(({ type }) => type), ...own.map(name => objectOf(schemas[name] ?? {}))]
  const taken = shared.filter(name => texts.some(text => mentions(text, name)))
  return [
    generated(`What the operations below /${area} take and answer.`),
    ...(taken.length === 0 ? [] : [`import type { ${taken.join(', ')} } from './shared.ts'`]),
    ...own.map(name => `interface ${name} ${objectOf(schemas[name] ?? {})}`),
    `export interface ${interfaceOf(area)} {\n${rows.map(({ type }) => type).join('\n')}\n}`,
  ].join('\n\n')
}

const folder = 'packages/sdk/src/admin/operations'

/** File → module, of the types that the admin client rests on: a file for each object of the API. */
export const renderClient = (document: OpenApi): Readonly<Record<string, string>> => {
  const rows = rowsOf(document)
  const areas = [...Map.groupBy(rows, ({ area }) => area)].sort(([a], [b]) => (a < b ? -1 : 1))
  const { schemas } = document.components
  // An object that another one holds is used wherever that one is.
  const usedIn = (some: readonly Row[]): ReadonlySet<string> => {
    const texts = some.map(({ type }) => type)
    const used = new Set<string>()
    for (const text of texts) {
      for (const [name, schema] of Object.entries(schemas)) {
        if (used.has(name) || !mentions(text, name)) continue
        used.add(name)
        texts.push(objectOf(schema))
      }
    }
    return used
  }
  const byArea = new Map(areas.map(([area, some]) => [area, usedIn(some)]))
  const users = new Map(
    Object.keys(schemas).map(name => [
      name,
      areas.flatMap(([area]) => (byArea.get(area)?.has(name) ? [area] : [])),
    ]),
  )
  const named = (those: (at: readonly string[]) => boolean): string[] =>
    [...users].filter(([, at]) => those(at)).map(([name]) => name)
  const shared = named(at => at.length > 1)
  const objects = shared.map(name => `export interface ${name} ${objectOf(schemas[name] ?? {})}`)
  const all = [
    generated('Every operation of the management API, and where it is.'),
    areas.map(([area]) => `import type { ${interfaceOf(area)} } from './operations/${area}.ts'`).join('\n'),
    `export interface Operations extends ${areas.map(([area]) => interfaceOf(area)).join(', ')} {}`,
    `export const operations = {\n${rows.map(({ place }) => place).join('\n')}\n} as const satisfies Readonly<Record<keyof Operations, { readonly method: string; readonly path: string }>>`,
  ]
  return {
    ...Object.fromEntries(
      areas.map(([area, some]) => [
        `${folder}/${area}.ts`,
        renderArea(document, area, {
          rows: some,
          own: named(at => at.length === 1 && at[0] === area),
          shared,
        }),
      ]),
    ),
    [`${folder}/shared.ts`]: [generated('Objects of several parts of the management API.'), ...objects].join(
      '\n\n',
    ),
    [`${folder}.ts`]: all.join('\n\n'),
  }
}
