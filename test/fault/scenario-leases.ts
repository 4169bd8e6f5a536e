// The steps of the history that need an upstream: values that are made for one holder, given back and taken back.
import { type Cluster, startPostgres } from '@writ/server/testing'
import pg from 'pg'
import type { Answer } from '../harness/party.ts'
import { idOf, keepId, keptOf, partyOf, type Scene, type Step } from './scene.ts'

const upstream = ({ mark }: Scene): string => `upstream-${mark}`
const task = ({ mark }: Scene): string => `task-${mark}`
const uriOf = (scene: Scene): string => `${scene.operator.issuer}/vault/${task(scene)}`

export interface Upstream {
  readonly cluster: Cluster
  /** Where the role that makes the others signs in. */
  readonly maker: string
}

/** A PostgreSQL with one role that may make others. */
export async function startUpstream(databases: number): Promise<Upstream> {
  const cluster = await startPostgres({ databases: databases + 1, auth: 'scram-sha-256' })
  const root = cluster.database()
  const client = new pg.Client({ connectionString: root })
  await client.connect()
  await client.query(`create role maker login createrole password 'test-only'`)
  await client.query('grant pg_monitor, pg_signal_backend to maker')
  await client.query('create role readers')
  await client.query('grant readers to maker with admin option')
  await client.end()
  const maker = Object.assign(new URL(root), { username: 'maker', password: 'test-only' }).href
  return { cluster, maker }
}

const ask = (scene: Scene, method: string, path = ''): Promise<Answer> =>
  partyOf(scene, 'reporter', 'reporter').call(method, `${uriOf(scene)}${path}`, {
    token: keptOf(scene, 'token of the task'),
    ...(method === 'POST' ? { body: {} } : {}),
  })

const given: Step = {
  name: 'a lease is given',
  status: 201,
  ask: scene => ask(scene, 'POST'),
  keep: ({ ids }, { body }) => void ids.set('lease', body.lease),
}

export const leases = ({ maker }: Upstream): readonly Step[] => [
  {
    name: 'what signs in to an upstream is put into the vault',
    status: 201,
    again: 409,
    ask: scene =>
      scene.operator.manage('POST', '/secrets', {
        name: upstream(scene),
        value: maker,
        consumers: [task(scene)],
      }),
    keep: keepId('upstream'),
    find: scene => scene.operator.manage('GET', `/secrets/${upstream(scene)}`),
  },
  {
    name: 'a secret of which each holder gets its own is put into the vault',
    status: 201,
    again: 409,
    ask: scene =>
      scene.operator.manage('POST', '/secrets', {
        name: task(scene),
        consumers: [idOf(scene, 'reporter')],
        rotator: {
          kind: 'postgres-dynamic',
          options: { admin: upstream(scene), base: `t${scene.mark}`, memberOf: ['readers'] },
        },
      }),
    keep: keepId('task'),
    find: scene => scene.operator.manage('GET', `/secrets/${task(scene)}`),
  },
  {
    name: 'that secret is granted',
    status: 201,
    ask: scene =>
      scene.operator.manage('POST', '/grants', {
        agent: idOf(scene, 'reporter'),
        resource: uriOf(scene),
        scopes: ['secret:read'],
        reason: 'Breaks',
      }),
  },
  {
    name: 'a token for that secret is issued',
    status: 200,
    ask: scene =>
      partyOf(scene, 'reporter', 'reporter').tokenRequest({ resource: uriOf(scene), scope: 'secret:read' }),
    keep: ({ kept }, { body }) => void kept.set('token of the task', body.access_token),
  },
  given,
  {
    name: 'a lease is given back',
    status: 204,
    ask: scene => ask(scene, 'DELETE', `/leases/${idOf(scene, 'lease')}`),
  },
  given,
  {
    name: 'a lease is taken back',
    status: 200,
    ask: scene =>
      scene.operator.manage('POST', `/secrets/${task(scene)}/leases/${idOf(scene, 'lease')}/revoke`, {
        reason: 'Breaks',
      }),
  },
]
