// What may be written to a log: no Secret, and nothing that looks like a token, in whatever form it comes (threat C55).

/** Stands where something was that nobody may read in a log. */
const redacted = '[redacted]'

/** Long texts are caller's texts, and a log line is no place for them. */
const longestText = 512

// Everything that base64, base64url, hex, a JWT's parts and percent-encoding are made of. A dot ends a run: the parts
// of a JWT are long enough by themselves, and a sentence is not one run.
const run = /[A-Za-z0-9+/=_~%-]{20,}/g

// RFC 3986 §3.2.1: a URL of a database or proxy may have a password in front of its host.
const userinfo = /(?<=:\/\/)[^\s/@]*@/g

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

// Identifiers that are no secrets. Those of enrolment and registration tokens (`enr_`, `reg_`) are.
const identifier = /^(agt|ins|usr|cli|grt|res|evt|shd|apr|pol)_[0-9a-z]{26}$/

// Words of ours: a code, a route, a path below a folder. Capitals and digits are what random text cannot do without.
const words = /^[/_-]?[a-z]{1,24}([/_-][a-z]{1,24})*$/

/** The text without anything that looks like a token. */
function redact(text: string): string {
  // Most texts are names of ours: too short for a token, and no URL.
  if (text.length < 20 && !text.includes('@')) return text
  const clean = text
    .replace(userinfo, `${redacted}@`)
    .replace(run, found =>
      uuid.test(found) || identifier.test(found) || words.test(found) ? found : redacted,
    )
  return clean.length <= longestText ? clean : `${clean.slice(0, longestText)}…`
}

/** Names under which a thumbprint stands: public, but a secret of 32 bytes looks the same, so most of it is left out. */
const thumbprints = new Set(['key', 'kid', 'jkt', 'thumbprint'])

/** Facts for a log line: flat, each a number, a yes or no, or a redacted text. Anything else loses its content. */
export function redactFacts(
  facts: Readonly<Record<string, unknown>>,
): Record<string, string | number | boolean> {
  const clean: Record<string, string | number | boolean> = {}
  for (const [name, value] of Object.entries(facts)) {
    if (value === undefined || value === null) continue
    clean[redact(name)] = redactFact(name, value)
  }
  return clean
}

function redactFact(name: string, value: unknown): string | number | boolean {
  if (typeof value === 'number' || typeof value === 'boolean') return value
  // An object may hold anything, and a Secret says so itself; a log line is flat.
  if (typeof value !== 'string') return redacted
  if (thumbprints.has(name) && /^[A-Za-z0-9_-]{43}$/.test(value)) return `${value.slice(0, 8)}…`
  return redact(value)
}

/** An error for the log: what it is, where it was thrown, and what caused it; none of its other members. */
export interface ErrorFacts {
  readonly name: string
  readonly code?: string
  readonly message: string
  readonly stack?: readonly string[]
  readonly cause?: ErrorFacts
}

const deepestCause = 8

export function redactError(error: unknown, depth = 0): ErrorFacts {
  if (!(error instanceof Error)) return { name: typeof error, message: redact(String(error)) }
  const { code } = error as { readonly code?: unknown }
  return {
    name: redact(error.name),
    // SQLSTATEs, Node's own codes and the codes of a Fault. A driver may carry more beside it, such as parameters.
    ...(typeof code === 'string' && /^\w{1,64}$/.test(code) ? { code: redact(code) } : {}),
    message: redact(error.message),
    ...(error.stack === undefined ? {} : { stack: frames(error.stack) }),
    ...(error.cause === undefined || depth >= deepestCause
      ? {}
      : { cause: redactError(error.cause, depth + 1) }),
  }
}

// The lines that say where: V8 makes them of names and places in code. What stands before them is the message.
function frames(stack: string): string[] {
  return stack
    .split('\n')
    .filter(line => /^ {4}at .*\(?(file:\/\/|node:|\/)[^()]*:\d+:\d+\)?$/.test(line))
    .map(line => line.trim().replace(/(?<=[( ])file:\/\/.*?(?=\/(packages|node_modules)\/)/, ''))
    .slice(0, 20)
}
