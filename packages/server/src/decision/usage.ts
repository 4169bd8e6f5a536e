// Use of grants, read off the entries that were committed: counted in memory, added to the store every few seconds.
import { boundedCache } from '@writ/sdk/protocol/bounded-cache'
import type { Ctx } from '../context.ts'
import type { EntryDraft } from '../domain/audit-entry.ts'
import type { UsageRow } from '../store/authorization.ts'
import type { Store } from '../store/store.ts'
import { type Facts, itemFacts } from './entry.ts'

export interface UsageCounter {
  /** Counts what an entry says was used; an entry that says nothing of grants costs a look at its type. */
  saw(tenant: string, entry: EntryDraft, at: number): void
  /**
   * Adds the counts since the last flush and answers how many rows that were. Where it fails they are kept for the next
   * one, and the failure is thrown. A crash loses the counts of one interval: they are no evidence, the log is.
   */
  flush(ctx: Pick<Ctx, 'tenant'>): Promise<number>
}

/** Rows between two flushes; beyond it only those that are there already are counted. */
const mostRows = 20_000

/** Names of tools and objects that one node tells apart under a grant; further ones count together, without a name. */
const mostTools = 64
/** Pairs of action and caller that are told apart of what resources report under a grant. */
const mostReported = 256
/** Grants whose names a node remembers. */
const mostGrants = 1024

/** One use: under which grants, by whom, of which scopes, with which tool or action. */
interface Use {
  readonly grants: readonly string[]
  readonly scopes: readonly string[]
  readonly tool: string
  readonly times: number
  /** Who acted, where the entry is about somebody else, or about several. */
  readonly caller?: string
}

const listIn = (value: unknown): readonly string[] =>
  Array.isArray(value) && value.every(each => typeof each === 'string') ? value : []

const wordsIn = (text: string | null | undefined): readonly string[] => {
  const words = (text ?? '').split(' ').filter(Boolean)
  return words.length === 0 ? [''] : words
}

/** What each type of entry says about use. */
const readers: Readonly<Record<string, (entry: EntryDraft) => readonly Use[]>> = {
  'token.issued': ({ action, decision }) => [
    { grants: decision?.grants ?? [], scopes: wordsIn(action), tool: '', times: 1 },
  ],
  'decision.evaluated': ({ action, decision, facts }) => [
    { grants: decision?.grants ?? [], scopes: [action ?? ''], tool: textIn(facts?.['object']), times: 1 },
  ],
  'decision.evaluations': ({ facts }) =>
    listIn(facts?.['items']).map(item => itemUse(itemFacts(item, facts?.['common']))),
  'decision.repeated': ({ action, facts }) => [
    {
      grants: listIn(facts?.['granted']),
      scopes: [action ?? ''],
      tool: '',
      times: typeof facts?.['count'] === 'number' ? facts['count'] : 1,
    },
  ],
}

/** What is decided at our own endpoints says which operation it was; the leaf follows from it. */
function ownUse({ action, chain, decision }: EntryDraft): readonly Use[] {
  // The log is read by address, and addresses are without number.
  const tool = /^[a-z-]+[.:][a-z-]+$/.test(action ?? '') ? (action ?? '') : ''
  // The entry is about whom the operation concerns; the grant is that of whoever made it.
  const caller = chain?.at(-1)?.sub ?? ''
  return [{ grants: decision?.grants ?? [], scopes: [''], tool, times: 1, caller }]
}

function readerOf({ type, decision }: EntryDraft): ((entry: EntryDraft) => readonly Use[]) | undefined {
  if (Object.hasOwn(readers, type)) return readers[type]
  return decision?.rule === 'scope' ? ownUse : undefined
}

const textIn = (value: unknown): string => (typeof value === 'string' ? value : '')

/** An item of a batch: each has a subject of its own. */
function itemUse({ decision, grants, action, object, subject, instance }: Facts): Use {
  return {
    grants: decision === true ? listIn(grants) : [],
    scopes: [textIn(action)],
    tool: textIn(object),
    times: 1,
    caller: textIn(instance) || textIn(subject).replace(/^agent:/, ''),
  }
}

interface Told extends Pick<UsageRow, 'scope' | 'caller'> {
  readonly isReported: boolean
}

type Rows = Map<string, { -readonly [K in keyof UsageRow]: UsageRow[K] }>

export function createUsage({ store }: { readonly store: Pick<Store, 'usage'> }): UsageCounter {
  const counts = new Map<string, Rows>()
  const named = boundedCache<Set<string>>(mostGrants)

  /** Whoever names ever other things fills no table with them: beyond so many of a kind they count without a name. */
  const isToldApart = (kind: string, name: string, most: number): boolean => {
    const names = named.get(kind) ?? new Set()
    if (names.size === 0) named.set(kind, names)
    if (names.size < most) names.add(name)
    return names.has(name)
  }

  /** By whom and under which scope; what a resource says of it has been checked by nobody. */
  const toldOf = (grant: string, { isReported, scope, caller }: Told): Pick<UsageRow, 'scope' | 'caller'> =>
    isReported && !isToldApart(`reported ${grant}`, `${caller} ${scope}`, mostReported)
      ? { scope: '', caller: '' }
      : { scope, caller }

  const count = (rows: Rows, row: UsageRow): void => {
    const name = `${row.grant}\0${row.scope}\0${row.tool}\0${row.caller}`
    const known = rows.get(name)
    if (known === undefined) {
      if (rows.size < mostRows) rows.set(name, { ...row })
      return
    }
    known.count += row.count
    known.firstAt = Math.min(known.firstAt, row.firstAt)
    known.lastAt = Math.max(known.lastAt, row.lastAt)
  }

  return {
    saw(tenant, entry, at) {
      const read = readerOf(entry)
      // A batch is as a whole refused where one item is; its items say what of it was allowed.
      if (read === undefined || (entry.outcome !== 'allowed' && entry.type !== 'decision.evaluations')) return
      const rows = counts.get(tenant) ?? new Map()
      counts.set(tenant, rows)
      const isReported = entry.type === 'decision.repeated'
      const known = entry.instance ?? entry.agent ?? ''
      for (const { grants, scopes, tool, times, caller = known } of read(entry)) {
        for (const grant of grants)
          for (const scope of scopes)
            count(rows, {
              ...{ grant, tool: tool !== '' && isToldApart(grant, tool, mostTools) ? tool : '' },
              ...toldOf(grant, { isReported, scope, caller }),
              ...{ firstAt: at, lastAt: at, count: times },
            })
      }
    },
    async flush({ tenant }) {
      const rows = counts.get(tenant)
      if (rows === undefined || rows.size === 0) return 0
      counts.delete(tenant)
      try {
        await store.usage.add({ tenant }, [...rows.values()])
      } catch (error) {
        const since = counts.get(tenant) ?? new Map()
        counts.set(tenant, since)
        for (const row of rows.values()) count(since, row)
        throw error
      }
      return rows.size
    },
  }
}

/** Each node adds what it met. Not in the table of loops, for the counts are those of one process. */
export const usageLoop = (usage: UsageCounter) =>
  ({
    name: 'usage',
    everySeconds: 5,
    leased: false,
    per: 'tenant',
    run: (ctx: Ctx) => usage.flush(ctx),
  }) as const

/** The same store, with what is used counted once it is committed. */
export function countingUse(store: Store, usage: UsageCounter): Store {
  return {
    ...store,
    async commit(ctx, change) {
      const committed = await store.commit(ctx, change)
      if (committed.kind === 'done') for (const entry of change.entries) usage.saw(ctx.tenant, entry, ctx.now)
      return committed
    },
  }
}
