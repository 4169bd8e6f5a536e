// Patterns of a linear-time subset of regular expressions: no backtracking, so no text can make one take long.

/** A set of characters: ranges of code points, both ends in it, or everything but them. */
interface Characters {
  readonly ranges: readonly (readonly [number, number])[]
  readonly isNegated: boolean
}

/** One state of the machine: it reads a character and goes on, or goes on by itself to one or two others. */
type State = { readonly reads: Characters; next: number } | { readonly reads: null; next: number; or: number }

export interface Pattern {
  /** How many states it has: a text of so many letters takes at most as many steps, times its letters. */
  readonly states: number
  /** Whether the whole text is one of the pattern's. Time grows with the product of both lengths and no further. */
  matches(text: string): boolean
}

const maxPatternLetters = 256
const maxStates = 1_024
/** Longer texts match nothing: a bound on what one argument can cost. */
const maxTextLetters = 4_096
const maxRepeats = 64
const maxNesting = 16

const digits: Characters['ranges'] = [[0x30, 0x39]]
const named: Readonly<Record<string, Characters>> = {
  d: { ranges: digits, isNegated: false },
  w: { ranges: [...digits, [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]], isNegated: false },
}
const anything: Characters = { ranges: [], isNegated: true }

/**
 * The pattern, or undefined where the text is none: literals, `.`, `\d`, `\w`, classes, groups, `|`, `*`, `+`, `?` and
 * counted repeats up to 64; no empty ones. It is always about the whole text, so that `^` and `$` have no meaning and are refused, as
 * are back references, looks around, flags and lazy quantifiers.
 */
export function compilePattern(text: string): Pattern | undefined {
  if (text.length === 0 || text.length > maxPatternLetters) return undefined
  const tree = parse([...text])
  if (tree === undefined) return undefined
  const states: State[] = []
  const start = build(states, tree, -1)
  if (start === undefined) return undefined
  return { states: states.length, matches: input => run(states, start, input) }
}

type Node =
  | { readonly kind: 'one'; readonly characters: Characters }
  | { readonly kind: 'all'; readonly parts: readonly Node[] }
  | { readonly kind: 'any'; readonly parts: readonly Node[] }
  | { readonly kind: 'repeat'; readonly part: Node; readonly least: number; readonly most: number }

interface Reading {
  readonly letters: readonly string[]
  at: number
  depth: number
}

function parse(letters: readonly string[]): Node | undefined {
  const reading = { letters, at: 0, depth: 0 }
  const node = parseChoice(reading)
  return reading.at === letters.length ? node : undefined
}

function parseChoice(reading: Reading): Node | undefined {
  const parts: Node[] = []
  do {
    const part = parseSequence(reading)
    if (part === undefined) return undefined
    parts.push(part)
  } while (take(reading, '|'))
  return parts.length === 1 ? parts[0] : { kind: 'any', parts }
}

function parseSequence(reading: Reading): Node | undefined {
  const parts: Node[] = []
  for (let letter = peek(reading); letter !== undefined && !'|)'.includes(letter); letter = peek(reading)) {
    const part = parseAtom(reading)
    const repeated = part && parseRepeat(reading, part)
    if (repeated === undefined) return undefined
    parts.push(repeated)
  }
  // INVARIANT: every part reads a character at least once, so that counting states bounds the work to build them.
  return parts.length === 0 ? undefined : { kind: 'all', parts }
}

function parseAtom(reading: Reading): Node | undefined {
  const letter = reading.letters[reading.at++] as string
  switch (letter) {
    case '(': {
      if (++reading.depth > maxNesting) return undefined
      const inner = parseChoice(reading)
      reading.depth--
      return take(reading, ')') ? inner : undefined
    }
    case '[':
      return parseClass(reading)
    case '.':
      return { kind: 'one', characters: anything }
    case '\\': {
      const characters = parseEscape(reading)
      return characters && { kind: 'one', characters }
    }
    default:
      return '*+?{}]^$'.includes(letter) ? undefined : { kind: 'one', characters: only(letter) }
  }
}

function parseRepeat(reading: Reading, part: Node): Node | undefined {
  const counted = parseCount(reading)
  if (counted === undefined) return undefined
  if (counted === null) return part
  // A second quantifier is another language's laziness, or a repeat of a repeat that nobody means.
  return '*+?{'.includes(peek(reading) ?? ' ') ? undefined : { kind: 'repeat', part, ...counted }
}

/** null where no quantifier follows, undefined where it is a broken one. */
function parseCount(reading: Reading): { least: number; most: number } | null | undefined {
  if (take(reading, '*')) return { least: 0, most: Number.POSITIVE_INFINITY }
  if (take(reading, '+')) return { least: 1, most: Number.POSITIVE_INFINITY }
  if (take(reading, '?')) return { least: 0, most: 1 }
  if (!take(reading, '{')) return null
  const end = reading.letters.indexOf('}', reading.at)
  const match = /^(\d{1,2})(?:(,)(\d{1,2})?)?$/.exec(reading.letters.slice(reading.at, end).join(''))
  if (end === -1 || match === null) return undefined
  reading.at = end + 1
  const least = Number(match[1])
  const open = match[2] === undefined ? least : Number.POSITIVE_INFINITY
  const most = match[3] === undefined ? open : Number(match[3])
  const largest = most === Number.POSITIVE_INFINITY ? least : most
  return least <= most && 0 < most && largest <= maxRepeats ? { least, most } : undefined
}

