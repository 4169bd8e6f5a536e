// The steps of the rotation of one secret: each is taken upstream, and what became true is answered for the engine to commit.
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import { newId } from '@writ/sdk/protocol/identifier'
import type { Secret } from '@writ/sdk/protocol/secret'
import type { Ctx } from '../context.ts'
import type { EntryDraft } from '../domain/audit-entry.ts'
import type { Basis, Put, Versioned } from '../domain/change.ts'
import { moveRotation, type Rotation } from '../domain/rotation.ts'
import { moveVersion, type SecretVersion, type VaultSecret } from '../domain/vault/secret.ts'
import { newVersion, succeedVersion } from '../domain/vault/succession.ts'
import { secretsFor, usingOf } from '../vault/rotator-use.ts'
import type { Held, Rotator, RotatorContext } from '../vault/rotators/rotator.ts'
import type { KindDeps, Look } from './kind.ts'

/** Upstreams that hang must not keep the other rotations of the loop from going on. */
const stepMs = 10_000

/** Everything that a look at the rotation of a secret is about, as read at one instant. */
export interface Scene {
  readonly secret: VaultSecret
  /** Rests on the secret being what it was when it was read: one that is retired meanwhile stays retired. */
  readonly basis: Basis
  readonly rotation: Rotation
  readonly versions: readonly Versioned<SecretVersion>[]
}

/** Throws `not_found` where the secret is gone. */
export async function sceneOf(ctx: Ctx, deps: KindDeps, rotation: Rotation): Promise<Scene> {
  const epoch = await deps.store.signals.head(ctx)
  const found = await deps.store.secrets.get(ctx, rotation.target)
  if (found === undefined) throw new Fault('not_found', 'There is no such secret.', { kind: 'no_secret' })
  const { version: _, ...secret } = found
  const versions = await deps.store.secrets.versions(ctx, secret.id)
  return { secret, basis: { epoch, subjects: [secret.id] }, rotation, versions }
}

/** A version of the scene by its id. */
export function versionOf({ versions }: Scene, id: string | null): Versioned<SecretVersion> | undefined {
  return id === null ? undefined : versions.find(version => version.id === id)
}

/** The rotator of the secret, where it makes versions. */
export function versionsRotator(deps: KindDeps, secret: VaultSecret) {
  const using = usingOf(deps.rotators, secret)
  return using?.makes === 'versions' ? using : undefined
}

type Step<T> = (rotator: Rotator, context: RotatorContext<unknown>) => Promise<T>

/** Takes one step with the version `next`; bounded, and not after the server has begun to stop. */
export async function stepWith<T>(
  ctx: Ctx,
  deps: KindDeps,
  { secret, rotation, versions }: Scene,
  { next, step }: { readonly next: Held; readonly step: Step<T> },
): Promise<T> {
  const using = versionsRotator(deps, secret)
  if (using === undefined)
    throw new Fault('conflict', `${secret.name} has no rotator any more: give its next version by hand.`, {
      kind: 'no_rotator',
    })
  const active = versions.find(({ state }) => state === 'active')
  const signal = AbortSignal.any([deps.signal, AbortSignal.timeout(stepMs)])
  const work = step(using.rotator, {
    options: using.options,
    rotation: rotation.id,
    secretName: secret.name,
    current: active === undefined ? null : held(ctx, deps, active),
    next,
    secret: secretsFor(ctx, deps, secret),
    now: ctx.now,
    signal,
  })
  try {
    return await orAborted(work, signal)
  } catch (error) {
    if (isFault(error) || !signal.aborted) throw error
    throw new Fault('temporarily_unavailable', 'The upstream did not answer in time; it is tried again.', {
      kind: 'upstream_timeout',
    })
  }
}

async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const abort = (): void => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
    // Nobody waits for it any more: what it says later is no failure of the process.
    work.catch(() => undefined)
  }
}

export function held(ctx: Ctx, deps: KindDeps, version: SecretVersion): Held {
  return { value: deps.vault.reveal(ctx, version), handle: version.handle, number: version.number }
}

/** The first look: a value and handle are stored before the upstream hears of either, so that neither can be lost. */
export async function propose(ctx: Ctx, deps: KindDeps, scene: Scene): Promise<Look> {
  const { secret, rotation, versions } = scene
  const number = (versions.at(-1)?.number ?? 0) + 1
  // The rotator is not shown this one: there is nothing yet.
  const nothing = { value: undefined as never, handle: null, number }
  const proposed = await stepWith(ctx, deps, scene, {
    next: nothing,
    step: (rotator, { next: _, ...context }) => rotator.propose(context),
  })
  const id = newId('ver', deps.randomBytes)
  const { vaultKey, sealed, basis } = deps.vault.protect(ctx, proposed.value, { id, secret: secret.id })
  const about = { id, secret: secret.id, number, state: 'staged', vaultKey, sealed } as const
  const version = newVersion({ ...about, handle: proposed.handle, rotation: rotation.id }, ctx.now)
  return {
    rotation: { ...rotation, to: id, dueAt: ctx.now, problem: null },
    parts: {
      puts: [{ put: 'secretVersion', value: version, ifVersion: 0 }],
      bases: [scene.basis, basis],
    },
  }
}

