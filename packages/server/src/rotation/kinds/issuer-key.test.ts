// Rotations of the issuer's key that nobody followed for a while: the keys move by themselves, whoever looks later.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import { newId } from '@writ/sdk/protocol/identifier'
import { Secret } from '@writ/sdk/protocol/secret'
import fc from 'fast-check'
import type { Ctx } from '../../context.ts'
import { activeOf, type IssuerKey, moveKey, plan } from '../../domain/issuer-key.ts'
import { newRotation, type Rotation } from '../../domain/rotation.ts'
import { defaultTenant } from '../../domain/tenant.ts'
import { aesGcmSealer, keyBytes } from '../../keys/aes-gcm.ts'
import { openKeys } from '../../keys/providers/local.ts'
import { advanceIssuerKeys, ensureKeys } from '../../keys/rotation.ts'
import { openStore } from '../../store/sql/open.ts'
import type { Store } from '../../store/store.ts'
import { advanceRotations, decideBeginning, type EngineDeps, entryOf } from '../engine.ts'
import type { Ask, KindDeps } from '../kind.ts'
import { issuerKey } from './issuer-key.ts'

const start = 1_700_000_000
const life = { tokenSeconds: 10, skewSeconds: 1 }

const ctxAt = (now: number): Ctx => ({
  tenant: defaultTenant,
  issuer: 'https://issuer.example',
  now,
  nowMs: now * 1000,
  requestId: 'request',
  traceId: undefined,
  peer: undefined,
  note: () => undefined,
})

const key = (kid: string, state: IssuerKey['state'], activatesAt: number): IssuerKey => ({
  kid,
  purpose: 'token',
  alg: 'ES256',
  jwk: null,
  sealed: 'sealed',
  state,
  createdAt: start,
  activatesAt,
  retiresAt: null,
  stateAt: start,
})

/** The keys after every move that was due until then. */
function movedUntil(keys: readonly IssuerKey[], now: number): readonly IssuerKey[] {
  const steps = plan(keys, { now, latestAt: now, seenSeconds: () => 1e6 }, life)
  if (steps.length === 0) return keys
  const next = keys.map(each => steps.find(({ from }) => from.kid === each.kid)?.to ?? each)
  return movedUntil(next, now)
}

const rotationTo = (from: string, to: string): Rotation =>
  newRotation(
    {
      id: newId('rot', randomBytes),
      kind: 'issuer_key',
      target: 'token',
      owner: null,
      reason: 'asked',
      batch: null,
      from,
      to,
      alg: 'ES256',
      proof: 'last_token',
      dueAt: start + 1,
      limitAt: start + 3600,
    },
    start,
  )

async function looked(t: TestContext, keys: readonly IssuerKey[], rotation: Rotation): Promise<Rotation> {
  const store = await openStore({ kind: 'sqlite', file: ':memory:' }, { randomBytes })
  t.after(() => store.close())
  await store.tenants.ensure({ id: defaultTenant, issuer: 'https://issuer.example', createdAt: start })
  const committed = await store.commit(ctxAt(start), {
    puts: keys.map(value => ({ put: 'issuerKey', value, ifVersion: 0 })),
    entries: [{ type: 'test', outcome: 'allowed', requestId: 'r' }],
  })
  assert.equal(committed.kind, 'done')
  let at = rotation
  for (let turn = 0; turn < 5 && !['retired', 'failed'].includes(at.state); turn++) {
    const look = await issuerKey.look(ctxAt(start + 1000), { store } as unknown as KindDeps, {
      ...at,
      version: 1,
    })
    at = look.rotation
  }
  return at
}

test('a successor that signed, was superseded and has gone before anybody looked did succeed', async t => {
  // The leader died; the keys went on: the first gave way to the second, the second to the third.
  const first = movedUntil([key('one', 'active', start), key('two', 'staged', start + 1)], start + 1)
  const second = movedUntil([...first, key('three', 'staged', start + 20)], start + 20)
  const gone = movedUntil(second, start + 100)
  assert.deepEqual(
    gone.map(({ state }) => state),
    ['retired', 'retired', 'active'],
  )
  const rotation = await looked(t, gone, rotationTo('one', 'two'))
  assert.deepEqual([rotation.state, rotation.problem], ['retired', null])
  const other = await looked(t, gone, rotationTo('two', 'three'))
  assert.equal(other.state, 'retired')
})

test('a successor that was abandoned before it signed fails its rotation, and says so', async t => {
  const abandoned = moveKey(key('two', 'staged', start + 500), 'abandon', start + 5)
  const rotation = await looked(t, [key('one', 'active', start), abandoned], rotationTo('one', 'two'))
  assert.deepEqual([rotation.state, rotation.problem], ['failed', 'The successor is gone.'])
})

const settings = { ...life, publishSeconds: 2, rotateSeconds: null }

interface Site {
  readonly store: Store
  readonly deps: EngineDeps
  /** Every key that has ever signed. */
  readonly signed: Set<string>
  now: number
}

