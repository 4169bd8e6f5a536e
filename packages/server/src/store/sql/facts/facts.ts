// The hot path's reads: what a decision needs about a caller, in one statement at one epoch, kept until a signal.
import { sql } from 'kysely'
import type { Agent, Key } from '../../../domain/agent.ts'
import type { Client } from '../../../domain/client.ts'
import { type ClientSecret, secretSubject } from '../../../domain/client-secret.ts'
import type { Grant } from '../../../domain/grant.ts'
import type { Resource } from '../../../domain/resource.ts'
import type { CallerFacts, Facts } from '../../store.ts'
import type { Db } from '../dialect.ts'
import { parseFrozen } from '../records/frozen.ts'
import { isStorable } from '../records/record.ts'
import type { Ear } from '../signals/feed.ts'
import { governingFactsOver } from './governing.ts'
import { type FactsTools, type Memory, memoryOf } from './memory.ts'

type ResourceFacts = Resource & { readonly epoch: number }

/** The parts of the facts as rows: one statement, so that all of it is of one snapshot. */
function callerQuery(db: Db): { readonly sql: string } {
  const keysOf = sql`body, ordinal as at from keys
    where tenant = ${0} and owner = ${0} and state in ('staged', 'active', 'retiring')`
  const part = (what: string, from: ReturnType<typeof sql>) => sql`select ${sql.lit(what)} as what, ${from}`
  const whole = sql.join(
    [
      part('epoch', sql`cast(epoch as text) as body, 0 as at from heads where tenant = ${0}`),
      part('agent', sql`body, 0 as at from agents where tenant = ${0} and id = ${0}`),
      part('client', sql`body, 0 as at from clients where tenant = ${0} and id = ${0}`),
      // In two halves, each of which the index of the keys that are not dead answers without a look at the others.
      part('key', sql`${keysOf} and expires_at is null`),
      part('key', sql`${keysOf} and expires_at > ${0}`),
      part(
        'secret',
        sql`body, ordinal as at from client_secrets
          where tenant = ${0} and client = ${0} and state in ('active', 'retiring')`,
      ),
      part(
        'grant',
        sql`body, ordinal as at from grants where tenant = ${0} and agent = ${0} and revoked_at is null`,
      ),
    ],
    sql` union all `,
  )
  return { sql: sql`${whole} order by at`.compile(db).sql }
}

const resourceQuery = (db: Db): { readonly sql: string } => ({
  sql: sql`select resources.body as body, heads.epoch as epoch from heads left join resources
    on resources.tenant = heads.tenant and resources.identifier = ${0} where heads.tenant = ${0}`.compile(db)
    .sql,
})

async function readCaller(
  tools: FactsTools,
  text: string,
  { tenant, now }: { readonly tenant: string; readonly now: number },
  id: string,
): Promise<CallerFacts | undefined> {
  const key = [tenant, id]
  const given = [tenant, ...key, ...key, ...key, ...key, now, ...key, ...key]
  const { rows } = await tools.engine.query(text, given, 'caller-facts')
  const bodies = (what: string): string[] =>
    rows.flatMap(row => (row['what'] === what ? [row['body'] as string] : []))
  const [epoch] = bodies('epoch')
  const [agent] = bodies('agent')
  const [client] = bodies('client')
  if (epoch === undefined || (agent === undefined && client === undefined)) return undefined
  return Object.freeze({
    epoch: Number(epoch),
    remembered: false,
    agent: agent === undefined ? undefined : parseFrozen<Agent>(agent),
    client: client === undefined ? undefined : parseFrozen<Client>(client),
    keys: Object.freeze(bodies('key').map(parseFrozen<Key>)),
    clientSecrets: Object.freeze(bodies('secret').map(parseFrozen<ClientSecret>)),
    grants: Object.freeze(bodies('grant').map(parseFrozen<Grant>)),
  })
}

async function readResource(
  tools: FactsTools,
  text: string,
  tenant: string,
  identifier: string,
): Promise<ResourceFacts | undefined> {
  const { rows } = await tools.engine.query(text, [identifier, tenant], 'resource-facts')
  const body = rows[0]?.['body']
  if (typeof body !== 'string') return undefined
  return Object.freeze({ ...parseFrozen<Resource>(body), epoch: rows[0]?.['epoch'] as number })
}

const callerSubjects = (facts: CallerFacts, id: string): readonly string[] => [
  id,
  ...facts.keys.flatMap(key => [`key:${key.thumbprint}`, ...(key.instance === null ? [] : [key.instance])]),
  ...facts.clientSecrets.map(secretSubject),
  ...facts.grants.map(grant => grant.id),
]

/** The port, and the memories that must hear the feed. */
export function factsOver(tools: FactsTools): { readonly facts: Facts; readonly ears: readonly Ear[] } {
  const callers: Memory<CallerFacts> = memoryOf({ seen: tools.seen, refresh: rememberedCaller })
  const resources: Memory<ResourceFacts> = memoryOf({
    seen: tools.seen,
    refresh: (old, epoch) => Object.freeze({ ...old, epoch }),
  })
  const governing = governingFactsOver(tools)
  const callerText = callerQuery(tools.db).sql
  const resourceText = resourceQuery(tools.db).sql
  return {
    facts: {
      ...governing.facts,
      async caller({ tenant, now }, id, options) {
        if (!isStorable(id)) return undefined
        const known = options?.fresh || !tools.isFollowed() ? undefined : callers.get(tenant, id)
        if (known !== undefined) return known
        const facts = await readCaller(tools, callerText, { tenant, now }, id)
        if (facts !== undefined) callers.keep({ tenant, key: id, subjects: callerSubjects(facts, id) }, facts)
        return facts
      },
      async resource({ tenant }, identifier, options) {
        if (!isStorable(identifier)) return undefined
        const known = options?.fresh || !tools.isFollowed() ? undefined : resources.get(tenant, identifier)
        if (known !== undefined) return known
        const resource = await readResource(tools, resourceText, tenant, identifier)
        if (resource !== undefined)
          resources.keep({ tenant, key: identifier, subjects: [resource.id] }, resource)
        return resource
      },
    },
    ears: [callers, resources, ...governing.ears],
  }
}

const rememberedCaller = (old: CallerFacts, epoch: number): CallerFacts =>
  Object.freeze({ ...old, epoch, remembered: true })
