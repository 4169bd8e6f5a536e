// Agents for the benchmarks, written through the store like anybody's: some with keys we hold, the rest as weight.

import { randomBytes } from 'node:crypto'
import { newId } from '@writ/sdk/protocol/identifier'
import { generateKeyPair, type SignKey } from '@writ/sdk/protocol/jwk'
import { createServer } from '@writ/server'
import type { Site } from './processes.ts'

export const api = 'https://api.example'

export interface Caller {
  readonly clientId: string
  readonly key: SignKey
}

type Store = Awaited<ReturnType<typeof createServer>>['store']
type Change = Parameters<Store['commit']>[1]
type Put = NonNullable<Change['puts']>[number]

/** Agents in one change, and changes under way at once: the store groups them. */
const perCommit = 50
const atOnce = 10

/** Makes the API, `callers` agents that can ask and `others` that only lie there. Answers the callers. */
export async function populate(
  { data, issuer, database }: Site,
  callers: number,
  others: number,
): Promise<readonly Caller[]> {
  const server = await createServer({ data, issuer, databaseUrl: database })
  try {
    const now = Math.floor(Date.now() / 1000)
    const made: Caller[] = []
    const shared = generateKeyPair('ES256')
    await commit(server.store, now, [apiOf(now)])
    let changes: Promise<void>[] = []
    for (let at = 0; at < callers + others; at += perCommit) {
      const puts: Put[] = []
      for (let next = at; next < Math.min(at + perCommit, callers + others); next++) {
        const pair = next < callers ? generateKeyPair('ES256') : shared
        const draw = next < callers ? randomBytes : inOrder(next)
        const clientId = newId('agt', draw)
        if (next < callers) made.push({ clientId, key: pair.sign })
        const thumbprint = next < callers ? pair.sign.jkt : Buffer.from(draw(32)).toString('base64url')
        puts.push(...agentOf(clientId, { thumbprint, jwk: pair.verify.jwk, draw }, now))
      }
      changes.push(commit(server.store, now, puts))
      if (changes.length === atOnce) {
        await Promise.all(changes)
        changes = []
      }
    }
    await Promise.all(changes)
    return made
  } finally {
    await server.close()
  }
}

/**
 * Random bytes of which the first four count up. Whoever only lies there is written next to the one before: six times
 * as fast as at random places of a file of gigabytes. Callers are at random places among them.
 */
function inOrder(count: number): (length: number) => Uint8Array {
  return length => {
    const bytes = randomBytes(length)
    for (let at = 0; at < 4; at++) bytes[at] = (count >> (5 * (3 - at))) & 31
    return bytes
  }
}

async function commit(store: Store, now: number, puts: readonly Put[]): Promise<void> {
  const ctx = { tenant: 'default', now, nowMs: now * 1000 } as Parameters<Store['commit']>[0]
  const committed = await store.commit(ctx, {
    puts,
    entries: [{ type: 'bench.populated', outcome: 'allowed', requestId: 'bench' }],
  })
  if (committed.kind !== 'done') throw new Error(`population: ${committed.kind}`)
}

function apiOf(now: number): Put {
  return {
    put: 'resource',
    ifVersion: 0,
    value: {
      id: newId('res', randomBytes),
      identifier: api,
      name: 'API',
      scopes: [{ name: 'read', description: 'Reads', includes: [], sensitive: false }],
      introspectionClients: [],
      bearerAllowed: false,
      createdAt: now,
      updatedAt: now,
    },
  }
}

interface BenchKey {
  readonly thumbprint: string
  readonly jwk: SignKey['jwk']
  readonly draw: (length: number) => Uint8Array
}

type AgentId = ReturnType<typeof newId<'agt'>>

function agentOf(id: AgentId, key: BenchKey, now: number): readonly Put[] {
  const instance = newId('ins', key.draw)
  return [
    { put: 'agent', ifVersion: 0, value: agentRecord(id, now) },
    { put: 'instance', ifVersion: 0, value: { id: instance, agent: id, createdAt: now, enrollment: null } },
    { put: 'key', ifVersion: 0, value: keyRecord(id, { ...key, instance }, now) },
    {
      put: 'grant',
      ifVersion: 0,
      value: {
        id: newId('grt', key.draw),
        agent: id,
        resource: api,
        scopes: ['read'],
        reason: 'Benchmark',
        expiresAt: null,
        createdAt: now,
        createdBy: id,
        revokedAt: null,
      },
    },
  ]
}

function agentRecord(id: AgentId, now: number): Extract<Put, { put: 'agent' }>['value'] {
  return {
    id,
    name: 'bench',
    owner: id,
    purpose: 'Benchmark',
    kind: null,
    model: null,
    provider: null,
    softwareVersion: null,
    labels: {},
    status: 'active',
    statusReason: null,
    statusAt: now,
    expiresAt: null,
    createdAt: now,
    updatedAt: now,
  }
}

function keyRecord(
  owner: AgentId,
  key: BenchKey & { readonly instance: ReturnType<typeof newId<'ins'>> },
  now: number,
): Extract<Put, { put: 'key' }>['value'] {
  const { kid: _kid, ...jwk } = key.jwk
  return {
    thumbprint: key.thumbprint,
    kid: key.thumbprint,
    owner,
    instance: key.instance,
    jwk,
    state: 'active',
    notBefore: now - 60,
    expiresAt: null,
    createdAt: now,
    stateAt: now,
    stateReason: null,
  }
}
