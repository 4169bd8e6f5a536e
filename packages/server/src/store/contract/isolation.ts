// One of everything in a tenant, and every method that reads within one: what the isolation of tenants is tested with.
import {
  authorizationCases,
  authorizationChange,
  authorizationSeeds,
  type Case,
  plantCounts,
} from './authorization-isolation.ts'
import {
  agentOf,
  bytes,
  clientOf,
  clientSecretOf,
  entry,
  grantOf,
  instanceOf,
  issuerKeyOf,
  keyOf,
  personOf,
  resourceOf,
  rotationOf,
  type Scene,
  scheduleOf,
  secretLeaseOf,
  secretOf,
  secretVersionOf,
  start,
  unique,
  vaultKeyOf,
} from './scene.ts'

/** One of everything, in one tenant. */
export function seedsOf() {
  const agent = agentOf()
  const [client, secret, vaultKey] = [clientOf(), secretOf(), vaultKeyOf({ state: 'active' })]
  return {
    agent,
    rotation: rotationOf({ target: secret.id }),
    schedule: scheduleOf({ target: secret.id }),
    secret,
    secretVersion: secretVersionOf({ secret: secret.id, vaultKey: vaultKey.id }),
    secretLease: secretLeaseOf({ secret: secret.id, agent: agent.id, dueAt: start }),
    vaultKey,
    clientSecret: clientSecretOf({ client: client.id }),
    instance: instanceOf({ agent: agent.id }),
    key: keyOf({ owner: agent.id }),
    ended: keyOf({ owner: agent.id, state: 'retiring', expiresAt: start }),
    resource: resourceOf(),
    grant: grantOf({ agent: agent.id }),
    client,
    person: personOf(),
    issuerKey: issuerKeyOf(),
    take: { kind: 'enrollment', key: unique() } as const,
    claim: { key: unique(), until: start + 60 },
    answer: { key: unique(), request: 'r', status: 200, body: '{}', until: start + 60 },
    requestId: unique(),
    ...authorizationSeeds(agent.id),
  }
}

export type Seeds = ReturnType<typeof seedsOf>

export async function plant(scene: Scene, seeds: Seeds): Promise<string> {
  const { agent, instance, key, ended, resource, grant, client, person, issuerKey } = seeds
  const { rotation, schedule, secret, secretVersion, secretLease, vaultKey, clientSecret } = seeds
  const more = authorizationChange(seeds)
  const { first } = await scene.done({
    ...more,
    puts: [
      { put: 'agent', value: agent, ifVersion: 0 },
      { put: 'instance', value: instance, ifVersion: 0 },
      { put: 'key', value: key, ifVersion: 0 },
      { put: 'key', value: ended, ifVersion: 0 },
      { put: 'resource', value: resource, ifVersion: 0 },
      { put: 'grant', value: grant, ifVersion: 0 },
      { put: 'client', value: client, ifVersion: 0 },
      { put: 'person', value: person, ifVersion: 0 },
      { put: 'issuerKey', value: issuerKey, ifVersion: 0 },
      { put: 'rotation', value: rotation, ifVersion: 0 },
      { put: 'schedule', value: schedule, ifVersion: 0 },
      { put: 'secret', value: secret, ifVersion: 0 },
      { put: 'secretVersion', value: secretVersion, ifVersion: 0 },
      { put: 'secretLease', value: secretLease, ifVersion: 0 },
      { put: 'vaultKey', value: vaultKey, ifVersion: 0 },
      { put: 'clientSecret', value: clientSecret, ifVersion: 0 },
      ...more.puts,
    ],
    uses: [{ version: secretVersion.id, caller: agent.id, from: 'gate', until: null }],
    creates: [{ ...seeds.take, value: 'v', expiresAt: start + 60 }],
    claims: [seeds.claim],
    remembers: [seeds.answer],
    signals: [{ subject: agent.id, kind: 'narrowed' }],
    entries: [entry({ agent: agent.id, person: person.id, requestId: seeds.requestId })],
  })
  await scene.store.log.publish(scene, 1, 'note', [{ level: 0, index: 0, hashes: bytes(8192) }])
  await plantCounts(scene, seeds)
  return first.id
}

