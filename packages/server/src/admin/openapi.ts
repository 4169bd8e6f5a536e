// OpenAPI 3.1 of the management API, made from the same rows and schemas that route and guard the requests.
import { type Code, codes } from '@writ/sdk/protocol/fault'
import { z } from 'zod'
import { access } from './access.ts'
import type { AnyOperation } from './operation.ts'
import { operations } from './operations.ts'

type Json = Record<string, unknown>

const problem = z
  .strictObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string().meta({ description: 'A row of the error table, see docs/problems.md' }),
    spec: z.string(),
    request_id: z.string().meta({ description: 'Also in x-request-id and in the audit entry' }),
  })
  .meta({ id: 'Problem' })

/** What an operation may answer instead, by what the codes have in common: a row of `components.responses` each. */
const refusals: Readonly<Record<string, readonly Code[]>> = {
  BadRequest: ['invalid_request'],
  Unauthenticated: ['invalid_token', 'invalid_dpop_proof', 'use_dpop_nonce'],
  Forbidden: ['insufficient_scope', 'access_denied'],
  NotFound: ['not_found'],
  Conflict: ['conflict'],
  TooLarge: ['request_too_large'],
  UnsupportedMediaType: ['unsupported_media_type'],
  Unacceptable: ['invalid_value', 'invalid_key', 'unsupported_member'],
  TooMany: ['rate_limited'],
  Unavailable: ['temporarily_unavailable'],
}

const always = ['BadRequest', 'Unauthenticated', 'Forbidden', 'TooMany', 'Unavailable']
const withPath = ['NotFound']
const withChange = ['Conflict', 'Unacceptable']
const withBody = ['TooLarge', 'UnsupportedMediaType']

/** The status at a protected resource, where a bad proof is a 401 (RFC 9449 §7.1). */
const statusOf = (refusal: string): number =>
  refusal === 'Unauthenticated' ? 401 : codes[firstOf(refusal)].status
const firstOf = (refusal: string): Code => refusals[refusal]?.[0] ?? 'server_error'

/** The document for the API at this URL. */
export function openapiDocument(server: string): Json {
  const schemas: Json = {}
  schemaOf(problem, 'output', schemas)
  const paths: Record<string, Json> = {}
  for (const operation of operations) {
    const path = paths[operation.path] ?? {}
    paths[operation.path] = { ...path, [operation.method.toLowerCase()]: describe(operation, schemas) }
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'Writ management API',
      version: '1',
      description:
        'Agents, their keys, resources, grants and the audit log. Callers authenticate with an access token of this authority whose audience is this API, bound to their key by DPoP (RFC 9449). Everything not granted is refused.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: server }],
    security: [{ dpop: [] }],
    paths: Object.fromEntries(Object.entries(paths).sort(([a], [b]) => (a < b ? -1 : 1))),
    components: {
      schemas: Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1))),
      responses: Object.fromEntries(Object.keys(refusals).map(name => [name, refusalOf(name)])),
      securitySchemes: {
        dpop: {
          type: 'http',
          scheme: 'dpop',
          description: 'Authorization: DPoP <access token>, with a proof in the DPoP header (RFC 9449 §7)',
        },
      },
    },
  }
}

function describe(operation: AnyOperation, schemas: Json): Json {
  const scope = access[operation.id]
  const parameters = [
    ...parametersOf(operation.params, 'path'),
    ...parametersOf(operation.query, 'query'),
    ...(operation.method === 'POST' ? [idempotencyKey] : []),
    ...(operation.method === 'PATCH' || operation.method === 'DELETE' ? [ifMatch] : []),
  ]
  return {
    operationId: operation.id,
    summary: operation.summary,
    tags: [operation.id.slice(0, operation.id.indexOf('.'))],
    security: [{ dpop: scope === undefined ? [] : [scope] }],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(operation.body === null ? {} : { requestBody: requestBodyOf(operation.body, schemas) }),
    responses: responsesOf(operation, schemas),
  }
}

