// The sealed text and its cipher: AES-256-GCM with random 96-bit nonces (NIST SP 800-38D §8.2.2; RFC 5116 §5.2).
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { Fault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import type { Sealer } from './sealer.ts'

/** The length of the sealing key in bytes. */
export const keyBytes = 32

const nonceBytes = 12
const saltBytes = 16
const tagBytes = 16
const idBytes = 12
// Private keys are below 200 bytes; nothing that is sealed here is large.
const longestSealed = 16_384

/**
 * NIST SP 800-38D §8.3: with random nonces one key encrypts at most 2^32 messages. Each sealer encrypts under a key of
 * its own, so that its count is exact: no other process encrypts under that key, and none does after a restart.
 */
const sealLimit = 2 ** 32
/** Keys of other sealers kept derived: as many as there were processes that sealed what is read at one time. */
const keysKept = 256

/**
 * Text: `v2.<sealer id>.<salt>.<nonce>.<ciphertext>.<tag>`, base64url. The key is derived from the sealing one by the
 * salt (RFC 5869), which is random and of this sealer alone. Associated data: version, sealer id and identity, each with
 * its length before it. The id is a hash of a key derived beside them, and says nothing about any. Texts of `v1`, which
 * had no salt, are still opened.
 */
export function aesGcmSealer(master: Secret<Uint8Array>, limit: number = sealLimit): Sealer {
  const id = createHash('sha256')
    .update(derive(master, 'writ seal v1 id'))
    .digest()
    .subarray(0, idBytes)
    .toString('base64url')
  const keys = new Map<string, KeyObject>()
  const keyOf = ({ version, salt }: Pick<Parts, 'version' | 'salt'>): KeyObject => {
    const name = salt.toString('base64url')
    const known = keys.get(name)
    if (known !== undefined) return known
    const key = createSecretKey(derive(master, `writ seal ${version} aes-256-gcm`, salt))
    if (keys.size >= keysKept) keys.clear()
    keys.set(name, key)
    return key
  }
  const own = { version: 'v2', salt: randomBytes(saltBytes) } as const
  const ownSalt = own.salt.toString('base64url')
  const nextNonce = nonces()
  let sealed = 0
  return {
    id,
    seal(plain, identity) {
      if (sealed >= limit) {
        throw new Fault('server_error', 'This process has sealed all it may: restart it.', {
          kind: 'seal_limit',
        })
      }
      sealed += 1
      const nonce = nextNonce()
      const aad = associated(own.version, id, identity)
      const { ciphertext, tag } = encrypt(keyOf(own), nonce, plain.reveal(), aad)
      const parts = [nonce, ciphertext, tag].map(part => part.toString('base64url'))
      return [own.version, id, ownSalt, ...parts].join('.')
    },
    open(text, identity) {
      const parts = parseSealed(text)
      if (parts === undefined || parts.id !== id) return undefined
      const plain = decrypt(keyOf(parts), parts, associated(parts.version, id, identity))
      return plain && new Secret(plain)
    },
  }
}

/** The id of the sealer that made the text; undefined where nothing of this format did. */
export function sealerOf(sealed: string): string | undefined {
  return splitSealed(sealed)?.id
}

function derive(master: Secret<Uint8Array>, info: string, salt: Uint8Array = noSalt): Buffer {
  return Buffer.from(hkdfSync('sha256', master.reveal(), salt, info, keyBytes))
}

const noSalt = Buffer.alloc(0)

/** Nonces drawn at once: a draw for each message would cost as much as sealing a short one. */
const noncesDrawn = 256

/** Fresh nonces one after the other; they are no secret, and none is handed out twice. */
function nonces(): () => Uint8Array {
  let pool = Buffer.alloc(0)
  let at = 0
  return () => {
    if (at === pool.length) {
      pool = randomBytes(noncesDrawn * nonceBytes)
      at = 0
    }
    at += nonceBytes
    return pool.subarray(at - nonceBytes, at)
  }
}

interface Parts {
  readonly version: 'v1' | 'v2'
  readonly id: string
  /** Empty in texts of `v1`. */
  readonly salt: Buffer
  readonly nonce: Buffer
  readonly ciphertext: Buffer
  readonly tag: Buffer
}

/** The parts of a text as they are spelt, each in the one spelling it has. */
interface Spelt {
  readonly version: 'v1' | 'v2'
  readonly id: string
  readonly parts: readonly [salt: string, nonce: string, ciphertext: string, tag: string]
}

const bitsOfDigit = 6
const digitsOf = (bytes: number): number => Math.ceil((bytes * 8) / bitsOfDigit)

// RFC 4648 §3.5: one sealed text has one spelling; bits of a last digit that are not zero would give it many.
const base64url = /^(?:[\w-]{4})*(?:[\w-][AQgw]|[\w-]{2}[AEIMQUYcgkosw048])?$/

function splitSealed(text: string): Spelt | undefined {
  if (text.length > longestSealed) return undefined
  const [version, id, ...rest] = text.split('.')
  if ((version !== 'v1' && version !== 'v2') || id === undefined) return undefined
  if (rest.length !== (version === 'v1' ? 3 : 4)) return undefined
  const [salt = '', nonce = '', ciphertext = '', tag = ''] = version === 'v1' ? ['', ...rest] : rest
  if (salt.length !== (version === 'v1' ? 0 : digitsOf(saltBytes))) return undefined
  if (nonce.length !== digitsOf(nonceBytes) || tag.length !== digitsOf(tagBytes)) return undefined
  const parts = [salt, nonce, ciphertext, tag] as const
  return parts.every(part => base64url.test(part)) ? { version, id, parts } : undefined
}

function parseSealed(text: string): Parts | undefined {
  const spelt = splitSealed(text)
  if (spelt === undefined) return undefined
  const { version, id, parts } = spelt
  const bytes = (part: string): Buffer => Buffer.from(part, 'base64url')
  return {
    version,
    id,
    salt: bytes(parts[0]),
    nonce: bytes(parts[1]),
    ciphertext: bytes(parts[2]),
    tag: bytes(parts[3]),
  }
}

// Lengths before the parts: no two lists of parts share their bytes (threat C54).
function associated(version: string, id: string, identity: string): Buffer {
  const parts = [version, id, identity]
  const lengths = parts.map(part => Buffer.byteLength(part))
  const joined = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + lengthBytes + length, 0))
  let at = 0
  for (const [place, part] of parts.entries()) {
    at = joined.writeUInt32BE(lengths[place] ?? 0, at)
    at += joined.write(part, at)
  }
  return joined
}

