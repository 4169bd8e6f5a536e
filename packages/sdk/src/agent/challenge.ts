// Reading `WWW-Authenticate`: RFC 9110 §11.6.1 with the parameters of RFC 6750 §3, RFC 9449 §7.1 and RFC 9728 §5.1.

export interface Challenge {
  /** In lower case. */
  readonly scheme: string
  /** Names in lower case. */
  readonly parameters: ReadonlyMap<string, string>
}

const maxLength = 8_192
const separators = /[ \t,]*/y
const token = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y
const assignment = /[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([!#$%&'*+.^_`|~0-9A-Za-z-]+))(?=[ \t]*(?:,|$))/y
const token68 = /[ \t]+[A-Za-z0-9\-._~+/]+=*(?=[ \t]*(?:,|$))/y

/**
 * The challenges of a header field, in order. A field that is malformed anywhere, repeats a parameter or is too long
 * yields none: guessing what a resource meant could send a credential where it does not belong.
 */
export function parseChallenges(field: string | null): readonly Challenge[] {
  if (field === null || field.length > maxLength) return []
  const challenges: { scheme: string; parameters: Map<string, string> }[] = []
  let at = 0
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at
    const match = pattern.exec(field)
    if (match === null) return undefined
    at = pattern.lastIndex
    return match
  }
  for (;;) {
    take(separators)
    if (at === field.length) return challenges
    const name = take(token)?.[0]?.toLowerCase()
    if (name === undefined) return []
    const value = take(assignment)
    if (value === undefined) {
      challenges.push({ scheme: name, parameters: new Map() })
      // A token68 of another scheme is skipped; what follows a scheme of ours is parameters.
      const next = field.slice(at, at + 1)
      if (next !== ' ' && next !== '\t' && next !== ',' && next !== '') return []
      if (!isParameter(field, at)) take(token68)
      continue
    }
    const parameters = challenges.at(-1)?.parameters
    // RFC 9110 §11.2: each parameter name occurs only once in a challenge.
    if (parameters === undefined || parameters.has(name)) return []
    parameters.set(name, value[1]?.replace(/\\(.)/g, '$1') ?? value[2] ?? '')
  }
}

function isParameter(field: string, at: number): boolean {
  return /^[ \t]+[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*=[ \t]*["!#$%&'*+.^_`|~0-9A-Za-z-]/.test(
    field.slice(at, at + 256),
  )
}

/** The challenge that is meant for us: DPoP where it is offered, since every token of ours is bound to a key. */
export function challengeOf(answer: Pick<Response, 'headers'>): ReadonlyMap<string, string> | undefined {
  const challenges = parseChallenges(answer.headers.get('www-authenticate'))
  const found = ['dpop', 'bearer'].flatMap(scheme =>
    challenges.filter(challenge => challenge.scheme === scheme),
  )
  // The error stands with the scheme that was tried, the rest with either.
  return found.length === 0
    ? undefined
    : new Map(found.toReversed().flatMap(({ parameters }) => [...parameters]))
}
