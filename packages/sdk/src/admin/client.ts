// A typed client of the management API: one call per operation, pages as they are needed, refusals as Faults.
import { type Code, codes, Fault } from '../protocol/fault.ts'
import { type Operations, operations } from './operations.ts'

export type OperationId = keyof Operations
export type Answer<O extends OperationId> = Operations[O]['answer']
export type Input<O extends OperationId> = Operations[O]['input'] & CallOptions

/** Beside what the operation itself takes. */
export interface CallOptions {
  /** A repeated `POST` with the same key gets the first answer and has no second effect. */
  readonly idempotencyKey?: string
  /** The version an answer carried: refused as a `conflict` where the object was changed since. */
  readonly ifVersion?: number
  readonly signal?: AbortSignal
}

/** Who calls: an `Agent`, or anything that can send a request in somebody's name. */
export interface Authenticated {
  readonly issuer: string
  /** `fetch` that puts in a token for `resource` and a proof. */
  fetch(input: string, init: RequestInit & { readonly resource: string }): Promise<Response>
}

type Listing = {
  [O in OperationId]: Answer<O> extends { readonly items: readonly unknown[] } ? O : never
}[OperationId]
type Item<O extends Listing> = Answer<O> extends { readonly items: readonly (infer I)[] } ? I : never

/** The arguments after the operation's name: none are needed where nothing is required. */
type Arguments<O extends OperationId> = object extends Operations[O]['input']
  ? [input?: Input<O>]
  : [input: Input<O>]

export interface AdminClient {
  /** Throws the Fault that the API answered; `why` holds the status and the request id of the audit entry. */
  call<O extends OperationId>(operation: O, ...input: Arguments<O>): Promise<Answer<O>>
  /** Every item of a list, asked for page by page. Throws what `call` throws. */
  pages<O extends Listing>(operation: O, ...input: Arguments<O>): AsyncGenerator<Item<O>, void, undefined>
}

/**
 * @example
 * const admin = createAdminClient(Agent.fromCredentials(operator))
 * const agent = await admin.call('agents.create', { body: { name: 'billing', owner: 'ada', purpose: 'Pays invoices' } })
 * for await (const grant of admin.pages('grants.list', { query: { agent: agent.id } })) console.log(grant.scopes)
 */
export function createAdminClient(caller: Authenticated): AdminClient {
  const api = `${caller.issuer}/api/v1`
  const call = async <O extends OperationId>(operation: O, ...[input]: Arguments<O>): Promise<Answer<O>> => {
    const { method, path } = operations[operation]
    const parts = (input ?? {}) as Loose
    const answer = await caller.fetch(api + pathOf(path, parts.params) + queryOf(parts.query), {
      ...initOf(method, parts),
      resource: api,
    })
    return (await readAnswer(answer)) as Answer<O>
  }
  return {
    call,
    async *pages(operation, ...[input]) {
      for (let after: string | null | undefined; after !== null; ) {
        const query = { ...(input as Loose | undefined)?.query, ...(after === undefined ? {} : { after }) }
        // biome-ignore lint/suspicious/noExplicitAny: the page is of this operation, which no type can follow here
        const page: any = await (call as any)(operation, { ...input, query })
        yield* page.items
        after = page.next
      }
    },
  }
}

/** The input of any operation, as the request is made from it. */
interface Loose extends CallOptions {
  readonly params?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string | number | undefined>>
  readonly body?: unknown
}

function pathOf(template: string, params: Loose['params'] = {}): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? ''))
}

function queryOf(query: Loose['query'] = {}): string {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)]],
  )
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`
}

function initOf(method: string, { body, idempotencyKey, ifVersion, signal }: Loose): RequestInit {
  return {
    method,
    headers: {
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
      ...(ifVersion === undefined ? {} : { 'if-match': `"${ifVersion}"` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  }
}

async function readAnswer(answer: Response): Promise<unknown> {
  if (answer.status === 204) return undefined
  const text = await answer.text()
  const body = parse(text)
  if (answer.ok && body !== undefined) return body
  const { code, detail, request_id: requestId } = (body ?? {}) as Readonly<Record<string, unknown>>
  const known = typeof code === 'string' && Object.hasOwn(codes, code)
  throw new Fault(
    known ? (code as Code) : 'server_error',
    typeof detail === 'string' ? detail : `The management API answered ${answer.status} without saying why.`,
    {
      kind: 'management_api',
      status: answer.status,
      requestId: requestId ?? answer.headers.get('x-request-id'),
    },
  )
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
