// Decisions that a resource gave again from its memory: counted there, vouched for by its key, an entry each in our log.
import { createHash } from 'node:crypto'
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import { parseId } from '@writ/sdk/protocol/identifier'
import { importPublic } from '@writ/sdk/protocol/jwk'
import { readJws, verifyJws } from '@writ/sdk/protocol/jws'
import { isTyp, parseClaims } from '@writ/sdk/protocol/jwt'
import { recordedRefusal, refusalOf, replayedProof } from '../audit/refusal.ts'
import type { Ctx } from '../context.ts'
import { isKeyLive } from '../domain/agent.ts'
import { type EntryDraft, excerpt } from '../domain/audit-entry.ts'
import { type Caller, chainOf } from '../domain/caller.ts'
import type { Committed } from '../domain/change.ts'
import type { Store } from '../store/store.ts'
import { decisionScopes, type Requested } from './evaluate.ts'

export interface ReportDeps {
  readonly store: Pick<Store, 'keys' | 'commit' | 'signals'>
}

/** A batch: as many as one change holds with room to spare, and each of them an entry. */
const mostItems = 100
const mostBytes = 128 * 1024
/** How far back a report may reach, and how long a batch is known: a resource that was cut off for longer says so itself. */
const rememberedSeconds = 24 * 3600
/** As long as what can be decided: an honest report is never refused for what an agent called. */
const mostCharacters = 2048
const keptCharacters = 512
/** A resource whose clock runs ahead by less is believed, as of now: refused, all that it has to say would be lost. */
const aheadSeconds = 3600
/** Of one decision in one report; what is counted of them is added up for years, and has to stay a whole number. */
const mostTimes = 1_000_000_000

const malformed = (kind: string): Fault =>
  new Fault('invalid_request', 'The report is not one of decisions of this authority.', { kind })

export interface Taken {
  readonly taken: number
  readonly isRepeated: boolean
}

interface Item {
  readonly subject: string
  readonly instance: string | null
  readonly action: string
  readonly object: string
  readonly decidedBy: string
  readonly count: number
  readonly firstAt: number
  readonly lastAt: number
  readonly rest: Readonly<Record<string, string | readonly string[] | null>>
}

/**
 * Takes a report once, however often it arrives. Whatever happens to an authenticated caller is an entry. Throws what
 * `read` throws, `insufficient_scope`, `invalid_request` for what is no report, or was not signed by a live key of the
 * caller, `invalid_dpop_proof` for a proof that was used before, `invalid_token` where the rights of the caller ended
 * meanwhile, `temporarily_unavailable`.
 */
export async function takeReport(ctx: Ctx, deps: ReportDeps, requested: Requested<unknown>): Promise<Taken> {
  try {
    return await take(ctx, deps, requested)
  } catch (error) {
    throw isFault(error) ? await recordRefusal(ctx, deps, requested.caller, error) : error
  }
}

async function take(ctx: Ctx, deps: ReportDeps, { caller, read }: Requested<unknown>): Promise<Taken> {
  const scope = decisionScopes.evaluate
  if (!caller.scopes.has(scope))
    throw new Fault('insufficient_scope', `This needs the scope ${scope}.`, { kind: 'scope', scope })
  const { batch, items } = await reportIn(ctx, deps, caller, await read())
  const key = createHash('sha256').update(`${caller.id}\0${batch}`).digest('base64url')
  const expiresAt = ctx.now + rememberedSeconds
  const [first, ...others] = items.map(item => entryOf(ctx, caller, batch, item))
  if (first === undefined) throw malformed('empty')
  const change = { bases: [caller.basis], claims: caller.claims } as const
  const committed = await deps.store.commit(ctx, {
    ...change,
    creates: [{ kind: 'decision_report', key, value: String(items.length), expiresAt }],
    entries: [first, ...others],
  })
  if (committed.kind === 'done') return { taken: items.length, isRepeated: false }
  if (committed.kind !== 'conflict') throw await notTaken(ctx, deps, caller, committed)
  // Its acknowledgement was lost: what it says stands in the log already.
  const entry = { ...base(ctx, caller, 'decision.reported'), facts: { batch, repeated: true } }
  const again = await deps.store.commit(ctx, { ...change, entries: [entry] })
  if (again.kind === 'done') return { taken: 0, isRepeated: true }
  throw await notTaken(ctx, deps, caller, again)
}

async function notTaken(
  ctx: Ctx,
  { store }: ReportDeps,
  { basis }: Caller,
  { kind }: Committed,
): Promise<Fault> {
  if (kind === 'replayed') return replayedProof()
  if (kind === 'stale' && (await store.signals.isNarrowed(ctx, basis.subjects, basis.epoch)))
    return new Fault('invalid_token', 'The access token is not valid here.', { kind: 'ended_in_flight' })
  return new Fault('temporarily_unavailable', 'The report could not be taken; send it again.', { kind })
}

/** The Fault to answer with, its entry committed. */
function recordRefusal(ctx: Ctx, deps: ReportDeps, caller: Caller, fault: Fault): Promise<Fault> {
  const entryFor = (refused: Fault): EntryDraft => ({
    ...base(ctx, caller, 'decision.reported'),
    outcome: 'refused',
    reason: excerpt(refused.message, keptCharacters),
    decision: refusalOf(caller, refused),
  })
  return recordedRefusal(ctx, deps, fault, { claims: caller.claims, entryOf: entryFor })
}

