// The port of a kind of rotation: how one begins, what is due, and how it is known that the old version is unneeded.
import type { Ctx } from '../context.ts'
import type { EntryDraft } from '../domain/audit-entry.ts'
import type { Change, Versioned } from '../domain/change.ts'
import type { DrainFacts, DrainProof, Rotation, RotationKind } from '../domain/rotation.ts'
import type { Keys } from '../keys/keys.ts'
import type { RotationSettings } from '../keys/rotation.ts'
import type { Store } from '../store/store.ts'
import type { Keyring } from '../vault/keyring.ts'
import type { AnyRotator } from '../vault/rotators/rotator.ts'
import type { RootSealer } from '../vault/sealers/sealer.ts'
import type { Vault } from '../vault/vault.ts'

export interface RotationRules {
  /** For how long nobody may have used a predecessor before it ends. */
  readonly drainSeconds: number
  /** After how long a rotation that has not gone on is blocked. */
  readonly drainLimitSeconds: number
  /** Over how long the instances that are asked to rotate together spread it. */
  readonly spreadSeconds: number
}

/** What kinds read and call. They write nothing: what became true is a change that the engine commits. */
export interface KindDeps {
  readonly store: Omit<Store, 'commit' | 'sweeping' | 'close'>
  readonly keys: Keys
  readonly vault: Vault
  readonly rotators: readonly AnyRotator[]
  readonly keyring: Pick<Keyring, 'stage' | 'reseal' | 'reload' | 'keyOf'>
  readonly root: RootSealer
  readonly rules: RotationRules
  readonly issuerKeys: RotationSettings
  readonly randomBytes: (length: number) => Uint8Array
  /** Aborts when the server stops. */
  readonly signal: AbortSignal
}

/** What was asked for. */
export interface Ask {
  readonly target: string
  readonly reason: string
  readonly batch: string | null
  /** Cut the old version at once, whoever still uses it. */
  readonly emergency: boolean
  /** Of an issuer key: the algorithm of the successor; null keeps it. */
  readonly alg: string | null
}

export type Parts = Pick<Change, 'puts' | 'creates' | 'signals' | 'bases'>

export interface Begun {
  readonly rotation: Rotation
  /** What has to become true with the record of the rotation itself, which the engine adds. */
  readonly parts: Parts
  /** What else the audit log has to tell of it, such as the end of a key. */
  readonly entries?: readonly EntryDraft[]
}

/** What one look found: the rotation as it becomes, and what becomes true with it. */
export interface Look {
  readonly rotation: Rotation
  readonly parts?: Parts
  /** What else the audit log has to tell of it, such as the end of a key. */
  readonly entries?: readonly EntryDraft[]
  /** Facts for the audit entry of a move; where the state does not change there is none. */
  readonly facts?: EntryDraft['facts']
}

/** Something a version could reach, for the blast radius of an emergency. */
export interface Reach {
  readonly kind: 'resource' | 'secret' | 'token' | 'consumer' | 'upstream'
  readonly name: string
  readonly detail: string
}

export interface Kind {
  readonly kind: RotationKind
  readonly proof: DrainProof
  /** Why nobody may end its old version by force, in a sentence for whoever asks; left out where one may. */
  readonly unforced?: string
  /** Targets of the tenant for `--all`, in pages; ids, as `Ask.target` takes them. */
  targets(
    ctx: Ctx,
    deps: KindDeps,
    after: string | null,
  ): Promise<{ items: readonly string[]; next: string | null }>
  /** Throws `not_found` for an unknown target, `conflict` for a retired one or one with no key to rotate. */
  begin(ctx: Ctx, deps: KindDeps, ask: Ask): Promise<Begun>
  /**
   * One look at a rotation that has not ended. May call upstream; every such call is idempotent on the rotation, because
   * what it answers is only true once the engine has committed it, and the next look may begin again. The engine has
   * set `dueAt` ahead; a look that waits for something sets a better one.
   */
  look(ctx: Ctx, deps: KindDeps, rotation: Versioned<Rotation>): Promise<Look>
  /** What is known about the use of the predecessor. */
  drain(ctx: Ctx, deps: KindDeps, rotation: Rotation): Promise<DrainFacts>
  /** What the predecessor can reach, or could when it was cut. */
  reach(ctx: Ctx, deps: KindDeps, rotation: Rotation): Promise<readonly Reach[]>
  /** Caller names in the audit log whose deeds were done with the predecessor: `key:<thumbprint>`, agents, clients. */
  holders(ctx: Ctx, deps: KindDeps, rotation: Rotation): Promise<readonly string[]>
}
