// Scope as OAuth writes it: RFC 6749 §3.3.

const maxLength = 4_096
const maxTokens = 100

// %x21 / %x23-5B / %x5D-7E: printable ASCII without space, quote and backslash; single spaces between tokens.
const grammar = /^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/

/**
 * The scope tokens in their order, or undefined where the text is no scope: empty, foreign characters, other spacing,
 * a repeated token, more than 100 tokens or 4096 characters.
 */
export function parseScope(text: string): readonly string[] | undefined {
  if (text.length > maxLength || !grammar.test(text)) return undefined
  const tokens = text.split(' ')
  return tokens.length <= maxTokens && new Set(tokens).size === tokens.length ? tokens : undefined
}

/** Whether a text is one scope token. */
export function isScopeToken(text: string): boolean {
  return text.length <= maxLength && !text.includes(' ') && grammar.test(text)
}

/** The text of these tokens; the inverse of `parseScope`. Throws a RangeError for what would not be a scope. */
export function formatScope(tokens: readonly string[]): string {
  const text = tokens.join(' ')
  if (parseScope(text)?.length !== tokens.length) throw new RangeError('not a list of different scope tokens')
  return text
}
