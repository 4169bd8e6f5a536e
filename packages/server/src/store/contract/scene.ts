// What the store's contract plays with: a tenant for each test, and records that are valid and all different.
import { randomBytes } from 'node:crypto'
import { type IdPrefix, newId } from '@writ/sdk/protocol/identifier'
import type { Agent, Instance, Key } from '../../domain/agent.ts'
import type { EntryDraft } from '../../domain/audit-entry.ts'
import type { Change, Committed } from '../../domain/change.ts'
import { type Client, loginKey, type Person } from '../../domain/client.ts'
import type { ClientSecret } from '../../domain/client-secret.ts'
import type { Grant } from '../../domain/grant.ts'
import type { IssuerKey } from '../../domain/issuer-key.ts'
import type { Resource } from '../../domain/resource.ts'
import type { Rotation } from '../../domain/rotation.ts'
import type { Schedule } from '../../domain/schedule.ts'
import type { TenantId } from '../../domain/tenant.ts'
import type { VaultKey } from '../../domain/vault/key.ts'
import type { SecretLease, SecretVersion, VaultSecret } from '../../domain/vault/secret.ts'
import type { Store } from '../store.ts'

/** A store over data of its own. */
export interface Opened {
  readonly store: Store
  /** Closes the store and opens it again over the same data. */
  reopen?(): Promise<Opened>
  /** Opens another node on the same data; the caller closes it. */
  another?(): Promise<Store>
  close(): Promise<void>
}

/** How the suites get at the store: opened once for all of them, with a new tenant for each test. */
export interface Given {
  readonly store: Store
  readonly opened: Opened
}

/** The instant at which every test begins, in epoch seconds. */
export const start = 1_800_000_000

export const bytes = (length: number): Uint8Array => new Uint8Array(randomBytes(length))
export const fresh = <P extends IdPrefix>(prefix: P) => newId(prefix, bytes)
/** A text that nobody else uses. */
export const unique = (): string => Buffer.from(bytes(16)).toString('base64url')

export const entry = (more: Partial<EntryDraft> = {}): EntryDraft => ({
  type: 'test.done',
  outcome: 'allowed',
  requestId: unique(),
  ...more,
})

export interface Scene {
  readonly store: Store
  readonly tenant: TenantId
  readonly now: number
  /** Commits a change with one entry, at `start` plus the seconds given. */
  commit(change?: Partial<Change>, after?: number): Promise<Committed>
  /** Commits, and throws unless it is done. */
  done(change?: Partial<Change>, after?: number): Promise<Committed & { kind: 'done' }>
  /** The same tenant through another store. */
  through(store: Store): Scene
}

/** A new tenant in the store. */
export async function sceneIn(store: Store): Promise<Scene> {
  const tenant = `t-${unique()}` as TenantId
  await store.tenants.ensure({ id: tenant, issuer: `https://${tenant}.example`, createdAt: start })
  return sceneOf(store, tenant)
}

function sceneOf(store: Store, tenant: TenantId): Scene {
  const commit: Scene['commit'] = (change, after = 0) => {
    const now = start + after
    return store.commit({ tenant, now, nowMs: now * 1000 }, { entries: [entry()], ...change })
  }
  return {
    store,
    tenant,
    now: start,
    commit,
    async done(change, after) {
      const committed = await commit(change, after)
      if (committed.kind !== 'done') throw new Error(`not done: ${JSON.stringify(committed)}`)
      return committed
    },
    through: other => sceneOf(other, tenant),
  }
}

/** Polls until the condition holds; throws after five seconds without it. */
export async function until(condition: () => Promise<boolean> | boolean, what: string): Promise<void> {
  const deadline = Date.now() + 5000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`${what} did not come about`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

/** The scene through each node in turn. */
export async function throughNodes(
  given: Given,
  use: (scenes: readonly Scene[]) => Promise<void>,
): Promise<void> {
  const scene = await sceneIn(given.store)
  const second: Store | undefined = await given.opened.another?.()
  try {
    await use(second === undefined ? [scene] : [scene, scene.through(second)])
  } finally {
    await second?.close()
  }
}

export const agentOf = (more: Partial<Agent> = {}): Agent => ({
  id: fresh('agt'),
  name: 'courier',
  owner: fresh('usr'),
  purpose: 'carries',
  kind: null,
  model: null,
  provider: null,
  softwareVersion: null,
  labels: {},
  status: 'active',
  statusReason: null,
  statusAt: start,
  expiresAt: null,
  createdAt: start,
  updatedAt: start,
  ...more,
})

export const instanceOf = (more: Partial<Instance> = {}): Instance => ({
  id: fresh('ins'),
  agent: fresh('agt'),
  createdAt: start,
  enrollment: null,
  ...more,
})

export const keyOf = (more: Partial<Key> = {}): Key => ({
  thumbprint: unique(),
  kid: unique(),
  owner: fresh('agt'),
  instance: fresh('ins'),
  jwk: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(bytes(32)).toString('base64url') },
  state: 'active',
  notBefore: start,
  expiresAt: null,
  createdAt: start,
  stateAt: start,
  stateReason: null,
  ...more,
})

