// The port of sealing: what keeps private keys unreadable in a database. The vault replaces the provider, not this.
import type { Secret } from '@writ/sdk/protocol/secret'
import type { Basis } from '../domain/change.ts'

export interface Sealer {
  /** Names the sealing key, so that a node with another one notices at start. */
  readonly id: string
  /**
   * Authenticated encryption. `identity` is the record the plaintext belongs to; opening under another identity
   * fails, so a ciphertext moved to another row is useless (threat C54).
   */
  seal(plain: Secret<Uint8Array>, identity: string): string
  /** The plaintext, or undefined when the text was not sealed by this key for this identity. */
  open(sealed: string, identity: string): Secret<Uint8Array> | undefined
  /**
   * Where the sealing key is one that rotates: what a change rests on that stores something newly sealed, so that nothing
   * is added under a key that was superseded meanwhile.
   */
  basis?(): Basis
}
