// AuthZEN §8: who may, on what, and what. Every candidate is decided like a question of its own; what is not, is not told.
import { Fault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../context.ts'
import { type EntryDraft, excerpt } from '../domain/audit-entry.ts'
import { canonicalText } from '../domain/authorization/operation-digest.ts'
import { compilePolicies } from '../domain/authorization/policy/evaluate.ts'
import { mentionedIn } from '../domain/authorization/policy/mentioned.ts'
import { commonActions } from '../domain/authorization/spelling.ts'
import type { Caller } from '../domain/caller.ts'
import { hashParts } from '../domain/hash.ts'
import type { Store } from '../store/store.ts'
import { answerAs } from './commit.ts'
import { type DecideDeps, decide } from './decide.ts'
import { askedBy, byOf } from './entry.ts'
import { decisionScopes, type Requested } from './evaluate.ts'
import { readOnce } from './facts.ts'
import { type Asked, questionOf } from './question.ts'

export type Sought = 'subject' | 'resource' | 'action'

export interface Search {
  readonly sought: Sought
  /** The question, with an empty id or name where it is searched for. */
  readonly asked: Asked
  readonly page: { readonly limit: number; readonly token: string | undefined }
}

export interface Found {
  readonly results: readonly object[]
  readonly page: { readonly next_token: string; readonly count: number }
}

export interface SearchDeps {
  readonly store: Pick<
    Store,
    'facts' | 'approvals' | 'signals' | 'commit' | 'agents' | 'people' | 'clients' | 'resources'
  >
  readonly randomBytes: DecideDeps['randomBytes']
}

/** Throws what `answerAs` and `read` throw, and `invalid_request` for a token of another search. */
export function search(ctx: Ctx, deps: SearchDeps, { caller, read }: Requested<Search>): Promise<Found> {
  let request: Promise<Search> | undefined
  const asking = { caller, type: 'decision.searched', scope: decisionScopes.search }
  return answerAs(ctx, deps, asking, async () => {
    request ??= read()
    const wanted = await request
    const { found, next } = await pageOf(ctx, deps, wanted, caller)
    const page = { next_token: next === null ? '' : tokenOf(wanted, next), count: found.length }
    return {
      // What was found is told as of its moment: it is no permission, and nobody acts on it.
      bases: [],
      spends: [],
      entry: entryOf(ctx, caller, wanted, found.length),
      answer: () => ({ results: found, page }),
    }
  })
}

interface Candidate {
  /** As it is told. */
  readonly shown: object
  readonly asked: Asked
}

interface Candidates {
  readonly items: readonly Candidate[]
  readonly next: string | null
}

async function pageOf(
  ctx: Ctx,
  deps: SearchDeps,
  wanted: Search,
  caller: Caller,
): Promise<{ readonly found: readonly object[]; readonly next: string | null }> {
  const once: SearchDeps = { ...deps, store: { ...deps.store, facts: readOnce(deps.store.facts) } }
  const { items, next } = await candidates[wanted.sought](ctx, once, wanted, afterOf(wanted))
  const judged = await Promise.all(
    items.map(async ({ shown, asked }) => {
      const question = await questionOf(ctx, once.store, asked, caller.id)
      const decided = await decide(ctx, once, question, { fresh: false })
      return decided.allowed ? [shown] : []
    }),
  )
  return { found: judged.flat(), next }
}

type Finder = (ctx: Ctx, deps: SearchDeps, search: Search, after: string | undefined) => Promise<Candidates>

const candidates: Readonly<Record<Sought, Finder>> = {
  subject: subjects,
  resource: resources,
  action: actions,
}

async function subjects(
  ctx: Ctx,
  { store }: SearchDeps,
  { asked, page }: Search,
  after: string | undefined,
): Promise<Candidates> {
  const { type } = asked.subject
  const candidate = (id: string): Candidate => ({
    shown: { type, id },
    asked: { ...asked, subject: { ...asked.subject, id } },
  })
  const wanted = { limit: page.limit, ...(after === undefined ? {} : { after }) }
  const list = {
    agent: () => store.agents.list(ctx, wanted, {}),
    person: () => store.people.list(ctx, wanted),
    client: () => store.clients.list(ctx, wanted),
  } as const
  if (Object.hasOwn(list, type)) {
    const { items, next } = await list[type as keyof typeof list]()
    return { items: items.map(({ id }) => candidate(id)), next }
  }
  const named = (await mentioned(ctx, store)).subjects.filter(one => one.type === type)
  return paged(
    named.map(({ id }) => candidate(id)),
    page.limit,
    after,
  )
}

async function resources(
  ctx: Ctx,
  { store }: SearchDeps,
  { asked, page }: Search,
  after: string | undefined,
): Promise<Candidates> {
  const { type } = asked.resource
  const candidate = (id: string): Candidate => ({
    shown: { type, id },
    asked: { ...asked, resource: { ...asked.resource, id } },
  })
  if (type === 'resource') {
    const { items, next } = await store.resources.list(ctx, {
      limit: page.limit,
      ...(after === undefined ? {} : { after }),
    })
    return { items: items.map(({ identifier }) => candidate(identifier)), next }
  }
  const named = (await mentioned(ctx, store)).objects.filter(one => one.type === type)
  return paged(
    named.map(({ id }) => candidate(id)),
    page.limit,
    after,
  )
}

async function actions(
  ctx: Ctx,
  { store }: SearchDeps,
  { asked, page }: Search,
  after: string | undefined,
): Promise<Candidates> {
  const { active } = await store.facts.governing(ctx)
  const at = asked.resource.id.indexOf('#')
  const identifier = at === -1 ? asked.resource.id : asked.resource.id.slice(0, at)
  const resource = await store.facts.resource(ctx, identifier)
  const names = new Set([
    ...Object.keys(resource?.actions?.actions ?? {}),
    ...(resource?.scopes.filter(({ includes }) => includes.length === 0).map(({ name }) => name) ?? []),
    ...(active?.actions ?? []),
    ...mentionedIn(compilePolicies(active)).actions,
    ...commonActions,
  ])
  const all = [...names].map(
    (name): Candidate => ({
      shown: { name },
      asked: { ...asked, action: { ...asked.action, name } },
    }),
  )
  return paged(all, page.limit, after)
}

async function mentioned(ctx: Ctx, store: SearchDeps['store']) {
  const { active } = await store.facts.governing(ctx)
  return mentionedIn(compilePolicies(active))
}

/** Those of a list that is known as a whole; `after` is how many were looked at. */
function paged(all: readonly Candidate[], limit: number, after: string | undefined): Candidates {
  const start = after === undefined ? 0 : Number(after)
  const end = start + limit
  return { items: all.slice(start, end), next: end < all.length ? String(end) : null }
}

/** AuthZEN §8.2: opaque, and good for the same search alone. It names a place, and gives no right to look there. */
function tokenOf(wanted: Search, after: string): string {
  return `${digestOf(wanted)}.${Buffer.from(after).toString('base64url')}`
}

function afterOf(wanted: Search): string | undefined {
  const { token } = wanted.page
  if (token === undefined || token === '') return undefined
  const [digest, after = ''] = token.split('.')
  const place = Buffer.from(after, 'base64url').toString()
  if (digest !== digestOf(wanted) || !/^(?:\d{1,9}|[a-z]{3}_[0-9a-z]{26})$/.test(place))
    throw new Fault('invalid_request', 'page.token is of another search.', { kind: 'page_token' })
  return place
}

function digestOf({ sought, asked }: Search): string {
  const meant = { ...asked, wire: undefined }
  return hashParts('search', sought, canonicalText(meant)).toString('base64url').slice(0, 22)
}

const kept = 256

function entryOf(ctx: Ctx, caller: Caller, { sought, asked }: Search, count: number): EntryDraft {
  const { subject, resource, action } = asked
  return {
    type: 'decision.searched',
    outcome: 'allowed',
    agent: subject.type === 'agent' && subject.id !== '' ? excerpt(subject.id, kept) : null,
    resource: excerpt(resource.id === '' ? resource.type : resource.id, kept),
    action: action.name === '' ? null : excerpt(action.name, kept),
    decision: { rule: 'scope', epoch: caller.basis.epoch },
    facts: {
      ...byOf(ctx, caller),
      sought,
      subject: excerpt(`${subject.type}:${subject.id}`, kept),
      found: count,
    },
    ...askedBy(ctx, caller),
  }
}