export const resourceOf = (more: Partial<Resource> = {}): Resource => ({
  id: fresh('res'),
  identifier: `https://${unique()}.example`,
  name: 'depot',
  scopes: [{ name: 'read', description: 'reads', includes: [], sensitive: false }],
  introspectionClients: [],
  bearerAllowed: false,
  createdAt: start,
  updatedAt: start,
  ...more,
})

export const grantOf = (more: Partial<Grant> = {}): Grant => ({
  id: fresh('grt'),
  agent: fresh('agt'),
  resource: 'https://depot.example',
  scopes: ['read'],
  reason: 'works there',
  expiresAt: null,
  createdAt: start,
  createdBy: fresh('usr'),
  revokedAt: null,
  ...more,
})

export const clientOf = (more: Partial<Client> = {}): Client => ({
  id: fresh('cli'),
  name: 'gate',
  tokenEndpointAuthMethod: 'private_key_jwt',
  metadata: { client_uri: 'https://gate.example' },
  status: 'active',
  statusReason: null,
  createdAt: start,
  updatedAt: start,
  ...more,
})

export const personOf = (more: Partial<Person> = {}): Person => {
  const login = more.login ?? `${unique()}@example`
  return {
    id: fresh('usr'),
    login,
    loginKey: loginKey(login),
    name: null,
    passwordHash: null,
    status: 'active',
    statusReason: null,
    createdAt: start,
    updatedAt: start,
    ...more,
  }
}

export const issuerKeyOf = (more: Partial<IssuerKey> = {}): IssuerKey => ({
  kid: unique(),
  purpose: 'token',
  alg: 'ES256',
  jwk: null,
  sealed: unique(),
  state: 'staged',
  createdAt: start,
  activatesAt: start,
  retiresAt: null,
  stateAt: start,
  ...more,
})

export const rotationOf = (more: Partial<Rotation> = {}): Rotation => ({
  id: fresh('rot'),
  kind: 'secret',
  target: fresh('sec'),
  owner: null,
  state: 'staged',
  resumes: null,
  emergency: false,
  reason: 'due',
  batch: null,
  from: fresh('ver'),
  to: null,
  alg: null,
  proof: 'last_use',
  createdAt: start,
  stateAt: start,
  activeAt: null,
  dueAt: start,
  limitAt: start + 86_400,
  attempts: 0,
  wanted: null,
  problem: null,
  ...more,
})

export const scheduleOf = (more: Partial<Schedule> = {}): Schedule => ({
  id: fresh('sch'),
  kind: 'secret',
  target: fresh('sec'),
  cron: '0 3 * * 1',
  maxAgeSeconds: null,
  jitterSeconds: 600,
  owner: null,
  status: 'active',
  nextAt: start,
  lastAt: null,
  lastRotation: null,
  goesOnAfter: null,
  createdAt: start,
  updatedAt: start,
  ...more,
})

export const secretOf = (more: Partial<VaultSecret> = {}): VaultSecret => ({
  id: fresh('sec'),
  name: unique().toLowerCase(),
  description: 'opens the depot',
  owner: fresh('usr'),
  labels: { team: 'post' },
  consumers: [fresh('agt')],
  leaseSeconds: 300,
  rotator: { kind: 'http', options: { url: 'https://depot.example' } },
  resource: fresh('res'),
  status: 'active',
  createdAt: start,
  updatedAt: start,
  ...more,
})

export const secretVersionOf = (more: Partial<SecretVersion> = {}): SecretVersion => ({
  id: fresh('ver'),
  secret: fresh('sec'),
  number: 1,
  state: 'active',
  vaultKey: fresh('vky'),
  sealed: unique(),
  handle: null,
  rotation: null,
  createdAt: start,
  stateAt: start,
  ...more,
})

export const secretLeaseOf = (more: Partial<SecretLease> = {}): SecretLease => ({
  id: fresh('lea'),
  secret: fresh('sec'),
  agent: fresh('agt'),
  instance: fresh('ins'),
  handle: 'writ_1',
  state: 'live',
  createdAt: start,
  expiresAt: start + 60,
  stateAt: start,
  attempts: 0,
  dueAt: start + 60,
  ...more,
})

export const vaultKeyOf = (more: Partial<VaultKey> = {}): VaultKey => ({
  id: fresh('vky'),
  state: 'staged',
  sealed: unique(),
  root: 'root-1',
  createdAt: start,
  activatesAt: start,
  stateAt: start,
  ...more,
})

export const clientSecretOf = (more: Partial<ClientSecret> = {}): ClientSecret => ({
  id: fresh('csc'),
  client: fresh('cli'),
  hash: unique(),
  state: 'active',
  createdAt: start,
  expiresAt: null,
  stateAt: start,
  ...more,
})
