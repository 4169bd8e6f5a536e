// The authority that the model is compared with: one server for all histories, each with agents and resources of its own.
import assert from 'node:assert/strict'
import { generateKeyPair, type KeyPair } from '@writ/sdk/protocol/jwk'
import { expect } from '../../harness/agent.ts'
import type { Answer, Party } from '../../harness/party.ts'
import type { World } from '../world.ts'
import {
  bundle,
  bundled,
  type Model,
  type ModelAgent,
  type ModelGrant,
  type ModelKey,
  namesOf,
  sensitive,
} from './model.ts'

export interface Real {
  readonly world: World
  /** Listed at every resource: may introspect its tokens. */
  readonly auditor: Party
  /** An agent that has nothing to do with any history. */
  readonly stranger: Party
  /** Ids that were ever given to anybody (property 14). */
  readonly ids: Set<string>
  /** Tells the names of one history from those of all others. */
  nextMark(): string
}

export async function realIn(world: World): Promise<Real> {
  const ids = new Set<string>()
  let marks = 0
  const helper = async (name: string): Promise<Party> => {
    const pair = generateKeyPair('ES256')
    const id = await newAgent({ world, ids }, name, [])
    // The clock of all histories together runs on for weeks: a key of the configured life would end on the way.
    const key = { jwk: pair.verify.jwk, expires_at: null }
    expect(await manage({ world }, 'POST', `/agents/${id}/keys`, key), 201)
    return partyOf(world, id, pair)
  }
  const [auditor, stranger] = [await helper('auditor'), await helper('stranger')]
  return { world, auditor, stranger, ids, nextMark: () => `m${marks++}` }
}

/** The same, in front of another server on the same store. */
export function reopened({ auditor, stranger, ...real }: Real, world: World): Real {
  const again = ({ clientId, key }: Party): Party =>
    world.party(clientId, key.key.export({ format: 'jwk' }) as Record<string, unknown>)
  return { ...real, world, auditor: again(auditor), stranger: again(stranger) }
}

const partyOf = (world: World, id: string, pair: KeyPair): Party =>
  world.party(id, pair.secret.reveal() as unknown as Record<string, unknown>)

export const partyFor = ({ world }: Real, agent: ModelAgent, key: ModelKey): Party =>
  partyOf(world, agent.id, key.pair)

/** A call of the operator, signed in again where its token has ended. */
export async function manage(
  { world: { operator } }: Pick<Real, 'world'>,
  ...[method, path, body]: [method: string, path: string, body?: unknown]
): Promise<Answer> {
  const answer = await operator.manage(method, path, body)
  return answer.status === 401 ? operator.manage(method, path, body) : answer
}

async function newAgent(
  real: Pick<Real, 'world' | 'ids'>,
  name: string,
  pairs: readonly KeyPair[],
): Promise<string> {
  const agent = { name, owner: real.world.operator.clientId, purpose: 'Model' }
  const keys = pairs.map(({ verify }) => verify.jwk)
  const body = { ...agent, ...(keys.length === 0 ? {} : { jwks: { keys } }) }
  const { id } = expect(await manage(real, 'POST', '/agents', body), 201)
  mustBeNew(real, id)
  return id
}

/** Property 14: no id is ever given twice. */
export function mustBeNew({ ids }: Pick<Real, 'ids'>, id: string): void {
  assert.ok(!ids.has(id), `the id ${id} was given before`)
  ids.add(id)
}

/** The scopes of a resource as the API takes them. */
export const scopesGiven = (names: ReadonlySet<string>) =>
  [...names].map(name => ({
    name,
    description: name,
    ...(name === bundle ? { includes: [...bundled] } : {}),
    ...(name === sensitive ? { sensitive: true } : {}),
  }))

/** The configured life of a key. */
export const keySeconds = 604_800

/** A history begins: two agents with a key each, two resources, and no grant. */
export async function begin(real: Real): Promise<Model> {
  const mark = real.nextMark()
  const names = namesOf(['read', 'write', 'erase'])
  const agents = ['one', 'two'].map(async (name): Promise<ModelAgent> => {
    const pair = generateKeyPair('Ed25519')
    const id = await newAgent(real, `${name} ${mark}`, [pair])
    const expiresAt = Math.floor(real.world.nowMs() / 1000) + keySeconds
    return {
      id,
      status: 'active',
      expiresAt: null,
      keys: [{ pair, instance: null, state: 'active', expiresAt }],
    }
  })
  const resources = ['x', 'y'].map(async name => {
    const identifier = `https://${name}-${mark}.example`
    const answer = await manage(real, 'POST', '/resources', {
      identifier,
      name,
      scopes: scopesGiven(names),
      introspection_clients: [real.auditor.clientId],
    })
    return { identifier, id: expect(answer, 201).id as string | null, names }
  })
  const model: Model = {
    now: () => Math.floor(real.world.nowMs() / 1000),
    agents: await Promise.all(agents),
    resources: await Promise.all(resources),
    grants: [],
    tokens: [],
    spent: [],
  }
  const [agent, resource] = [model.agents[0], model.resources[0]]
  assert.ok(agent && resource)
  // One right to begin with, so that few commands are enough for a token to be worth something.
  model.grants.push(await giveTo(real, { agent, resource, scopes: ['read', 'erase'], expiresAt: null }))
  return model
}

/** Gives a grant that can be given. */
export async function giveTo(real: Real, given: Omit<ModelGrant, 'id' | 'isEnded'>): Promise<ModelGrant> {
  const { id } = expect(await manage(real, 'POST', '/grants', grantGiven(given)), 201)
  mustBeNew(real, id)
  return { ...given, id, isEnded: false }
}

/** A grant as the API takes it. */
export const grantGiven = ({ agent, resource, scopes, expiresAt }: Omit<ModelGrant, 'id' | 'isEnded'>) => ({
  agent: agent.id,
  resource: resource.identifier,
  scopes,
  expires_at: expiresAt === null ? null : new Date(expiresAt * 1000).toISOString(),
  reason: 'Model',
})