function parseClass(reading: Reading): Node | undefined {
  const isNegated = take(reading, '^')
  const ranges: (readonly [number, number])[] = []
  while (!take(reading, ']')) {
    const from = parseMember(reading)
    if (from === undefined) return undefined
    // A hyphen stands for itself only when escaped: `[a-]` is read in two ways by two readers.
    if (!take(reading, '-')) {
      ranges.push(...from.ranges)
      continue
    }
    const to = parseMember(reading)
    const [low, high] = [pointOf(from), to && pointOf(to)]
    if (low === undefined || high === undefined || low > high) return undefined
    ranges.push([low, high])
  }
  return ranges.length === 0 ? undefined : { kind: 'one', characters: { ranges, isNegated } }
}

function parseMember(reading: Reading): Characters | undefined {
  const letter = reading.letters[reading.at++]
  if (letter === '\\') return parseEscape(reading)
  return letter === undefined || '[]^-'.includes(letter) ? undefined : only(letter)
}

function parseEscape(reading: Reading): Characters | undefined {
  const letter = reading.letters[reading.at++]
  if (letter === undefined) return undefined
  if (Object.hasOwn(named, letter)) return named[letter]
  return '\\.*+?()[]{}|^$-/'.includes(letter) ? only(letter) : undefined
}

const only = (letter: string): Characters => {
  const point = letter.codePointAt(0) as number
  return { ranges: [[point, point]], isNegated: false }
}

/** The one code point of it; undefined for a class, which begins and ends no range. */
function pointOf({ ranges }: Characters): number | undefined {
  const [first, ...others] = ranges
  return others.length === 0 && first !== undefined && first[0] === first[1] ? first[0] : undefined
}

const peek = ({ letters, at }: Reading): string | undefined => letters[at]

function take(reading: Reading, letter: string): boolean {
  if (peek(reading) !== letter) return false
  reading.at++
  return true
}

/** Adds the states of the node, which go on to `next`, and says where it begins; undefined where it has too many. */
function build(states: State[], node: Node, next: number): number | undefined {
  if (states.length >= maxStates) return undefined
  switch (node.kind) {
    case 'one':
      return states.push({ reads: node.characters, next }) - 1
    case 'all':
      return node.parts.reduceRight<number | undefined>(
        (then, part) => (then === undefined ? undefined : build(states, part, then)),
        next,
      )
    case 'any': {
      let start: number | undefined
      for (const part of node.parts) {
        const one = build(states, part, next)
        if (one === undefined) return undefined
        start = start === undefined ? one : fork(states, start, one)
      }
      return start
    }
    case 'repeat':
      return buildRepeat(states, node, next)
  }
}

function buildRepeat(
  states: State[],
  { part, least, most }: Node & { readonly kind: 'repeat' },
  next: number,
): number | undefined {
  let start: number | undefined = next
  if (most === Number.POSITIVE_INFINITY) {
    const loop = fork(states, -1, next)
    const body = build(states, part, loop)
    if (body === undefined) return undefined
    ;(states[loop] as State).next = body
    start = loop
  } else {
    for (let more = least; more < most && start !== undefined; more++) {
      const body = build(states, part, start)
      start = body === undefined ? undefined : fork(states, body, next)
    }
  }
  for (let more = 0; more < least && start !== undefined; more++) start = build(states, part, start)
  return start
}

const fork = (states: State[], next: number, or: number): number => states.push({ reads: null, next, or }) - 1

const done = -1

/** All states at once, one character after the other (Thompson): no state is visited twice for one character. */
function run(states: readonly State[], start: number, input: string): boolean {
  if (input.length > maxTextLetters) return false
  // For each state, the character after which it was reached last, from 1.
  const seen = new Uint32Array(states.length)
  let step = 1
  let current = reach(states, [start], { seen, step })
  for (const letter of input) {
    const point = letter.codePointAt(0) as number
    const next: number[] = []
    for (const { reads, next: then } of current.reading) if (has(reads, point)) next.push(then)
    if (next.length === 0) return false
    step += 1
    current = reach(states, next, { seen, step })
  }
  return current.isDone
}

type Waiting = State & { readonly reads: Characters }

/** The states that wait for a character, and whether the end is among what was reached. `open` is used up. */
function reach(
  states: readonly State[],
  open: number[],
  { seen, step }: { readonly seen: Uint32Array; readonly step: number },
): { readonly reading: readonly Waiting[]; readonly isDone: boolean } {
  const reading: Waiting[] = []
  let isDone = false
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    isDone ||= at === done
    if (at === done || seen[at] === step) continue
    seen[at] = step
    const state = states[at] as State
    if (state.reads === null) open.push(state.next, state.or)
    else reading.push(state)
  }
  return { reading, isDone }
}

function has({ ranges, isNegated }: Characters, point: number): boolean {
  return ranges.some(([low, high]) => low <= point && point <= high) !== isNegated
}
