// What every decision reads beside its caller: the policies in force, halts, people, sessions, risk. Kept until a signal.
import { sql } from 'kysely'
import { type Halt, haltSubject } from '../../../domain/authorization/halt.ts'
import { type PolicySet, policySubject } from '../../../domain/authorization/policy/set.ts'
import { type Risk, riskSubject } from '../../../domain/authorization/risk.ts'
import type { Session } from '../../../domain/authorization/session.ts'
import type { Person } from '../../../domain/client.ts'
import type { Governing } from '../../authorization.ts'
import type { Scope } from '../../page.ts'
import type { Facts } from '../../store.ts'
import { parseFrozen } from '../records/frozen.ts'
import { isStorable } from '../records/record.ts'
import type { Ear } from '../signals/feed.ts'
import { type FactsTools, type Memory, memoryOf } from './memory.ts'

type Options = { readonly fresh?: boolean } | undefined
type Read<T> = (scope: Scope, id: string, options?: Options) => Promise<T>

interface Bodied {
  readonly epoch: number
  readonly body: string | undefined
}

/** One record of the table with the epoch at which it was read; one statement, so that both are of one snapshot. */
const bodyReader = ({ db, engine }: FactsTools, table: string) => {
  const text = sql`select ${sql.ref(`${table}.body`)} as body, heads.epoch as epoch from heads
      left join ${sql.table(table)} on ${sql.ref(`${table}.tenant`)} = heads.tenant and ${sql.ref(`${table}.id`)} = ${0}
      where heads.tenant = ${0}`.compile(db).sql
  return async (tenant: string, id: string): Promise<Bodied> => {
    const { rows } = await engine.query(text, [id, tenant], `${table}-facts`)
    const body = rows[0]?.['body']
    return { epoch: Number(rows[0]?.['epoch'] ?? 0), body: typeof body === 'string' ? body : undefined }
  }
}

/** Reads through a memory: what is there in time is answered, everything else is read and kept. */
function remembering<T extends { readonly epoch: number }>(
  tools: FactsTools,
  subjectOf: (id: string) => string,
  read: (tenant: string, id: string) => Promise<T>,
): { readonly read: Read<T>; readonly memory: Memory<T> } {
  const memory: Memory<T> = memoryOf({
    seen: tools.seen,
    refresh: (old, epoch) => Object.freeze({ ...old, epoch }),
  })
  return {
    memory,
    async read({ tenant }, id, options) {
      const known = options?.fresh || !tools.isFollowed() ? undefined : memory.get(tenant, id)
      if (known !== undefined) return known
      const facts = Object.freeze(await read(tenant, id))
      memory.keep({ tenant, key: id, subjects: [subjectOf(id)] }, facts)
      return facts
    },
  }
}

/** The policies in use and the live halts; the order of halts is that of their making. */
const governingQuery = ({ db }: FactsTools): string =>
  sql`select 'epoch' as what, cast(epoch as text) as body, 0 as at from heads where tenant = ${0}
    union all select state as what, body, 0 as at from policy_sets
      where tenant = ${0} and state in ('active', 'shadow')
    union all select 'halt' as what, body, ordinal as at from halts where tenant = ${0} and lifted = 0
    order by at`.compile(db).sql

function governingReader(tools: FactsTools): (tenant: string) => Promise<Governing> {
  const text = governingQuery(tools)
  return async tenant => {
    const { rows } = await tools.engine.query(text, [tenant, tenant, tenant], 'governing-facts')
    const bodies = (what: string): string[] =>
      rows.flatMap(row => (row['what'] === what ? [row['body'] as string] : []))
    const [active] = bodies('active')
    const [shadow] = bodies('shadow')
    return {
      epoch: Number(bodies('epoch')[0] ?? 0),
      active: active === undefined ? undefined : parseFrozen<PolicySet>(active),
      shadow: shadow === undefined ? undefined : parseFrozen<PolicySet>(shadow),
      halts: Object.freeze(bodies('halt').map(parseFrozen<Halt>)),
    }
  }
}

export type GoverningFacts = Pick<Facts, 'person' | 'governing' | 'session' | 'risk'>

/** The reads, and the memories that must hear the feed. */
export function governingFactsOver(tools: FactsTools): {
  readonly facts: GoverningFacts
  readonly ears: readonly Ear[]
} {
  const [people, sessions, risks] = [
    bodyReader(tools, 'people'),
    bodyReader(tools, 'sessions'),
    bodyReader(tools, 'risks'),
  ]
  const person = remembering(tools, id => id, people)
  const session = remembering(tools, id => id, sessions)
  const risk = remembering(tools, riskSubject, risks)
  const governing: Memory<Governing> = memoryOf({
    seen: tools.seen,
    refresh: (old, epoch) => Object.freeze({ ...old, epoch }),
  })
  const readGoverning = governingReader(tools)
  return {
    ears: [person.memory, session.memory, risk.memory, governing],
    facts: {
      async person(scope, id, options) {
        if (!isStorable(id)) return undefined
        const { epoch, body } = await person.read(scope, id, options)
        return body === undefined ? undefined : { epoch, person: parseFrozen<Person>(body) }
      },
      async session(scope, id, options) {
        if (!isStorable(id)) return undefined
        const { epoch, body } = await session.read(scope, id, options)
        return body === undefined ? undefined : { epoch, session: parseFrozen<Session>(body) }
      },
      async risk(scope, id, options) {
        if (!isStorable(id)) return { epoch: 0, risk: undefined }
        const { epoch, body } = await risk.read(scope, id, options)
        return { epoch, risk: body === undefined ? undefined : parseFrozen<Risk>(body) }
      },
      async governing({ tenant }, options) {
        const known = options?.fresh || !tools.isFollowed() ? undefined : governing.get(tenant, policySubject)
        if (known !== undefined) return known
        const facts = Object.freeze(await readGoverning(tenant))
        governing.keep({ tenant, key: policySubject, subjects: [policySubject, haltSubject] }, facts)
        return facts
      },
    },
  }
}