const lengthBytes = 4

/** AES-GCM with a tag of 128 bits; the nonce must be fresh for the key. */
export function encrypt(
  key: KeyObject,
  nonce: Uint8Array,
  plain: Uint8Array,
  aad: Uint8Array,
): Pick<Parts, 'ciphertext' | 'tag'> {
  const cipher = createCipheriv(cipherOf(key), key, nonce, { authTagLength: tagBytes })
  cipher.setAAD(aad)
  const ciphertext = cipher.update(plain)
  // Encrypts nothing more, GCM having no blocks to fill; it makes the tag.
  cipher.final()
  return { ciphertext, tag: cipher.getAuthTag() }
}

/**
 * The plaintext, or undefined where a bit of anything differs. Takes nonces of 96 bits and tags of 128 alone: a shorter
 * tag can be guessed, and a nonce of another length has lost the bound on collisions (NIST SP 800-38D §8.2).
 */
export function decrypt(
  key: KeyObject,
  parts: Pick<Parts, 'nonce' | 'ciphertext' | 'tag'>,
  aad: Uint8Array,
): Buffer | undefined {
  if (parts.nonce.length !== nonceBytes || parts.tag.length !== tagBytes) return undefined
  const decipher = createDecipheriv(cipherOf(key), key, parts.nonce, { authTagLength: tagBytes })
  decipher.setAAD(aad)
  decipher.setAuthTag(parts.tag)
  const plain = decipher.update(parts.ciphertext)
  try {
    // Decrypts nothing more; it checks the tag, and before that nothing of the plaintext may be used.
    decipher.final()
    return plain
  } catch (cause) {
    // Node has no other sign of a tag that does not match than an error without a code.
    if (cause instanceof Error) return undefined
    throw cause
  }
}

function cipherOf(key: KeyObject): 'aes-128-gcm' | 'aes-192-gcm' | 'aes-256-gcm' {
  const bits = (key.symmetricKeySize ?? 0) * 8
  if (bits !== 128 && bits !== 192 && bits !== 256)
    throw new RangeError('an AES key has 128, 192 or 256 bits')
  return `aes-${bits}-gcm`
}
