// The text of roots that are elsewhere: `<version>.<nonce>.<sealed>`, base64url, in one spelling (RFC 4648 §3.5).

const longest = 16_384

export interface SealedText {
  readonly root: string
  readonly nonce: Buffer
  readonly sealed: Buffer
}

/** The parts, or undefined where the text is not of this form. */
export function parseText(text: string, nonceBytes: number): SealedText | undefined {
  if (text.length > longest) return undefined
  const [root, ...rest] = text.split('.')
  if (root === undefined || rest.length !== 2) return undefined
  const [nonce, sealed] = rest.map(canonical)
  return nonce?.length === nonceBytes && sealed !== undefined ? { root, nonce, sealed } : undefined
}

/** What the text stands for; undefined where another text would stand for the same. */
export function canonical(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : undefined
}

/** Each part with its length before it: no two lists of parts share their bytes (threat C54). */
export function lengthened(parts: readonly string[]): Buffer {
  return Buffer.concat(
    parts.flatMap(part => {
      const bytes = Buffer.from(part, 'utf8')
      const length = Buffer.alloc(4)
      length.writeUInt32BE(bytes.length)
      return [length, bytes]
    }),
  )
}

/** What is authenticated with a sealed key: by which version, and for which record. */
export function associated(root: string, identity: string): Buffer {
  return lengthened(['writ root v1', root, identity])
}
