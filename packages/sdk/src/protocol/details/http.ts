// RFC 9396 type `http`: methods on the paths of one template at one host.
import { canonicalResource } from '../uri.ts'
import type { AuthorizationDetail, DetailType } from './detail.ts'
import { hasOneReading, memberProblem, textList } from './members.ts'

interface Http extends AuthorizationDetail {
  /** Host and port, unless it is the default one, as canonical identifiers have them. */
  readonly host: string
  readonly methods: readonly string[]
  /** `/users/{id}/files/{+rest}`: a name in braces is one segment, with a plus and at the end one or more. */
  readonly path: string
}

/** RFC 9110 §9.3 and RFC 5789. They are told apart by case (RFC 9110 §9.1), so they are written as on the wire. */
const methods: ReadonlySet<string> = new Set([
  ...['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT'],
])

const maxPathLetters = 1_024

export const http: DetailType = {
  type: 'http',

  parse(value) {
    const problem = memberProblem(value, ['type', 'host', 'methods', 'path'])
    if (problem !== undefined) return problem
    const { host, path } = value
    if (
      typeof host !== 'string' ||
      canonicalResource(`https://${host}`) !== `https://${host}` ||
      /[/?]/.test(host)
    )
      return { problem: 'has a host that is none in its canonical form' }
    const given = textList(value['methods'], methods.size, method => methods.has(method))
    if (given === undefined) return { problem: 'has methods that are no list of methods in capitals' }
    if (typeof path !== 'string' || segmentsOf(path, true) === undefined)
      return { problem: 'has a path that is no template in its canonical form' }
    return { type: 'http', host, methods: given, path }
  },

  contains(outer: Http, inner: Http) {
    if (outer.host !== inner.host || !inner.methods.every(method => outer.methods.includes(method)))
      return false
    const [wide, tight] = [segmentsOf(outer.path, true), segmentsOf(inner.path, true)]
    return wide !== undefined && tight !== undefined && isWithin(wide, tight)
  },

  covers(detail: Http, { action, resource, object }) {
    if (object?.type !== 'http' || hostOf(resource) !== detail.host) return false
    if (!detail.methods.some(method => method.toLowerCase() === action)) return false
    const [template, path] = [segmentsOf(detail.path, true), segmentsOf(object.id, false)]
    return template !== undefined && path !== undefined && isWithin(template, path)
  },

  isAt: (detail: Http, resource) => detail.host === hostOf(resource),

  least({ action, resource, object }) {
    if (object?.type !== 'http') return undefined
    const [host, method] = [hostOf(resource), action.toUpperCase()]
    if (host === undefined || method.toLowerCase() !== action) return undefined
    const detail = http.parse({ type: 'http', host, methods: [method], path: object.id })
    return 'type' in detail ? detail : undefined
  },
} as DetailType

/** Host and port of a canonical identifier, as far as it has any. */
function hostOf(resource: string): string | undefined {
  return /^https?:\/\/([^/?]+)/.exec(resource)?.[1]
}

type Segment = { readonly kind: 'text'; readonly text: string } | { readonly kind: 'one' | 'rest' }

// RFC 3986 §3.3: what may stand in a segment. Braces may not, so that no name in a path is taken for a template's.
const pchars = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-F]{2})*$/
const variable = /^\{(\+?)[A-Za-z_][A-Za-z0-9_]{0,31}\}$/

/** The segments of a path, or of a template; undefined for what is spelt so that others could read another path. */
function segmentsOf(path: string, isTemplate: boolean): readonly Segment[] | undefined {
  if (path.length > maxPathLetters || !path.startsWith('/')) return undefined
  const texts = path.slice(1).split('/')
  const segments: Segment[] = []
  for (const [at, text] of texts.entries()) {
    const isLast = at === texts.length - 1
    const match = isTemplate ? variable.exec(text) : null
    if (match !== null) {
      const isRest = match[1] === '+'
      if (isRest && !isLast) return undefined
      segments.push({ kind: isRest ? 'rest' : 'one' })
    } else {
      if (!isCanonicalSegment(text) || (text === '' && !isLast)) return undefined
      segments.push({ kind: 'text', text })
    }
  }
  return segments
}

/**
 * Whether a segment of a path is in its one spelling (RFC 3986 §3.3, §6.2.2): no dot segment, nothing encoded that may
 * stand as it is, everything else encoded in capitals, and no separator, control, or other form of a letter hidden in an
 * encoding. `/users/a@b` and `/users/a%40b` are one user to most servers, so a rule about one is a rule about no other.
 */
export function isCanonicalSegment(segment: string): boolean {
  if (segment === '.' || segment === '..' || !pchars.test(segment)) return false
  if (!segment.includes('%')) return true
  for (const [, digits = ''] of segment.matchAll(/%([0-9A-F]{2})/g)) {
    const code = Number.parseInt(digits, 16)
    if (code <= 0x7f && !/[ "<>[\]^`{|}]/.test(String.fromCharCode(code))) return false
  }
  try {
    return hasOneReading(decodeURIComponent(segment))
  } catch {
    // Not UTF-8: `%C0%AF` is a slash to a reader that is lenient (RFC 3629 §10).
    return false
  }
}

/** Whether every path of the inner segments is one of the outer: segment by segment, the case of letters included. */
function isWithin(outer: readonly Segment[], inner: readonly Segment[]): boolean {
  for (const [at, wide] of outer.entries()) {
    const tight = inner[at]
    if (tight === undefined || isEmpty(tight))
      return isEmpty(wide) && tight !== undefined && at === outer.length - 1
    if (wide.kind === 'rest') return true
    if (tight.kind === 'rest') return false
    if (wide.kind === 'text' && !(tight.kind === 'text' && tight.text === wide.text)) return false
  }
  return inner.length === outer.length
}

const isEmpty = (segment: Segment): boolean => segment.kind === 'text' && segment.text === ''
