// AuthZEN Authorization API 1.0 over HTTPS (§10): evidence and bodies out of requests, decisions into answers.
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import { parseJsonObject } from '@writ/sdk/protocol/json'
import type { Ctx } from '../../context.ts'
import { evaluateAll, type Item, type Semantic } from '../../decision/batch.ts'
import { evaluate } from '../../decision/evaluate.ts'
import { search } from '../../decision/search.ts'
import { type Settled, settle } from '../../decision/settlement.ts'
import type { Caller } from '../../domain/caller.ts'
import { fixedLimits } from '../../limits.ts'
import { authenticate, type VerifiedTokens } from '../../protocol/access.ts'
import { readBody } from '../body.ts'
import { singleProof } from '../oauth.ts'
import { type FaceDeps, json, published, type Route } from '../route.ts'
import { amountsOf, evaluationOf, membersOf } from './request.ts'
import { tellerFor } from './requestable.ts'
import { searchOf } from './search.ts'

type Members = Readonly<Record<string, unknown>>

const { maxEvaluations, maxJsonDepth } = fixedLimits

/** Bounds of a body: a batch names a hundred operations with their arguments. */
const bounds = { maxDepth: maxJsonDepth, maxMembers: 20_000 } as const

export interface AuthzenFace {
  readonly verifiedTokens: VerifiedTokens
}

interface Endpoint {
  readonly name: string
  readonly path: string
  /** Its member of the metadata; undefined for what the standard does not know. */
  readonly publishedAs: string | undefined
  handle(ctx: Ctx, deps: FaceDeps, requested: { caller: Caller; body(): Promise<Members> }): Promise<object>
}

const endpoints: readonly Endpoint[] = [
  {
    name: 'access-evaluation',
    path: '/access/v1/evaluation',
    publishedAs: 'access_evaluation_endpoint',
    handle: (ctx, deps, { caller, body }) =>
      evaluate(
        ctx,
        deps,
        { caller, read: async () => evaluationOf(await body()) },
        tellerFor(ctx, deps, caller),
      ),
  },
  {
    name: 'access-evaluations',
    path: '/access/v1/evaluations',
    publishedAs: 'access_evaluations_endpoint',
    async handle(ctx, deps, { caller, body }) {
      const members = once(body)
      const tell = tellerFor(ctx, deps, caller)
      const { evaluations } = await members().catch(() => ({ evaluations: undefined }) as Members)
      // AuthZEN §7.1: without evaluations it is one.
      const isSingle = evaluations === undefined || (Array.isArray(evaluations) && evaluations.length === 0)
      return isSingle
        ? evaluate(ctx, deps, { caller, read: async () => evaluationOf(await members()) }, tell)
        : evaluateAll(ctx, deps, { caller, read: async () => batchOf(await members()) }, tell)
    },
  },
  ...(['subject', 'resource', 'action'] as const).map(
    (sought): Endpoint => ({
      name: `access-search-${sought}`,
      path: `/access/v1/search/${sought}`,
      publishedAs: `search_${sought}_endpoint`,
      handle: (ctx, deps, { caller, body }) =>
        search(ctx, deps, { caller, read: async () => searchOf(sought, await body()) }),
    }),
  ),
]

/** Ours, beside the endpoints of the standard. */
const settlementEndpoint: Endpoint = {
  name: 'access-settlement',
  path: '/access/v1/settlements',
  publishedAs: undefined,
  handle: (ctx, deps, { caller, body }) => settle(ctx, deps, caller, async () => settledOf(await body())),
}

function settledOf(body: Members): Settled {
  const { reservation, amounts, ...others } = body
  const wrong = Object.keys(others).length > 0 || typeof reservation !== 'string' || reservation.length > 64
  if (wrong) throw new Fault('invalid_request', 'Send reservation and amounts.', { kind: 'members' })
  return { reservation: reservation as string, amounts: amountsOf(amounts) }
}

function once<T>(read: () => Promise<T>): () => Promise<T> {
  let known: Promise<T> | undefined
  return () => (known ??= read())
}

const semantics: readonly Semantic[] = ['execute_all', 'deny_on_first_deny', 'permit_on_first_permit']

/** AuthZEN §7.1: the items, and where they end (§7.1.2.1). Throws `invalid_request` for no batch at all. */
function batchOf(body: Members): { items: readonly Item[]; semantic: Semantic } {
  const { evaluations } = body
  if (!Array.isArray(evaluations) || evaluations.length > maxEvaluations)
    throw new Fault('invalid_request', `evaluations must be a list of at most ${maxEvaluations}.`, {
      kind: 'evaluations',
    })
  const { evaluations_semantic: named = 'execute_all' } = membersOf(body, 'options')
  const semantic = semantics.find(one => one === named)
  if (semantic === undefined)
    throw new Fault('invalid_request', `options.evaluations_semantic is one of ${semantics.join(', ')}.`, {
      kind: 'evaluations_semantic',
    })
  return { semantic, items: evaluations.map(item => itemOf(body, item)) }
}

/** The defaults of all items (AuthZEN §7.1.1). An item that names one of them replaces it whole: two halves make no entity. */
function common({ subject, action, resource, context }: Members): Members {
  return { subject, action, resource, context }
}

function itemOf(body: Members, item: unknown): Item {
  try {
    const own = membersOf({ item }, 'item')
    return evaluationOf({
      ...common(body),
      ...own,
      options: { ...membersOf(body, 'options'), ...membersOf(own, 'options') },
    })
  } catch (error) {
    if (isFault(error)) return { problem: error.message }
    throw error
  }
}

export function authzenRoutes(face: AuthzenFace): readonly Route[] {
  return [...endpoints, settlementEndpoint].map(
    (endpoint): Route => ({
      name: endpoint.name,
      method: 'POST',
      path: endpoint.path,
      face: 'problem',
      cors: false,
      echoesRequestId: true,
      ...(endpoint.publishedAs === undefined ? {} : { publishedAs: { authzen: endpoint.publishedAs } }),
      async handle(ctx, deps, request) {
        const caller = await callerOf(ctx, { ...deps, ...face }, request, endpoint.path)
        const body = once(() => bodyOf(request, deps.config.maxBodyBytes))
        return json(await endpoint.handle(ctx, deps, { caller, body }))
      },
    }),
  )
}

/** AuthZEN §11.2: the enforcement point authenticates, here by a bound token for the management API. */
function callerOf(ctx: Ctx, deps: FaceDeps & AuthzenFace, request: Request, path: string): Promise<Caller> {
  const evidence = {
    authorization: request.headers.get('authorization') ?? undefined,
    dpop: singleProof(request),
    method: request.method,
    uri: published(ctx.issuer, path),
    isCommitted: true,
  } as const
  return authenticate(ctx, deps, evidence, published(ctx.issuer, '/api/v1'))
}

/** Strict JSON; whatever is wrong with it is a 400 (AuthZEN §10.1.2), but for its size. */
async function bodyOf(request: Request, maxBytes: number): Promise<Members> {
  try {
    const value = parseJsonObject(await readBody(request, 'application/json', maxBytes), {
      maxBytes,
      ...bounds,
    })
    if (value !== undefined) return value
  } catch (error) {
    if (!isFault(error) || error.code !== 'unsupported_media_type') throw error
    throw new Fault('invalid_request', error.message, error.why)
  }
  throw new Fault('invalid_request', 'The body must be one JSON object without duplicate members.', {
    kind: 'malformed_json',
  })
}
