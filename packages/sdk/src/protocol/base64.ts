// Standard base64 (RFC 4648 §4), with padding, in its one canonical spelling.

/** The bytes, or undefined where the text is not the one spelling that encoding those bytes gives. */
export function parseBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  // RFC 4648 §3.5: spare bits and left-out padding would let two spellings carry one value, unseen by a comparison.
  return formatBase64(bytes) === text ? bytes : undefined
}

export function formatBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}
