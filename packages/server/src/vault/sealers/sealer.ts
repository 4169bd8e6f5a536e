// The port of the root: what seals the vault's tenant keys, in a file, a module or a service. `contract.ts` holds each to it.
import type { Secret } from '@writ/sdk/protocol/secret'

/** What a root made of a plaintext, and the version of its key that did. */
export interface Sealed {
  readonly text: string
  readonly root: string
}

/**
 * One root of trust. A method that cannot reach it throws `temporarily_unavailable` with `why.kind` `sealer_away`; the
 * server then stays sealed and asks again. Where it is reached and is not the right one, `server_error`.
 */
export interface RootSealer {
  readonly kind: string
  /** For people: where it is, such as `the key file /var/lib/writ/seal.key`. */
  readonly place: string
  /** The id of the key version that seals now: stable, not secret, unique among all roots. */
  current(): Promise<string>
  /**
   * Authenticated encryption of at most 2048 bytes. `identity` is the record the plaintext belongs to: opened under
   * another, it fails, so that a text moved to another row is useless (threat C54). The text names its key version.
   */
  seal(plain: Secret<Uint8Array>, identity: string): Promise<Sealed>
  /**
   * The plaintext, or undefined where the text is not what this root sealed for this identity: flipped, moved, of a
   * version that was retired, or of another root.
   */
  open(text: string, identity: string): Promise<Secret<Uint8Array> | undefined>
  /**
   * Makes the successor of the current version, or finds the one that waits, and answers its id; it does not seal yet.
   * Repeating it with the same rotation yields the same. Throws `conflict`, saying what to do, where a person has to
   * bring the new key.
   */
  stage(rotation: string): Promise<string>
  /**
   * From here on this version seals; former ones still open. Repeating it changes nothing, and every node that goes on
   * with a rotation repeats it: a root may have to be told on each. Throws `conflict` where it holds no such version.
   */
  activate(version: string): Promise<void>
  /**
   * Nothing is left that this version, or one before it, sealed: it is forgotten, and what it sealed does not open.
   * Repeatable; a staged version is given up by it. Throws `conflict` for the current one, and where a person has to remove the key.
   */
  retire(version: string): Promise<void>
  close(): Promise<void>
}

/** What a sealer may know of its surroundings. */
export interface SealerSurroundings {
  /** The folder of the data; where a file is not named, it lies there. */
  readonly data: string
  /** Whether something has been sealed already: then no new root is ever made. */
  readonly hasSealed: boolean
  readonly randomBytes: (length: number) => Uint8Array
}

/** A kind of root, named by the scheme of the `sealer` setting, such as `transit:https://vault.example/…`. */
export interface SealerKind {
  readonly scheme: string
  /** For the documentation: what follows the colon, and when to choose it. */
  readonly form: string
  readonly because: string
  /** Throws `ConfigProblem`-worthy errors as `Fault('invalid_value')` where the text is not of its form. */
  open(rest: string, around: SealerSurroundings): Promise<RootSealer>
}
