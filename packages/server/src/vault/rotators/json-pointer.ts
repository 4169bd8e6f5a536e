// JSON Pointer (RFC 6901): one place in an answer.

/** Whether the text points below the root: the whole answer is never a value. */
export function isJsonPointer(text: string): boolean {
  return text.length <= 256 && /^(?:\/(?:[^~/]|~[01])*)+$/.test(text)
}

/** What stands there; undefined where nothing does. Only what the document itself has, never what objects inherit. */
export function pointedAt(document: unknown, pointer: string): unknown {
  let at = document
  for (const raw of pointer.split('/').slice(1)) {
    // RFC 6901 §4: `~1` first, so that `~01` becomes `~1`.
    const token = raw.replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof at !== 'object' || at === null) return undefined
    if (Array.isArray(at) && !/^(?:0|[1-9]\d*)$/.test(token)) return undefined
    if (!Object.hasOwn(at, token)) return undefined
    at = (at as Record<string, unknown>)[token]
  }
  return at
}