const idempotencyKey: Json = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description:
    'A repeated request with the same key gets the first answer and has no second effect, for a day',
  schema: { type: 'string', minLength: 1, maxLength: 255 },
}

const ifMatch: Json = {
  name: 'If-Match',
  in: 'header',
  required: false,
  description: 'The ETag of an answer: refused as a conflict where the object was changed since',
  schema: { type: 'string' },
}

function parametersOf(schema: z.ZodObject, place: 'path' | 'query'): Json[] {
  return Object.entries(schema.shape as Record<string, z.ZodType>).map(([name, member]) => {
    const { description, ...rest } = schemaOf(member, 'input', {}) as { description?: string }
    return {
      name,
      in: place,
      required: place === 'path' || !member.safeParse(undefined).success,
      ...(description === undefined ? {} : { description }),
      schema: rest,
    }
  })
}

function requestBodyOf(schema: z.ZodType, schemas: Json): Json {
  const required = !schema.safeParse(undefined).success
  return { required, content: { 'application/json': { schema: schemaOf(schema, 'input', schemas) } } }
}

function responsesOf(operation: AnyOperation, schemas: Json): Json {
  const possible = [
    ...always,
    ...(operation.path.includes('{') ? withPath : []),
    ...(operation.method === 'GET' ? [] : withChange),
    ...(operation.body === null ? [] : withBody),
  ]
  return {
    [operation.status]: {
      description: 'Done',
      headers: headersOf(operation),
      ...(operation.answer === null
        ? {}
        : { content: { 'application/json': { schema: schemaOf(operation.answer, 'input', schemas) } } }),
    },
    ...Object.fromEntries(possible.map(name => [statusOf(name), { $ref: `#/components/responses/${name}` }])),
  }
}

function headersOf(operation: AnyOperation): Json {
  const text = (description: string): Json => ({ description, schema: { type: 'string' } })
  return {
    'x-request-id': text('The same as in the audit entry'),
    ...(operation.status === 201 ? { location: text('The URL of what was created') } : {}),
  }
}

function refusalOf(name: string): Json {
  const first = firstOf(name)
  const { title, spec } = codes[first]
  return {
    description: (refusals[name] ?? []).map(code => `${code}: ${codes[code].title}`).join('; '),
    content: {
      'application/problem+json': {
        schema: { $ref: '#/components/schemas/Problem' },
        example: {
          type: `https://writ.example/errors#${first}`,
          title,
          status: statusOf(name),
          detail: `${title}.`,
          code: first,
          spec,
          request_id: '6f1c2f8e-5a55-4c1b-9b6e-3a4f6d1f7f10',
        },
      },
    },
  }
}

/** The JSON Schema of a type; those with an id go into `schemas` and are referred to. */
function schemaOf(type: z.ZodType, io: 'input' | 'output', schemas: Json): Json {
  const {
    $schema: _,
    $defs,
    ...schema
  } = z.toJSONSchema(type, { io, override: simplify }) as Json & { $defs?: Json }
  for (const [name, definition] of Object.entries($defs ?? {})) schemas[name] = refer(definition)
  const { id } = schema as { id?: unknown }
  if (typeof id !== 'string') return refer(schema) as Json
  schemas[id] = refer(schema)
  return { $ref: `#/components/schemas/${id}` }
}

/** RFC 3339 is said by the format; the pattern behind it is half a page. */
function simplify({ jsonSchema }: { jsonSchema: { format?: string; pattern?: string } }): void {
  if (jsonSchema.format === 'date-time') delete jsonSchema.pattern
}

/** Definitions move to where OpenAPI keeps them; an `id` inside a schema would be a base URI to its readers. */
function refer(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(refer)
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).filter(
    ([name, member]) => !(name === 'id' && typeof member === 'string'),
  )
  return Object.fromEntries(
    members.map(([name, member]) => [
      name,
      name === '$ref' && typeof member === 'string'
        ? member.replace('#/$defs/', '#/components/schemas/')
        : refer(member),
    ]),
  )
}