async function reportIn(
  ctx: Ctx,
  deps: ReportDeps,
  caller: Caller,
  report: unknown,
): Promise<{ readonly batch: string; readonly items: readonly Item[] }> {
  if (typeof report !== 'string') throw malformed('no_report')
  const jws = readJws(report, mostBytes)
  // RFC 8725 §3.11: an assertion or a proof of the same key is no report (threat C17).
  if (typeof jws === 'string' || !isTyp(jws.header.typ, 'decision-report+jwt')) throw malformed('typ')
  const { kid } = jws.header
  const keys = kid === undefined ? [] : await deps.store.keys.named(ctx, caller.id, [kid])
  const key = keys.find(each => isKeyLive(each, ctx.now))
  if (key === undefined || !verifyJws(jws, importPublic(key.jwk))) throw malformed('signature')
  const claims = parseClaims(jws)
  if (claims === undefined || claims['iss'] !== caller.id || claims['aud'] !== ctx.issuer)
    throw malformed('claims')
  const { batch, items } = claims as { batch?: unknown; items?: unknown }
  if (typeof batch !== 'string' || !/^[0-9a-f-]{36}$/.test(batch)) throw malformed('batch')
  if (!Array.isArray(items) || items.length === 0 || items.length > mostItems) throw malformed('items')
  return { batch, items: items.map(item => itemOf(ctx, item)) }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function text(value: unknown, kind: string): string {
  if (typeof value !== 'string' || value.length === 0 || value.length > mostCharacters) throw malformed(kind)
  return excerpt(value, keptCharacters)
}

const textOrNull = (value: unknown, kind: string): string | null =>
  value === undefined || value === null ? null : text(value, kind)

function whole(value: unknown, kind: string, most = Number.MAX_SAFE_INTEGER): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= most) return value
  throw malformed(kind)
}

function timesOf(value: unknown): number {
  const times = whole(value, 'count', mostTimes)
  if (times === 0) throw malformed('count')
  return times
}

/** Use is counted under each of them: names of grants alone, and none of them twice. */
function grantsOf(value: unknown): readonly string[] {
  if (!Array.isArray(value) || value.length > 64 || new Set(value).size !== value.length)
    throw malformed('grants')
  if (value.some(grant => parseId('grt', grant) === undefined)) throw malformed('grants')
  return value
}

function itemOf(ctx: Ctx, value: unknown): Item {
  if (!isObject(value)) throw malformed('item')
  const { subject, action, resource } = value
  if (!isObject(subject) || !isObject(action) || !isObject(resource)) throw malformed('item')
  const { grants = [], chain = [] } = value
  if (!Array.isArray(chain) || chain.length > 16) throw malformed('item')
  const lastAt = Math.min(ctx.now, whole(value['last_at'], 'last_at', ctx.now + aheadSeconds))
  return {
    subject: text(subject['id'], 'subject'),
    instance: textOrNull(value['instance'], 'instance'),
    action: text(action['name'], 'action'),
    object: text(resource['id'], 'resource'),
    decidedBy: text(value['decided_by'], 'decided_by'),
    count: timesOf(value['count']),
    firstAt: Math.min(lastAt, whole(value['first_at'], 'first_at', ctx.now + aheadSeconds)),
    lastAt,
    rest: {
      session: textOrNull(value['session'], 'session'),
      task: textOrNull(value['task'], 'task'),
      peer: textOrNull(value['peer'], 'peer'),
      token: textOrNull(value['jti'], 'jti'),
      granted: grantsOf(grants),
      on_behalf_of: chain.map(party => text(isObject(party) ? party['id'] : undefined, 'chain')),
    },
  }
}

function base(ctx: Ctx, caller: Caller, type: string): EntryDraft {
  return {
    type,
    outcome: 'allowed',
    agent: caller.agent,
    instance: caller.instance,
    key: caller.key,
    chain: chainOf(caller),
    action: 'report',
    decision: { rule: 'own_report', epoch: caller.basis.epoch },
    requestId: ctx.requestId,
    traceId: ctx.traceId ?? null,
    peer: ctx.peer ?? null,
  }
}

/** The decision as it was repeated; `agent` is whom it was about, so that it is found with everything else of it. */
function entryOf(ctx: Ctx, caller: Caller, batch: string, item: Item): EntryDraft {
  const agent = parseId('agt', item.subject) ?? null
  return {
    ...base(ctx, caller, 'decision.repeated'),
    agent,
    instance: agent === null ? null : (parseId('ins', item.instance ?? undefined) ?? null),
    person: parseId('usr', item.subject) ?? null,
    resource: item.object,
    action: item.action,
    facts: {
      ...item.rest,
      subject: item.subject,
      reported_by: caller.id,
      batch,
      decided_by: item.decidedBy,
      count: item.count,
      first_at: new Date(item.firstAt * 1000).toISOString(),
      last_at: new Date(item.lastAt * 1000).toISOString(),
    },
  }
}