async function site(): Promise<Site> {
  const store = await openStore({ kind: 'sqlite', file: ':memory:' }, { randomBytes })
  await store.tenants.ensure({ id: defaultTenant, issuer: 'https://issuer.example', createdAt: start })
  const sealer = aesGcmSealer(new Secret(new Uint8Array(randomBytes(keyBytes))))
  const at = { now: start }
  const keys = openKeys({ store, sealer: () => sealer, now: () => at.now })
  const kindDeps: Partial<KindDeps> = {
    store,
    keys,
    issuerKeys: settings,
    randomBytes,
    rules: { drainSeconds: 1, drainLimitSeconds: 100_000, spreadSeconds: 0 },
    signal: new AbortController().signal,
  }
  const deps: EngineDeps = {
    kinds: [issuerKey],
    commit: store.commit,
    onError: (_rotation, error) => assert.fail(error as Error),
    kindDeps: kindDeps as KindDeps,
  }
  await ensureKeys(ctxAt(start), { store, keys })
  return Object.assign(at, { store, deps, signed: new Set<string>() })
}

/** One run of the loop `issuer-keys`, on a node that has seen every key for long enough. */
async function moveKeys({ store, deps, signed, now }: Site): Promise<void> {
  const watch = { look: () => ({ now, latestAt: now, seenSeconds: () => 1e6 }) }
  await advanceIssuerKeys(ctxAt(now), { store, keys: deps.kindDeps.keys, settings, randomBytes }, watch)
  const active = activeOf(await store.issuerKeys.list(ctxAt(now)), 'token')
  if (active !== undefined) signed.add(active.kid)
}

async function begin({ store, deps, signed, now }: Site, ask: Pick<Ask, 'emergency' | 'alg'>): Promise<void> {
  try {
    const wanted = { target: 'token', reason: 'test', batch: null, ...ask }
    const { rotation, change, entries = [] } = await decideBeginning(ctxAt(now), deps, 'issuer_key', wanted)
    const told = [entryOf(ctxAt(now), 'rotation.begun', rotation), ...entries] as const
    const committed = await store.commit(ctxAt(now), { ...change, entries: told })
    assert.equal(committed.kind, 'done')
    if (ask.emergency) signed.add(String(rotation.to))
  } catch (error) {
    // One is under way, or the successor that waits is of another algorithm.
    if (!isFault(error) || error.code !== 'conflict') throw error
  }
}

/** What a person decides, about the first rotation under way that stands so. */
async function decide(
  { store, now }: Site,
  wanted: 'cancel' | 'force',
  stands: Rotation['state'],
): Promise<void> {
  const open = await store.rotations.open(ctxAt(now), 'issuer_key', 'token')
  const found = open.find(({ state }) => state === stands)
  if (found === undefined) return
  const { version, ...rotation } = found
  const value: Rotation = { ...rotation, wanted, dueAt: now }
  const entries = [entryOf(ctxAt(now), `rotation.${wanted}`, value)] as const
  const puts = [{ put: 'rotation', value, ifVersion: version } as const]
  assert.equal((await store.commit(ctxAt(now), { puts, entries })).kind, 'done')
}

type Deed = (at: Site) => Promise<unknown>

const deeds: Readonly<Record<string, Deed>> = {
  keys: moveKeys,
  look: at => advanceRotations(ctxAt(at.now), at.deps, undefined),
  begin: at => begin(at, { emergency: false, alg: null }),
  beginOther: at => begin(at, { emergency: false, alg: 'Ed25519' }),
  cut: at => begin(at, { emergency: true, alg: null }),
  cutOther: at => begin(at, { emergency: true, alg: 'Ed25519' }),
  cancel: at => decide(at, 'cancel', 'staged'),
  force: at => decide(at, 'force', 'active'),
  wait: async at => {
    at.now += 1
  },
  waitLong: async at => {
    at.now += 15
  },
}

test('whichever of the two loops is without a leader, and whenever: no successor that signed is called failed', async () => {
  const anyDeed = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom('keys', 'begin', 'waitLong') },
    { weight: 1, arbitrary: fc.constantFrom(...Object.keys(deeds)) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(anyDeed, { maxLength: 40 }), async names => {
      const at = await site()
      try {
        for (const name of names) await deeds[name]?.(at)
        for (let turn = 0; turn < 6; turn++)
          for (const name of ['waitLong', 'keys', 'look']) await deeds[name]?.(at)
        await mustBeTold(at)
      } finally {
        await at.store.close()
      }
    }),
    { numRuns: 60 },
  )
})

/** That each rotation says of its successor what has become of it, and that one key is left. */
async function mustBeTold({ store, signed, now }: Site): Promise<void> {
  const rotations = (await store.rotations.list(ctxAt(now), { limit: 100 }, {})).items
  for (const { id, state, to, problem } of rotations) {
    const isOvertaken = problem?.startsWith('Overtaken by the emergency') ?? false
    if (isOvertaken) continue
    const expected = signed.has(String(to)) ? ['retired', null] : ['failed', 'Cancelled.']
    assert.deepEqual([state, problem], expected, id)
  }
  const keys = (await store.issuerKeys.list(ctxAt(now))).filter(({ purpose }) => purpose === 'token')
  const left = keys.filter(({ state }) => state !== 'retired').map(({ state }) => state)
  assert.deepEqual(left, ['active'])
}
