// base64url without padding, canonical or refused: RFC 4648 §5 and §3.5, RFC 7515 §2.

/** Bytes, or a text as UTF-8, in base64url without padding. */
export function encodeBase64url(bytes: Uint8Array | string): string {
  if (typeof bytes === 'string') return Buffer.from(bytes, 'utf8').toString('base64url')
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url')
}

/**
 * The bytes, or undefined where the text is not their one canonical spelling. Two spellings of one token would pass
 * every check on bytes and defeat every one on text (replay keys, revocation by hash, caches).
 */
export function decodeBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  // The decoder forgives foreign letters, padding, white space and dangling bits (RFC 4648 §3.5); the encoder makes none.
  return bytes.toString('base64url') === text ? bytes : undefined
}
