// What a user types and what they see, as a text file; placeholders stand for what differs from run to run.

/** One command with all it has to say. */
export interface Step {
  readonly line: number
  readonly command: string
  readonly stdout: readonly string[]
  readonly stderr: readonly string[]
  readonly code: number
}

/** A line for the runner itself, such as `@ serve --port 8455`. */
export interface Direction {
  readonly line: number
  readonly words: readonly string[]
}

/**
 * `$ ` a command, then what stands on standard output, `! ` what stands on standard error, `? 1` the exit code where it
 * is not 0. `# ` is a comment, `@ ` a direction. Empty lines count for nothing, nor does how wide a table is.
 */
export function parseTranscript(text: string): readonly (Step | Direction)[] {
  const found: (
    | Direction
    | { line: number; command: string; stdout: string[]; stderr: string[]; code: number }
  )[] = []
  for (const [at, raw] of text.split('\n').entries()) {
    const line = at + 1
    const last = found.at(-1)
    if (raw.trim() === '' || raw.startsWith('#')) continue
    if (raw.startsWith('@ ')) found.push({ line, words: raw.slice(2).trim().split(/\s+/) })
    else if (raw.startsWith('$ '))
      found.push({ line, command: raw.slice(2), stdout: [], stderr: [], code: 0 })
    else if (last === undefined || 'words' in last) throw new Error(`line ${line} belongs to no command`)
    else if (raw.startsWith('! ')) last.stderr.push(raw.slice(2))
    else if (/^\? \d+$/.test(raw)) last.code = Number(raw.slice(2))
    else last.stdout.push(raw)
  }
  return found
}

const identifier = (prefix: string): string => `${prefix}_[0-9a-hjkmnp-tv-z]{26}`

/** What a placeholder may stand for. */
const kinds: Readonly<Record<string, string>> = {
  agt: identifier('agt'),
  ins: identifier('ins'),
  grt: identifier('grt'),
  res: identifier('res'),
  cli: identifier('cli'),
  csc: identifier('csc'),
  usr: identifier('usr'),
  rot: identifier('rot'),
  sec: identifier('sec'),
  elg: identifier('elg'),
  apr: identifier('apr'),
  hlt: identifier('hlt'),
  pol: identifier('pol'),
  grp: identifier('grp'),
  evt: identifier('evt'),
  time: String.raw`\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ \((?:now|\d+ (?:s|min|h|d) ago|in \d+ (?:s|min|h|d))\)`,
  instant: String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`,
  request: '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}',
  thumbprint: '[A-Za-z0-9_-]{43}',
  token: '[A-Za-z0-9_.-]{20,}',
  number: String.raw`\d+`,
  issuer: String.raw`https?://[\w.:]+`,
  any: '.*',
}

const placeholder = /<([a-z]+)(:[a-z0-9-]+)?>/g

/** What placeholders with a label, such as `<agt:reporter>`, have stood for so far. */
export type Bound = Map<string, string>

/** A command with the values that its placeholders have. */
export function fill(command: string, bound: Bound): string {
  return command.replace(placeholder, (whole, kind: string) => {
    const value = bound.get(whole)
    if (value !== undefined) return value
    // Anything else in angle brackets is the shell's, or text.
    if (kinds[kind] === undefined) return whole
    throw new Error(`${whole} stands for nothing yet`)
  })
}

/** Whether lines are as expected; binds the labels that they show. Answers the first line that is not, or undefined. */
export function mismatch(expected: readonly string[], said: string, bound: Bound): string | undefined {
  const actual = said.split('\n').filter(line => line.trim() !== '')
  for (let at = 0; at < Math.max(expected.length, actual.length); at++) {
    const [wanted, got] = [expected[at], actual[at]]
    if (wanted === undefined) return `nothing more was expected, but: ${got}`
    if (got === undefined) return `this is missing: ${wanted}`
    if (!matches(wanted, got, bound)) return `expected: ${wanted}\n     got: ${got}`
  }
  return undefined
}

const literally = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
const squeezed = (line: string): string => line.trimEnd().replace(/ {2,}/g, '  ')

function matches(wanted: string, got: string, bound: Bound): boolean {
  const labels: string[] = []
  const pattern = squeezed(wanted)
    .split(/(<[a-z]+(?::[a-z0-9-]+)?>)/)
    .map(part => {
      const [, kind = '', label] = /^<([a-z]+)(:[a-z0-9-]+)?>$/.exec(part) ?? []
      const allowed = kinds[kind]
      if (allowed === undefined) return literally(part)
      const known = bound.get(part)
      if (known !== undefined) return literally(known)
      if (label !== undefined || kind === 'issuer') labels.push(part)
      return label !== undefined || kind === 'issuer' ? `(${allowed})` : allowed
    })
    .join('')
  const match = new RegExp(`^${pattern}$`).exec(squeezed(got))
  if (match === null) return false
  for (const [at, label] of labels.entries()) bound.set(label, match[at + 1] as string)
  return true
}
