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
      const nonce = randomBytes(nonceBytes)
      const aad = associated(own.version, id, identity)
      const { ciphertext, tag } = encrypt(keyOf(own), nonce, plain.reveal(), aad)
      const parts = [own.salt, nonce, ciphertext, tag].map(part => part.toString('base64url'))
      return [own.version, id, ...parts].join('.')
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
  return parseSealed(sealed)?.id
}

function derive(master: Secret<Uint8Array>, info: string, salt: Uint8Array = noSalt): Buffer {
  return Buffer.from(hkdfSync('sha256', master.reveal(), salt, info, keyBytes))
}

const noSalt = Buffer.alloc(0)

interface Parts {
  readonly version: 'v1' | 'v2'
  readonly id: string
  /** Empty in texts of `v1`. */
  readonly salt: Buffer
  readonly nonce: Buffer
  readonly ciphertext: Buffer
  readonly tag: Buffer
}

function parseSealed(text: string): Parts | undefined {
  if (text.length > longestSealed) return undefined
  const [version, id, ...rest] = text.split('.')
  if ((version !== 'v1' && version !== 'v2') || id === undefined) return undefined
  if (rest.length !== (version === 'v1' ? 3 : 4)) return undefined
  const decoded = rest.map(part => Buffer.from(part, 'base64url'))
  // One sealed text has one spelling; what Node's decoder skips would give it many.
  if (!decoded.every((part, at) => part.toString('base64url') === rest[at])) return undefined
  const [salt, nonce, ciphertext, tag] = version === 'v1' ? [noSalt, ...decoded] : decoded
  if (salt?.length !== (version === 'v1' ? 0 : saltBytes) || nonce?.length !== nonceBytes) return undefined
  if (ciphertext === undefined || tag?.length !== tagBytes) return undefined
  return { version, id, salt, nonce, ciphertext, tag }
}

// Lengths before the parts: no two lists of parts share their bytes (threat C54).
function associated(version: string, id: string, identity: string): Buffer {
  return Buffer.concat(
    [version, id, identity].flatMap(part => {
      const bytes = Buffer.from(part, 'utf8')
      const length = Buffer.alloc(4)
      length.writeUInt32BE(bytes.length)
      return [length, bytes]
    }),
  )
}

/** AES-GCM with a tag of 128 bits; the nonce must be fresh for the key. */
export function encrypt(
  key: KeyObject,
  nonce: Uint8Array,
  plain: Uint8Array,
  aad: Uint8Array,
): Pick<Parts, 'ciphertext' | 'tag'> {
  const cipher = createCipheriv(cipherOf(key), key, nonce, { authTagLength: tagBytes })
  cipher.setAAD(aad)
  const ciphertext = Buffer.concat([cipher.update(plain), cipher.final()])
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
  const begun = decipher.update(parts.ciphertext)
  try {
    return Buffer.concat([begun, decipher.final()])
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
