// Where a search goes on (AuthZEN §8.2): sealed, for the last that was looked at may be one whom nobody may be told of.
import { createCipheriv, createDecipheriv } from 'node:crypto'
import type { Ctx } from '../context.ts'
import type { BindingDeps } from './access-request.ts'

/** How far a search came, and how many it gives at once. */
export interface Place {
  readonly limit: number
  /** The id of the last record that was looked at, or how many of a list were; empty where none was. */
  readonly after: string
}

const algorithm = 'aes-256-gcm'
const nonceBytes = 12
const tagBytes = 16
const longest = 256

/** `search`: one text for the search and who searches; the token is good for nothing else. */
export function sealPlace(ctx: Ctx, deps: BindingDeps, search: string, { limit, after }: Place): string {
  const nonce = deps.randomBytes(nonceBytes)
  const cipher = createCipheriv(algorithm, keyOf(ctx, deps), nonce, { authTagLength: tagBytes })
  cipher.setAAD(Buffer.from(search))
  const sealed = [cipher.update(`${limit} ${after}`), cipher.final()]
  return Buffer.concat([nonce, ...sealed, cipher.getAuthTag()]).toString('base64url')
}

/** Undefined for whatever was not sealed here, for this search. */
export function openPlace(
  ctx: Ctx,
  { keys }: Pick<BindingDeps, 'keys'>,
  search: string,
  token: string,
): Place | undefined {
  if (token.length > longest || !/^[\w-]+$/.test(token)) return undefined
  const bytes = Buffer.from(token, 'base64url')
  // RFC 4648 §3.5: one place has one spelling.
  if (bytes.length < nonceBytes + tagBytes || bytes.toString('base64url') !== token) return undefined
  const nonce = bytes.subarray(0, nonceBytes)
  const decipher = createDecipheriv(algorithm, keyOf(ctx, { keys }), nonce, { authTagLength: tagBytes })
  decipher.setAAD(Buffer.from(search))
  decipher.setAuthTag(bytes.subarray(-tagBytes))
  const plain = decipher.update(bytes.subarray(nonceBytes, -tagBytes))
  try {
    decipher.final()
  } catch (cause) {
    // Node has no other sign of a tag that does not match than an error without a code.
    if (cause instanceof Error) return undefined
    throw cause
  }
  const [limit = '', after = ''] = plain.toString().split(' ', 2)
  return { limit: Number(limit), after }
}

function keyOf(ctx: Ctx, { keys }: Pick<BindingDeps, 'keys'>): Uint8Array {
  return keys.nonceMac(ctx, 'search-place')
}
