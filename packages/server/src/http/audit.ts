// The audit log over HTTP: checkpoint, tiles and bundles (C2SP tlog-tiles), entries as lines, the export, the key.
import { Fault } from '@writ/sdk/protocol/fault'
import { decideAs, managementIdentifier } from '../admin/access.ts'
import type { Checkpoints } from '../audit/checkpoint.ts'
import { exportLines, findStretch, type Limit } from '../audit/export.ts'
import { type Reading, readAs } from '../audit/reading.ts'
import { readBundle, readHashTile, type Served } from '../audit/tiles.ts'
import type { Ctx } from '../context.ts'
import { decisionFacts } from '../decision/own.ts'
import type { EntryDraft } from '../domain/audit-entry.ts'
import { authenticate, type VerifiedTokens } from '../protocol/access.ts'
import { singleProof } from './oauth.ts'
import type { FaceDeps, Route } from './route.ts'

export interface AuditFace {
  readonly checkpoints: Checkpoints
  readonly verifiedTokens: VerifiedTokens
}

const lines = 'application/x-ndjson'
const longestRead = 1000

/**
 * Where the guarded reads are: in the log's own place, as tlog-tiles has them, and below the management API, because a
 * careful client sends a token for that to no address outside of it.
 */
const places = ['/audit', '/api/v1/audit']

/** What everybody may fetch, and what takes `writ:events:read`. */
export function auditRoutes(face: AuditFace): readonly Route[] {
  return [
    open('audit-checkpoint', '/audit/checkpoint', async ctx => {
      const head = await face.checkpoints.head(ctx)
      if (head === undefined) throw nothingYet()
      // C2SP tlog-tiles: the one mutable resource of the log, not to be cached beyond a few seconds.
      return text(head.note, 'no-cache')
    }),
    open('audit-key', '/audit/key', (ctx, deps) => text(`${deps.auditKey(ctx)}\n`, 'public, max-age=60')),
    ...places.flatMap(place => [
      exporting(face, `${place}/export`),
      // Before the wildcard, which would match this path too.
      entries(face, `${place}/entries`),
      // The same bundles below the address that discovery gives for entries, and in their place among the tiles.
      bundles(face, `${place}/entries/`),
      bundles(face, `${place}/tile/entries/`),
    ]),
    // After the bundles, whose paths it would take.
    open('audit-tile', '/audit/tile/*', async (ctx, deps, request) => {
      const path = `tile/${below(ctx, request, '/audit/tile/')}`
      return served(await readHashTile(ctx, { store: deps.store, audit: face.checkpoints }, path), 'public')
    }),
  ]
}

function open(name: string, path: string, handle: Route['handle']): Route {
  return { name, method: 'GET', path, face: 'problem', cors: true, handle }
}

function bundles(face: AuditFace, prefix: string): Route {
  return guarded(
    face,
    { name: 'audit-bundle', path: `${prefix}*`, type: 'audit.read' },
    async (ctx, deps, request) => {
      const path = `tile/entries/${below(ctx, request, prefix)}`
      const bundle = await readBundle(ctx, { store: deps.store, audit: face.checkpoints }, path)
      return { facts: { bundle: path }, answer: served(bundle, 'private') }
    },
  )
}

function entries(face: AuditFace, path: string): Route {
  return guarded(face, { name: 'audit-entries', path, type: 'audit.read' }, async (ctx, deps, request) => {
    const query = queryOf(request, ['from', 'to'])
    const size = await deps.store.log.size(ctx)
    const from = indexOf(query, 'from') ?? 0
    const to = Math.min(size, indexOf(query, 'to') ?? from + longestRead)
    if (to - from > longestRead) {
      throw new Fault('invalid_value', `Read at most ${longestRead} entries at once.`, {
        kind: 'too_many_entries',
      })
    }
    const found = from < to ? await deps.store.log.range(ctx, from, to) : []
    // Each line is a leaf, byte for byte as it was hashed.
    const body = found.map(entry => `${entry.text}\n`).join('')
    return {
      facts: { from_index: from, to_index: Math.max(from, to) },
      answer: text(body, 'no-store', lines),
    }
  })
}

function exporting(face: AuditFace, path: string): Route {
  return guarded(face, { name: 'audit-export', path, type: 'audit.exported' }, async (ctx, deps, request) => {
    const query = queryOf(request, ['since', 'until'])
    const asked = { since: limitOf(query, 'since'), until: limitOf(query, 'until') }
    const stretch = await findStretch(ctx, deps, asked)
    const produced = exportLines(
      ctx,
      { store: deps.store, keys: deps.keys, audit: face.checkpoints },
      stretch,
    )
    // The checkpoint and the first line before the answer begins: what fails until then is told as what it is.
    const first = await produced.next()
    const answer = new Response(streamOf(first.value ?? '', produced, deps.closing), {
      headers: {
        'content-type': lines,
        'cache-control': 'no-store',
        'content-disposition': 'attachment; filename="writ-audit.jsonl"',
      },
    })
    const facts = {
      since: asked.since?.text ?? null,
      until: asked.until?.text ?? null,
      from_index: stretch.fromIndex,
      to_index: stretch.toIndex,
    }
    return { facts, answer }
  })
}

interface Guarded {
  readonly name: string
  readonly path: string
  readonly type: Reading['type']
}

