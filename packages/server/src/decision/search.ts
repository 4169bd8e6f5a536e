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
import type { BindingDeps } from './access-request.ts'
import { answerAs } from './commit.ts'
import { decide } from './decide.ts'
import { askedBy, byOf } from './entry.ts'
import { decisionScopes, type Requested } from './evaluate.ts'
import { readOnce } from './facts.ts'
import { type Asked, questionOf } from './question.ts'
import { openPlace, type Place, sealPlace } from './search-place.ts'

export type Sought = 'subject' | 'resource' | 'action'

export interface Search {
  readonly sought: Sought
  /** The question, with an empty id or name where it is searched for. */
  readonly asked: Asked
  readonly page: { readonly limit: number | undefined; readonly token: string | undefined }
}

export interface Found {
  readonly results: readonly object[]
  readonly page: { readonly next_token: string; readonly count: number }
}

export interface SearchDeps extends BindingDeps {
  readonly store: Pick<
    Store,
    'facts' | 'approvals' | 'signals' | 'commit' | 'agents' | 'people' | 'clients' | 'resources'
  >
}

/** Candidates looked at for one page, and so the most that it gives. */
const mostOfPage = 100

/** Throws what `answerAs` and `read` throw, and `invalid_request` for a token of another search. */
export function search(ctx: Ctx, deps: SearchDeps, { caller, read }: Requested<Search>): Promise<Found> {
  let request: Promise<Search> | undefined
  const asking = { caller, type: 'decision.searched', scope: decisionScopes.search }
  return answerAs(ctx, deps, asking, async () => {
    request ??= read()
    const wanted = await request
    const name = nameOf(wanted, caller)
    const place = placeOf(ctx, deps, wanted.page, name)
    const { found, next } = await pageOf(ctx, deps, { wanted, place, caller })
    const nextToken = next === null ? '' : sealPlace(ctx, deps, name, { ...place, after: next })
    const page = { next_token: nextToken, count: found.length }
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
  /** Where a search goes on behind it. */
  readonly place: string
}

interface Candidates {
  readonly items: readonly Candidate[]
  readonly hasMore: boolean
}

interface Wanted {
  readonly wanted: Search
  readonly place: Place
  readonly caller: Caller
}

async function pageOf(
  ctx: Ctx,
  deps: SearchDeps,
  { wanted, place, caller }: Wanted,
): Promise<{ readonly found: readonly object[]; readonly next: string | null }> {
  const once: SearchDeps = { ...deps, store: { ...deps.store, facts: readOnce(deps.store.facts) } }
  const { items, hasMore } = await candidates[wanted.sought](ctx, once, wanted, place.after)
  const judged = await Promise.all(
    items.map(async candidate => {
      const question = await questionOf(ctx, once.store, candidate.asked, caller.id)
      return { ...candidate, ...(await decide(ctx, once, question, { fresh: false })) }
    }),
  )
  const found: object[] = []
  let next = place.after
  for (const { allowed, shown, place: behind } of judged) {
    if (found.length >= place.limit) return { found, next }
    if (allowed) found.push(shown)
    next = behind
  }
  return { found, next: hasMore ? next : null }
}

type Finder = (ctx: Ctx, deps: SearchDeps, search: Search, after: string) => Promise<Candidates>

const candidates: Readonly<Record<Sought, Finder>> = {
  subject: subjects,
  resource: resources,
  action: actions,
}

async function subjects(
  ctx: Ctx,
  { store }: SearchDeps,
  { asked }: Search,
  after: string,
): Promise<Candidates> {
  const { type } = asked.subject
  const candidate = (id: string) => ({
    shown: { type, id },
    asked: { ...asked, subject: { ...asked.subject, id } },
    place: id,
  })
  const list = {
    agent: () => store.agents.list(ctx, behind(after), {}),
    person: () => store.people.list(ctx, behind(after)),
    client: () => store.clients.list(ctx, behind(after)),
  } as const
  if (Object.hasOwn(list, type)) {
    const { items, next } = await list[type as keyof typeof list]()
    return { items: items.map(({ id }) => candidate(id)), hasMore: next !== null }
  }
  const named = (await mentioned(ctx, store)).subjects.filter(one => one.type === type)
  return paged(
    named.map(({ id }) => candidate(id)),
    after,
  )
}

async function resources(
  ctx: Ctx,
  { store }: SearchDeps,
  { asked }: Search,
  after: string,
): Promise<Candidates> {
  const { type } = asked.resource
  const candidate = (id: string) => ({
    shown: { type, id },
    asked: { ...asked, resource: { ...asked.resource, id } },
  })
  if (type === 'resource') {
    const { items, next } = await store.resources.list(ctx, behind(after))
    const found = items.map(({ id, identifier }) => ({ ...candidate(identifier), place: id }))
    return { items: found, hasMore: next !== null }
  }
  const named = (await mentioned(ctx, store)).objects.filter(one => one.type === type)
  return paged(
    named.map(({ id }) => candidate(id)),
    after,
  )
}

async function actions(
  ctx: Ctx,
  { store }: SearchDeps,
  { asked }: Search,
  after: string,
): Promise<Candidates> {
  const { active } = await store.facts.governing(ctx)
  const at = asked.resource.id.indexOf('#')
  const identifier = at === -1 ? asked.resource.id : asked.resource.id.slice(0, at)
  const resource = await store.facts.resource(ctx, identifier)
  const names = new Set([
    ...Object.keys(resource?.actions?.actions ?? {}),
    ...(resource?.scopes.filter(({ includes }) => includes.length === 0).map(({ name }) => name) ?? []),
    ...(active?.actions ?? []),
    ...mentionedIn(compilePolicies(active).sliced.statements).actions,
    ...commonActions,
  ])
  const all = [...names].map(name => ({
    shown: { name },
    asked: { ...asked, action: { ...asked.action, name } },
  }))
  return paged(all, after)
}

async function mentioned(ctx: Ctx, store: SearchDeps['store']) {
  const { active } = await store.facts.governing(ctx)
  return mentionedIn(compilePolicies(active).sliced.statements)
}

const behind = (after: string) => ({ limit: mostOfPage, ...(after === '' ? {} : { after }) })

/** Those of a list that is known as a whole: its places are how many were looked at. */
function paged(all: readonly Omit<Candidate, 'place'>[], after: string): Candidates {
  const start = Number(after)
  const end = start + mostOfPage
  const items = all.slice(start, end).map((one, at) => ({ ...one, place: String(start + at + 1) }))
  return { items, hasMore: end < all.length }
}

/** AuthZEN §8.2: what has to stay as it was from page to page, and who asks; the limit is in the token itself. */
function nameOf({ sought, asked }: Search, { id }: Caller): string {
  const meant = { ...asked, wire: undefined }
  return hashParts('search', id, sought, canonicalText(meant)).toString('base64url')
}

/** AuthZEN §8.2.1. Throws `invalid_request` for the token of another search, or another limit than it began with. */
function placeOf(ctx: Ctx, deps: SearchDeps, { limit, token }: Search['page'], name: string): Place {
  if (token === undefined || token === '')
    return { limit: Math.min(limit ?? mostOfPage, mostOfPage), after: '' }
  const place = openPlace(ctx, deps, name, token)
  if (place === undefined || (limit !== undefined && Math.min(limit, mostOfPage) !== place.limit))
    throw new Fault('invalid_request', 'page.token is of another search.', { kind: 'page_token' })
  return place
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