const page = { limit: 10 }
const noItems = { items: [], next: null }

/** Every method that reads within a tenant. */
export const cases: Readonly<Record<string, Case<Seeds & { readonly event: string }>>> = {
  'agents.get': { ask: (store, scope, { agent }) => store.agents.get(scope, agent.id), nothing: undefined },
  'agents.list': { ask: (store, scope) => store.agents.list(scope, page, {}), nothing: noItems },
  'agents.instances': {
    ask: (store, scope, { agent }) => store.agents.instances(scope, page, { agent: agent.id }),
    nothing: noItems,
  },
  'agents.instance': {
    ask: (store, scope, { instance }) => store.agents.instance(scope, instance.id),
    nothing: undefined,
  },
  'keys.byThumbprint': {
    ask: (store, scope, { key }) => store.keys.byThumbprint(scope, key.thumbprint),
    nothing: undefined,
  },
  'keys.ofOwner': { ask: (store, scope, { agent }) => store.keys.ofOwner(scope, agent.id), nothing: [] },
  'keys.named': {
    ask: (store, scope, { agent, key }) => store.keys.named(scope, agent.id, [key.kid, key.thumbprint]),
    nothing: [],
  },
  'keys.list': {
    ask: (store, scope, { agent }) => store.keys.list(scope, page, { owner: agent.id }),
    nothing: noItems,
  },
  'keys.expired': { ask: (store, scope) => store.keys.expired(scope, start, 10), nothing: [] },
  'resources.get': {
    ask: (store, scope, { resource }) => store.resources.get(scope, resource.id),
    nothing: undefined,
  },
  'resources.byIdentifier': {
    ask: (store, scope, { resource }) => store.resources.byIdentifier(scope, resource.identifier),
    nothing: undefined,
  },
  'resources.list': { ask: (store, scope) => store.resources.list(scope, page), nothing: noItems },
  'grants.get': { ask: (store, scope, { grant }) => store.grants.get(scope, grant.id), nothing: undefined },
  'grants.list': { ask: (store, scope) => store.grants.list(scope, page, {}), nothing: noItems },
  'clients.get': {
    ask: (store, scope, { client }) => store.clients.get(scope, client.id),
    nothing: undefined,
  },
  'clients.list': { ask: (store, scope) => store.clients.list(scope, page), nothing: noItems },
  'people.get': { ask: (store, scope, { person }) => store.people.get(scope, person.id), nothing: undefined },
  'people.byLogin': {
    ask: (store, scope, { person }) => store.people.byLogin(scope, person.loginKey),
    nothing: undefined,
  },
  'people.list': { ask: (store, scope) => store.people.list(scope, page), nothing: noItems },
  'oneTimes.peek': {
    ask: (store, scope, { take }) => store.oneTimes.peek(scope, take.kind, take.key, start),
    nothing: 'absent',
  },
  'facts.caller': {
    ask: (store, scope, { agent }) => store.facts.caller(scope, agent.id),
    nothing: undefined,
  },
  'facts.resource': {
    ask: (store, scope, { resource }) => store.facts.resource(scope, resource.identifier),
    nothing: undefined,
  },
  'signals.head': { ask: (store, scope) => store.signals.head(scope), nothing: 0 },
  'signals.after': { ask: (store, scope) => store.signals.after(scope, 0, 10), nothing: [] },
  'signals.narrowedSince': { ask: (store, scope) => store.signals.narrowedSince(scope, 0), nothing: [] },
  'signals.isNarrowed': {
    ask: (store, scope, { agent }) => store.signals.isNarrowed(scope, [agent.id], 0),
    nothing: false,
  },
  'log.size': { ask: (store, scope) => store.log.size(scope), nothing: 0 },
  'log.entry': { ask: (store, scope, { event }) => store.log.entry(scope, event), nothing: undefined },
  'log.range': { ask: (store, scope) => store.log.range(scope, 0, 10), nothing: [] },
  'log.hashes': { ask: (store, scope) => store.log.hashes(scope, 0, 10), nothing: new Uint8Array(0) },
  'log.find': {
    ask: (store, scope, { requestId }) => store.log.find(scope, { requestId }, -1, 10),
    nothing: [],
  },
  'log.tile': { ask: (store, scope) => store.log.tile(scope, 0, 0), nothing: undefined },
  'log.checkpoint': { ask: (store, scope) => store.log.checkpoint(scope), nothing: undefined },
  'issuerKeys.list': { ask: (store, scope) => store.issuerKeys.list(scope), nothing: [] },
  'rotations.get': {
    ask: (store, scope, { rotation }) => store.rotations.get(scope, rotation.id),
    nothing: undefined,
  },
  'rotations.among': {
    ask: (store, scope, { rotation }) => store.rotations.among(scope, [rotation.id]),
    nothing: [],
  },
  'rotations.list': { ask: (store, scope) => store.rotations.list(scope, page, {}), nothing: noItems },
  'rotations.open': {
    ask: (store, scope, { rotation }) => store.rotations.open(scope, rotation.kind, rotation.target),
    nothing: [],
  },
  'rotations.due': { ask: (store, scope) => store.rotations.due(scope, start, 10), nothing: [] },
  'schedules.get': {
    ask: (store, scope, { schedule }) => store.schedules.get(scope, schedule.id),
    nothing: undefined,
  },
  'schedules.list': { ask: (store, scope) => store.schedules.list(scope, page, {}), nothing: noItems },
  'schedules.due': { ask: (store, scope) => store.schedules.due(scope, start, 10), nothing: [] },
  'secrets.get': {
    ask: (store, scope, { secret }) => store.secrets.get(scope, secret.id),
    nothing: undefined,
  },
  'secrets.byName': {
    ask: (store, scope, { secret }) => store.secrets.byName(scope, secret.name),
    nothing: undefined,
  },
  'secrets.list': { ask: (store, scope) => store.secrets.list(scope, page, {}), nothing: noItems },
  'secrets.version': {
    ask: (store, scope, { secretVersion }) => store.secrets.version(scope, secretVersion.id),
    nothing: undefined,
  },
  'secrets.versions': {
    ask: (store, scope, { secret }) => store.secrets.versions(scope, secret.id),
    nothing: [],
  },
  'secrets.under': {
    ask: (store, scope, { vaultKey }) => store.secrets.under(scope, vaultKey.id, 10),
    nothing: [],
  },
  'secrets.countUnder': {
    ask: (store, scope, { vaultKey }) => store.secrets.countUnder(scope, vaultKey.id),
    nothing: 0,
  },
  'secrets.lease': {
    ask: (store, scope, { secretLease }) => store.secrets.lease(scope, secretLease.id),
    nothing: undefined,
  },
  'secrets.leases': { ask: (store, scope) => store.secrets.leases(scope, page, {}), nothing: noItems },
  'secrets.liveLeases': {
    ask: (store, scope, { agent }) => store.secrets.liveLeases(scope, { agent: agent.id }, 10),
    nothing: [],
  },
  'secrets.dueLeases': { ask: (store, scope) => store.secrets.dueLeases(scope, start, 10), nothing: [] },
  'vaultKeys.list': { ask: (store, scope) => store.vaultKeys.list(scope), nothing: [] },
  'clientSecrets.ofClient': {
    ask: (store, scope, { client }) => store.clientSecrets.ofClient(scope, client.id),
    nothing: [],
  },
  'uses.of': {
    ask: (store, scope, { secretVersion }) => store.uses.of(scope, secretVersion.id, 10),
    nothing: [],
  },
  'remembering.recall': {
    ask: (store, scope, { answer }) => store.remembering.recall(scope, answer.key, start),
    nothing: undefined,
  },
  ...authorizationCases,
}
