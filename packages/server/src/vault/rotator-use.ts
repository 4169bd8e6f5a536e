// Which rotator a secret has, with its options read by its own schema, and the other secrets that it may use.
import { Fault } from '@writ/sdk/protocol/fault'
import type { Secret } from '@writ/sdk/protocol/secret'
import type { z } from 'zod'
import type { Ctx } from '../context.ts'
import type { RotatorUse, SecretVersion, VaultSecret } from '../domain/vault/secret.ts'
import type { Store } from '../store/store.ts'
import type { AnyRotator, LeaseRotator, Rotator } from './rotators/rotator.ts'
import type { Vault } from './vault.ts'

export interface RotatorDeps {
  readonly store: { readonly secrets: Pick<Store['secrets'], 'byName' | 'versions'> }
  readonly vault: Pick<Vault, 'reveal'>
  readonly rotators: readonly AnyRotator[]
}

/** A rotator with the options that its schema took, so that they belong together. */
export type Using =
  | { readonly makes: 'versions'; readonly rotator: Rotator; readonly options: unknown }
  | { readonly makes: 'leases'; readonly rotator: LeaseRotator; readonly options: unknown }

export type ReadUse =
  | { readonly using: Using }
  | { readonly problems: readonly z.core.$ZodIssue[] }
  | 'unknown'

/** Holds the options against the schema of the rotator that is named. */
export function readUse(rotators: readonly AnyRotator[], { kind, options }: RotatorUse): ReadUse {
  const found = rotators.find(one => one.kind === kind)
  if (found === undefined) return 'unknown'
  const read = found.options.safeParse(options)
  if (!read.success) return { problems: read.error.issues }
  // Its steps are given nothing but what its own schema took.
  const rotator = found as unknown as Rotator | LeaseRotator
  return {
    using:
      rotator.makes === 'versions'
        ? { makes: 'versions', rotator, options: read.data }
        : { makes: 'leases', rotator, options: read.data },
  }
}

/** The rotator of this secret; undefined where a person gives each version. Throws `conflict` where it is gone. */
export function usingOf(rotators: readonly AnyRotator[], secret: VaultSecret): Using | undefined {
  if (secret.rotator === null) return undefined
  const read = readUse(rotators, secret.rotator)
  if (read !== 'unknown' && 'using' in read) return read.using
  throw new Fault('conflict', `The rotator of ${secret.name} cannot be used by this version of the server.`, {
    kind: 'rotator_unusable',
  })
}

/** The secrets that options name: every rotator calls the one of its administrator `admin`. */
export function secretsNamed(options: unknown): readonly string[] {
  const admin =
    typeof options === 'object' && options !== null && 'admin' in options ? options.admin : undefined
  return typeof admin === 'string' ? [admin] : []
}

/** The version that is handed out now, where there is one. */
export async function activeVersion(
  ctx: Ctx,
  { store }: Pick<RotatorDeps, 'store'>,
  secret: VaultSecret,
): Promise<(SecretVersion & { readonly version: number }) | undefined> {
  const [active] = await store.secrets.versions(ctx, secret.id, { states: ['active'] })
  return active
}

/** What is given of a version to those who may have it. */
export function givenOf(
  ctx: Ctx,
  { vault, rotators }: RotatorDeps,
  secret: VaultSecret,
  version: SecretVersion,
): Secret<string> {
  const value = vault.reveal(ctx, version)
  const using = usingOf(rotators, secret)
  return using?.makes === 'versions' && using.rotator.given !== undefined ? using.rotator.given(value) : value
}

/**
 * The other secrets that the rotator of `user` may use. Throws `conflict` for one that is not there, has no value, or
 * does not list the user among its consumers: whoever writes options reaches nothing that its owner did not give.
 */
export function secretsFor(
  ctx: Ctx,
  deps: RotatorDeps,
  user: Pick<VaultSecret, 'name'>,
): (name: string) => Promise<Secret<string>> {
  return async name => {
    const secret = await deps.store.secrets.byName(ctx, name)
    if (secret === undefined || secret.status !== 'active' || !secret.consumers.includes(user.name)) {
      throw new Fault('conflict', `The secret ${name} does not list ${user.name} among its consumers.`, {
        kind: 'not_entrusted',
        secret: name,
      })
    }
    const version = await activeVersion(ctx, deps, secret)
    if (version === undefined) {
      throw new Fault('conflict', `The secret ${name} has no version in use yet.`, { kind: 'no_version' })
    }
    return givenOf(ctx, deps, secret, version)
  }
}