type Decide = (
  ctx: Ctx,
  deps: FaceDeps,
  request: Request,
) => Promise<{ readonly facts: NonNullable<EntryDraft['facts']>; readonly answer: Response }>

/** A route for holders of a bound access token with `writ:events:read`; each use of it is an entry of its own. */
function guarded(face: AuditFace, { name, path, type }: Guarded, decide: Decide): Route {
  return {
    name,
    method: 'GET',
    path,
    face: 'problem',
    cors: false,
    handle: (ctx, deps, request) => {
      const uri = `${ctx.issuer}${pathBelowIssuer(ctx, request)}`
      return readGuarded(ctx, { ...deps, ...face }, { request, uri, type }, () => decide(ctx, deps, request))
    },
  }
}

export interface GuardedRead {
  readonly request: Request
  /** As published; what the proof has to name (RFC 9449 §4.3). */
  readonly uri: string
  readonly type: Reading['type']
}

/** Authenticates, decides as for `events.list`, and answers once the entry of the reading is durable. */
export async function readGuarded(
  ctx: Ctx,
  deps: FaceDeps & Pick<AuditFace, 'verifiedTokens'>,
  { request, uri, type }: GuardedRead,
  decide: () => ReturnType<Decide>,
): Promise<Response> {
  const evidence = {
    authorization: request.headers.get('authorization') ?? undefined,
    dpop: singleProof(request),
    // RFC 9110 §9.3.2: HEAD is GET without the content; a proof names the method that was sent.
    method: request.method,
    uri,
  }
  const caller = await authenticate(ctx, deps, evidence, managementIdentifier(ctx))
  const { search } = new URL(request.url)
  return readAs(ctx, deps, { caller, type, action: `${uri}${search}` }, async attempt => {
    const decided = await decideAs(ctx, deps, caller, { operation: 'events.list', ...attempt })
    const { facts, answer } = await decide()
    const { bases, spends } = decided
    return { facts: { ...decisionFacts(decided), ...facts }, answer, change: { bases, spends } }
  })
}

/** The path of the request below the issuer's own, as it stands in what is published. */
function pathBelowIssuer(ctx: Ctx, request: Request): string {
  const issuerPath = new URL(ctx.issuer).pathname.replace(/\/$/, '')
  return new URL(request.url).pathname.slice(issuerPath.length)
}

function below(ctx: Ctx, request: Request, prefix: string): string {
  return pathBelowIssuer(ctx, request).slice(prefix.length)
}

function served(found: Served | undefined, who: 'public' | 'private'): Response {
  if (found === undefined) {
    throw new Fault('not_found', 'The published log has no such tile.', { kind: 'no_tile' })
  }
  const seconds = found.isFull ? 31_536_000 : 60
  return new Response(found.bytes, {
    headers: {
      'content-type': 'application/octet-stream',
      'cache-control': `${who}, max-age=${seconds}, immutable`,
    },
  })
}

function text(body: string, caching: string, type = 'text/plain; charset=utf-8'): Response {
  return new Response(body, { headers: { 'content-type': type, 'cache-control': caching } })
}

function nothingYet(): Fault {
  return new Fault('not_found', 'The log has no checkpoint yet; it will within a minute.', {
    kind: 'no_checkpoint',
  })
}

/** What is unknown or comes twice is refused: an export of something else than was meant must not look right. */
function queryOf(request: Request, known: readonly string[]): ReadonlyMap<string, string> {
  const query = new Map<string, string>()
  for (const [name, value] of new URL(request.url).searchParams) {
    if (!known.includes(name) || query.has(name)) {
      throw new Fault('invalid_request', `Use each of these at most once: ${known.join(', ')}.`, {
        kind: 'query',
      })
    }
    query.set(name, value)
  }
  return query
}

function indexOf(query: ReadonlyMap<string, string>, name: string): number | undefined {
  const given = query.get(name)
  if (given === undefined) return undefined
  if (!/^(0|[1-9]\d{0,14})$/.test(given)) {
    throw new Fault('invalid_value', `${name} must be the index of an entry.`, {
      kind: 'index',
      member: name,
    })
  }
  return Number(given)
}

const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/i

function limitOf(query: ReadonlyMap<string, string>, name: string): Limit | undefined {
  const given = query.get(name)
  if (given === undefined) return undefined
  const ms = instant.test(given) ? Date.parse(given) : Number.NaN
  if (Number.isNaN(ms)) {
    const say = `${name} must be an instant such as 2026-11-23T10:00:00Z.`
    throw new Fault('invalid_value', say, { kind: 'instant', member: name })
  }
  return { text: given, ms }
}

/** Lines as a body that is produced as fast as it is read, and breaks off, visibly unfinished, when we stop. */
function streamOf(
  first: string,
  rest: AsyncGenerator<string, void, undefined>,
  closing: AbortSignal,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  return new ReadableStream<Uint8Array>(
    {
      start: controller => controller.enqueue(encoder.encode(first)),
      async pull(controller) {
        closing.throwIfAborted()
        const next = await rest.next()
        if (next.done) controller.close()
        else controller.enqueue(encoder.encode(next.value))
      },
      async cancel() {
        await rest.return()
      },
    },
    { highWaterMark: 1 },
  )
}
