// Strict and bounded JSON: RFC 8259 in the I-JSON profile, RFC 7493. What two parsers could read in two ways is refused.

/** Bounds of one text: its bytes, how deep containers nest, how many members and how many commas it has in all. */
export interface JsonLimits {
  readonly maxBytes?: number
  readonly maxDepth?: number
  readonly maxMembers?: number
}

/** Why a text was refused; for logs. */
export type JsonProblem =
  | 'too_large'
  | 'too_deep'
  | 'too_many_members'
  | 'not_utf8'
  | 'syntax'
  | 'duplicate_member'
  | 'proto_member'
  | 'lone_surrogate'
  | 'number_out_of_range'
  | 'not_an_object'

export type JsonObject = Record<string, unknown>

const defaults = { maxBytes: 65_536, maxDepth: 16, maxMembers: 2_048 } as const

/**
 * The value of a JSON text, or why it is none. Refused are: a member that is repeated anywhere, however it is spelt;
 * the member `__proto__`; a number that is not finite, or whole and not exact (2^53 and beyond); a lone surrogate; a
 * byte order mark; excess. Bytes must be UTF-8 (RFC 8259 §8.1).
 */
export function readJson(
  text: string | Uint8Array,
  limits: JsonLimits = {},
): { readonly value: unknown } | { readonly problem: JsonProblem } {
  const maxBytes = limits.maxBytes ?? defaults.maxBytes
  if (text.length > maxBytes) return { problem: 'too_large' }
  const decoded = typeof text === 'string' ? text : decodeUtf8(text)
  if (decoded === undefined) return { problem: 'not_utf8' }
  if (decoded.length * 3 > maxBytes && Buffer.byteLength(decoded) > maxBytes) return { problem: 'too_large' }
  const members = countMembers(
    decoded,
    limits.maxDepth ?? defaults.maxDepth,
    limits.maxMembers ?? defaults.maxMembers,
  )
  if (typeof members === 'string') return { problem: members }
  const value = parse(decoded)
  if (value === undefined) return { problem: 'syntax' }
  const own = countOwn(value)
  if (typeof own === 'string') return { problem: own }
  // RFC 7493 §2.3. A repeated name is merged by the parser: the text has more members than the value. Counting finds
  // it at any depth and in any spelling, because the parser itself has decided which names are equal.
  if (own !== members) return { problem: 'duplicate_member' }
  return { value }
}

/** The value, or undefined, which is no JSON value, where `readJson` would say a problem. */
export function parseJson(text: string | Uint8Array, limits?: JsonLimits): unknown {
  const read = readJson(text, limits)
  return 'value' in read ? read.value : undefined
}

/** The same where the value must be an object, as every header, claims set and request of ours is. */
export function readJsonObject(
  text: string | Uint8Array,
  limits?: JsonLimits,
): { readonly value: JsonObject } | { readonly problem: JsonProblem } {
  const read = readJson(text, limits)
  if ('problem' in read) return read
  return isObject(read.value) ? { value: read.value } : { problem: 'not_an_object' }
}

export function parseJsonObject(text: string | Uint8Array, limits?: JsonLimits): JsonObject | undefined {
  const read = readJsonObject(text, limits)
  return 'value' in read ? read.value : undefined
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

// `ignoreBOM` means that a byte order mark is kept, so that the parser sees it and refuses it.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch (error) {
    if (error instanceof TypeError) return undefined
    throw error
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

const backslash = 0x5c

/**
 * The colons outside strings: one for each member, if the text is JSON at all, which only the parser decides. Depth
 * and size are bounded here, before the parser and the walk after it do work for them.
 */
function countMembers(text: string, maxDepth: number, maxMembers: number): number | JsonProblem {
  let members = 0
  let commas = 0
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22: // "
        at = endOfString(text, at)
        if (at === -1) return 'syntax'
        break
      case 0x3a: // :
        members++
        break
      case 0x2c: // ,
        commas++
        break
      case 0x7b: // {
      case 0x5b: // [
        if (++depth > maxDepth) return 'too_deep'
        break
      case 0x7d: // }
      case 0x5d: // ]
        depth--
        break
    }
  }
  return members > maxMembers || commas > maxMembers ? 'too_many_members' : members
}

/** Where the string that opens at `start` closes: the next quote behind an even number of backslashes; -1 if never. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let before = end
    while (text.charCodeAt(before - 1) === backslash) before--
    if ((end - before) % 2 === 0) return end
  }
  return -1
}

/** The members of a parsed value at every depth, or what of it a parser accepts but must not be passed on. */
function countOwn(value: unknown): number | JsonProblem {
  // RFC 7493 §2.1: a lone surrogate has no UTF-8, so each writer would replace it in its own way.
  if (typeof value === 'string') return value.isWellFormed() ? 0 : 'lone_surrogate'
  if (typeof value === 'number') {
    // RFC 7493 §2.2. Past 2^53 the parser has rounded already: two numbers on the wire would be one here.
    return Number.isSafeInteger(value) || (Number.isFinite(value) && !Number.isInteger(value))
      ? 0
      : 'number_out_of_range'
  }
  if (typeof value !== 'object' || value === null) return 0
  let members = 0
  if (Array.isArray(value)) {
    for (const element of value) {
      const inner = countOwn(element)
      if (typeof inner === 'string') return inner
      members += inner
    }
    return members
  }
  for (const name of Object.keys(value)) {
    // Copied by assignment anywhere downstream, it would set a prototype and so grant members that nobody sent.
    if (name === '__proto__') return 'proto_member'
    if (!name.isWellFormed()) return 'lone_surrogate'
    const inner = countOwn((value as JsonObject)[name])
    if (typeof inner === 'string') return inner
    members += 1 + inner
  }
  return members
}
