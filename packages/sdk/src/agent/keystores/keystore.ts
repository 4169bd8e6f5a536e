// The port where one instance keeps its identity and its keys. Whoever replaces it is held to contract.ts.
import type { SignKey } from '../../protocol/jwk.ts'

/** Who the instance is, once an issuer has answered for it. Credentials of one issuer are never shown to another. */
export interface Membership {
  readonly issuer: string
  readonly clientId: string
  readonly instance: string
  /** Digest of the enrolment token it came by: tells a restart from somebody else's token. */
  readonly enrollment: string
}

/** A key that the issuer has accepted, with its window in epoch seconds; `null` where it has no end. */
export interface HeldKey {
  readonly key: SignKey
  readonly kid: string
  readonly notBefore: number
  readonly expiresAt: number | null
}

/** A key that was made, and of which the issuer may or may not have heard. */
export interface StagedKey {
  readonly key: SignKey
  readonly purpose: string
}

export interface Held {
  readonly member: Membership | undefined
  readonly active: HeldKey | undefined
  readonly staged: StagedKey | undefined
}

/** What an issuer said about a key it accepted. */
export type Acceptance = Membership & Omit<HeldKey, 'key'>

/**
 * One store holds one instance. Every verb is atomic: a reader sees all of it or nothing, and what a verb has
 * returned survives the end of the process at any moment after it. Private keys leave a store as `SignKey` only.
 */
export interface Keystore {
  /**
   * Everything held now; all three are undefined in a new store. Throws `invalid_key` where others could have read
   * or changed the keys: a store that cannot keep a secret is not used.
   */
  read(): Promise<Held>
  /**
   * The key that waits for this purpose. The first call makes it and returns only once it is durable; any other call
   * with the same purpose, also after a crash or from another process, returns the same key, so that repeating a
   * request whose answer was lost shows the same key. A call with another purpose replaces the key that waited.
   */
  stage(purpose: string): Promise<SignKey>
  /**
   * The staged key becomes the one in use, with what the issuer said about it; its predecessor is forgotten here.
   * Doing it again changes nothing. Throws `conflict`, and changes nothing, for a key that is neither staged nor
   * in use.
   */
  activate(thumbprint: string, acceptance: Acceptance): Promise<void>
  /**
   * Runs `work` while nobody else who shares this store, in this process or another, runs theirs. Ends with the
   * process that held it. Throws `temporarily_unavailable` when its turn does not come in time.
   */
  alone<T>(work: () => Promise<T>): Promise<T>
}