/** Stages, verifies and promotes the successor; what the upstream chose itself is stored before it is relied on. */
export async function bringIntoUse(
  ctx: Ctx,
  deps: KindDeps,
  scene: Scene,
  next: Versioned<SecretVersion>,
): Promise<Look> {
  const { rotation, versions } = scene
  const given = held(ctx, deps, next)
  const staged = await stepWith(ctx, deps, scene, {
    next: given,
    step: (rotator, context) => rotator.stage(context),
  })
  const chosen = chosenBy(staged, given)
  if (chosen !== undefined) return store(ctx, deps, scene, { next, chosen })
  await stepWith(ctx, deps, scene, { next: given, step: (rotator, context) => rotator.verify(context) })
  await stepWith(ctx, deps, scene, { next: given, step: (rotator, context) => rotator.promote(context) })
  const { version, ...bare } = next
  const former = versions.find(({ state }) => state === 'active')
  const active = { value: moveVersion(bare, 'activate', ctx.now), ifVersion: version }
  const { puts, signals } = succeedVersion(former, active, ctx.now)
  const promoted = moveRotation(rotation, 'promote', ctx.now)
  return {
    rotation: { ...promoted, dueAt: ctx.now },
    parts: { puts, signals, bases: [scene.basis] },
    entries: [told(ctx, scene, 'secret.version_active', bare)],
  }
}

function chosenBy(
  staged: Partial<Pick<Held, 'value' | 'handle'>>,
  given: Held,
): Pick<Held, 'value' | 'handle'> | undefined {
  const value: Secret<string> = staged.value ?? given.value
  const handle = staged.handle === undefined ? given.handle : staged.handle
  const isSame = handle === given.handle && value.reveal() === given.value.reveal()
  return isSame ? undefined : { value, handle }
}

function store(
  ctx: Ctx,
  deps: KindDeps,
  { secret, basis: standing, rotation }: Scene,
  {
    next,
    chosen,
  }: { readonly next: Versioned<SecretVersion>; readonly chosen: Pick<Held, 'value' | 'handle'> },
): Look {
  const { version: ifVersion, ...bare } = next
  const { vaultKey, sealed, basis } = deps.vault.protect(ctx, chosen.value, {
    id: bare.id,
    secret: secret.id,
  })
  const value: SecretVersion = { ...bare, vaultKey, sealed, handle: chosen.handle }
  return {
    rotation: { ...rotation, dueAt: ctx.now },
    parts: { puts: [{ put: 'secretVersion', value, ifVersion }], bases: [standing, basis] },
  }
}

/** The successor withdrawn upstream, and the rotation at its end; the version in use stays. */
export async function giveUp(ctx: Ctx, deps: KindDeps, scene: Scene, problem: string): Promise<Look> {
  const failed = moveRotation({ ...scene.rotation, problem }, 'fail', ctx.now)
  const next = versionOf(scene, scene.rotation.to)
  if (next === undefined || next.state !== 'staged') return { rotation: failed }
  const given = held(ctx, deps, next)
  await stepWith(ctx, deps, scene, { next: given, step: (rotator, context) => rotator.retire(context) })
  const { version: ifVersion, ...bare } = next
  return {
    rotation: failed,
    parts: { puts: [{ put: 'secretVersion', value: moveVersion(bare, 'fail', ctx.now), ifVersion }] },
    entries: [told(ctx, scene, 'secret.version_failed', bare)],
  }
}

/** What an overtaken rotation had begun is withdrawn first: an upstream may have room for two versions only. */
export async function clear(
  ctx: Ctx,
  deps: KindDeps,
  scene: Scene,
  left: Versioned<SecretVersion>,
): Promise<Look> {
  const begun = { ...scene.rotation, id: left.rotation ?? scene.rotation.id }
  await stepWith(
    ctx,
    deps,
    { ...scene, rotation: begun },
    { next: held(ctx, deps, left), step: (rotator, context) => rotator.retire(context) },
  )
  const { version: ifVersion, ...bare } = left
  return {
    rotation: { ...scene.rotation, dueAt: ctx.now },
    parts: { puts: [{ put: 'secretVersion', value: moveVersion(bare, 'fail', ctx.now), ifVersion }] },
    entries: [told(ctx, scene, 'secret.version_failed', bare)],
  }
}

/** The former withdrawn upstream, and nothing of it kept; where a person gave the versions there is no upstream. */
export async function withdraw(
  ctx: Ctx,
  deps: KindDeps,
  scene: Scene,
  former: Versioned<SecretVersion>,
): Promise<Look> {
  if (versionsRotator(deps, scene.secret) !== undefined) {
    const given = held(ctx, deps, former)
    await stepWith(ctx, deps, scene, { next: given, step: (rotator, context) => rotator.retire(context) })
  }
  const { version: ifVersion, ...bare } = former
  const put: Put = { put: 'secretVersion', value: moveVersion(bare, 'retire', ctx.now), ifVersion }
  return {
    rotation: moveRotation(scene.rotation, 'retire', ctx.now),
    parts: { puts: [put] },
    entries: [told(ctx, scene, 'secret.version_retired', bare)],
  }
}

function told(ctx: Ctx, { secret, rotation }: Scene, type: string, version: SecretVersion): EntryDraft {
  return {
    type,
    outcome: 'allowed',
    reason: rotation.wanted === 'force' ? 'forced' : rotation.reason,
    requestId: ctx.requestId,
    facts: {
      secret: secret.id,
      name: secret.name,
      version: version.id,
      number: version.number,
      handle: version.handle,
      rotation: rotation.id,
    },
  }
}
