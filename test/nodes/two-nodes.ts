// Two nodes of one authority on one PostgreSQL, each a process of its own, and a resource's verifier in front of each.
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { generateKeyPair, type KeyPair } from '@writ/sdk/protocol/jwk'
import { createVerifier, type Verifier } from '@writ/sdk/resource/verifier'
import { freePort } from '../cli/process.ts'
import {
  askAt,
  folderOf,
  operatorAt,
  partyAt,
  type Reach,
  type ServeOptions,
  type Serving,
  serve,
} from '../fault/process.ts'
import { expect } from '../harness/agent.ts'
import type { Party } from '../harness/party.ts'

export const issuer = 'https://writ.example'
export const api = 'https://api.example'

export interface Node {
  readonly reach: Reach
  readonly options: ServeOptions
  /** The process that runs now. */
  serving: Serving
  /** The operator, asking this node. */
  readonly operator: Party
  readonly fetch: (path: string, init?: RequestInit) => Promise<Response>
  /** Somebody with a key, asking this node. */
  party(clientId: string, pair: KeyPair): Party
}

export interface Nodes {
  readonly a: Node
  readonly b: Node
}

export interface NodesOptions {
  readonly databaseUrl: string
  /** The second node's own way to the database, if it has one. */
  readonly databaseUrlOfB?: string
  readonly env?: Readonly<Record<string, string>>
}

/** Starts both; the second one with a copy of the first one's sealing key, as an operator would. */
export async function twoNodes(t: TestContext, options: NodesOptions): Promise<Nodes> {
  const home = folderOf(t, 'writ-nodes-')
  const { databaseUrl, databaseUrlOfB = databaseUrl, env } = options
  const data = { a: join(home, 'a'), b: join(home, 'b') }
  const a = await startNode(t, await optionsOf(data.a, databaseUrl, env), data.a)
  mkdirSync(data.b, { mode: 0o700 })
  copyFileSync(join(data.a, 'seal.key'), join(data.b, 'seal.key'))
  const b = await startNode(t, await optionsOf(data.b, databaseUrlOfB, env), data.a)
  return { a, b }
}

async function optionsOf(
  data: string,
  databaseUrl: string,
  env: NodesOptions['env'] = {},
): Promise<ServeOptions> {
  return { data, port: await freePort(), issuer, databaseUrl, env }
}

async function startNode(t: TestContext, options: ServeOptions, operatorData: string): Promise<Node> {
  const serving = await serve(t, options)
  const reach: Reach = { origin: serving.origin, issuer }
  return {
    reach,
    options,
    serving,
    operator: operatorAt(reach, operatorData),
    fetch: askAt(reach),
    party: (clientId, pair) =>
      partyAt(reach, clientId, pair.secret.reveal() as unknown as Record<string, unknown>),
  }
}

/** A verifier of the resource's that knows the issuer through this node alone. */
export async function verifierAt(t: TestContext, { reach }: Node): Promise<Verifier> {
  const verifier = createVerifier({
    issuer,
    resource: api,
    fetch: (input, init) => {
      const url = String(input instanceof Request ? input.url : input)
      return fetch(url.replace(issuer, reach.origin), init)
    },
  })
  t.after(() => verifier.close())
  await verifier.ready()
  return verifier
}

/** What the verifier says to a call with this token: undefined for yes, or the code of its no. */
export async function judged(verifier: Verifier, party: Party, token: string): Promise<string | undefined> {
  const dpop = party.proof(`${api}/things`, { method: 'GET', accessToken: token })
  const headers = new Headers({ authorization: `DPoP ${token}`, dpop })
  try {
    await verifier.verify({ method: 'GET', url: '/things', headers })
    return undefined
  } catch (error) {
    return String((error as { code?: unknown }).code ?? error)
  }
}

/** Registers the resource that both verifiers stand before. */
export async function registerApi({ a }: Nodes): Promise<void> {
  const scopes = [
    { name: 'read', description: 'Reads' },
    { name: 'write', description: 'Writes' },
  ]
  const made = await a.operator.manage('POST', '/resources', { identifier: api, name: 'API', scopes })
  expect(made, 201)
}

export interface Subject {
  readonly id: string
  readonly pair: KeyPair
  readonly grant: string
  /** The agent, asking the first or the second node. */
  readonly at: { readonly a: Party; readonly b: Party }
}

/** An agent with a key and a grant, made at the first node. */
export async function newSubject({ a, b }: Nodes): Promise<Subject> {
  const pair = generateKeyPair('ES256')
  const { operator } = a
  const agent = {
    name: 'subject',
    owner: operator.clientId,
    purpose: 'Two nodes',
    jwks: { keys: [pair.verify.jwk] },
  }
  const { id } = expect(await operator.manage('POST', '/agents', agent), 201)
  const grant = await grantTo(a, id)
  return { id, pair, grant, at: { a: a.party(id, pair), b: b.party(id, pair) } }
}

export async function grantTo({ operator }: Node, agent: string): Promise<string> {
  const grant = { agent, resource: api, scopes: ['read'], reason: 'Two nodes' }
  return expect(await operator.manage('POST', '/grants', grant), 201).id
}

/** A call of the operator that signs in again where its token has ended meanwhile; tokens are short here. */
export async function managed(
  { operator }: Node,
  { method, path, status }: { method: string; path: string; status: number },
) {
  const answer = await operator.manage(method, path)
  return expect(answer.status === 401 ? await operator.manage(method, path) : answer, status)
}
