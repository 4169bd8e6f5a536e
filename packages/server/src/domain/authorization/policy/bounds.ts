// What a text must keep: the Cedar parser has no limit to its recursion and dies of deep texts, its matching none to its work.

/** Brackets within brackets; the parser fails somewhere above a hundred. */
const mostBrackets = 32
/** Operators, member accesses and further conditions in one policy; the parser fails somewhere above a thousand. */
const mostOperators = 1000
/** `if` in one policy, which nests without a bracket. */
const mostBranches = 64
/** Levels of one parsed expression; evaluation fails somewhere above two hundred. */
export const mostLevels = 96

const token =
  /"(?:[^"\\]|\\[\s\S])*"|\/\/[^\n\r]*|[()[\]{};]|&&|\|\||[-+*.!<>=]|\b(?:if|when|unless|has|like|in|is)\b/g

/**
 * What makes the text too deep to be parsed, with its line; undefined where nothing does. Strings and comments are
 * skipped as Cedar skips them, so that a bracket in a name counts for nothing, and one behind the end of a comment does:
 * a carriage return ends it as well.
 */
export function tooDeep(text: string): { readonly line: number; readonly say: string } | undefined {
  let [depth, operators, branches] = [0, 0, 0]
  let before = ''
  for (const { 0: word, index } of text.matchAll(token)) {
    const first = word[0] as string
    if (first === '"' || word.startsWith('//')) continue
    // `a["b"]` is an access to a member, and `a()()` reads as one: they nest without being within each other.
    if (first === '[' || (first === '(' && ')]'.includes(before))) operators += 1
    before = first
    if ('([{'.includes(first)) depth += 1
    else if (')]}'.includes(first)) depth -= 1
    else if (first === ';') operators = branches = 0
    else if (word === 'if') branches += 1
    else operators += 1
    const say = complaint(depth, operators, branches)
    if (say !== undefined) return { line: lineAt(text, index), say }
  }
  return undefined
}

function complaint(depth: number, operators: number, branches: number): string | undefined {
  if (depth > mostBrackets) return `Brackets nest deeper than ${mostBrackets}: split the policy.`
  if (operators > mostOperators) return `A policy has more than ${mostOperators} operators: split it.`
  if (branches > mostBranches) return `A policy has more than ${mostBranches} of \`if\`: split it.`
  return undefined
}

/** The line of a place in a text, from 1. */
export function lineAt(text: string, index: number): number {
  let line = 1
  for (let at = text.indexOf('\n'); at !== -1 && at < index; at = text.indexOf('\n', at + 1)) line += 1
  return line
}

/** How long each pattern of `like` is within a parsed policy: its letters and wildcards. */
export function patternLengths(tree: unknown): readonly number[] {
  const lengths: number[] = []
  const open: unknown[] = [tree]
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (typeof node !== 'object' || node === null) continue
    const like = (node as { readonly like?: { readonly pattern?: unknown } }).like
    if (Array.isArray(like?.pattern)) lengths.push(like.pattern.length)
    open.push(...Object.values(node))
  }
  return lengths
}
