// The one spelling of what a decision is about: whatever others could read as another name is refused, never repaired.
import type { Operation } from '@writ/sdk/protocol/details/detail'
import { isCanonicalSegment } from '@writ/sdk/protocol/details/http'
import { canonicalResource } from '@writ/sdk/protocol/uri'

/** What an entity of the wire names: something within what may be a resource of ours, or something of somebody else. */
export interface Target {
  /** The identifier that it names or lies within; null where it is none of a resource. */
  readonly identifier: string | null
  readonly object: Operation['object']
  /** What is wrong with the spelling; undefined where nothing is. */
  readonly misspelt: string | undefined
}

/** Types that mean something to us. Another spelling of one of them would pass by what is said of it. */
const ownTypes: ReadonlySet<string> = new Set(['resource', 'tool', 'http', 'sql'])

/** `type` `resource` names a resource by its identifier, any other type something within: `<identifier>#<id>`. */
export function targetOf(type: string, id: string): Target {
  const at = id.indexOf('#')
  const before = at === -1 ? id : id.slice(0, at)
  const isUri = /^[A-Za-z][A-Za-z0-9+.-]*:/.test(before)
  const within = at === -1 ? null : { type, id: id.slice(at + 1) }
  const object = isUri && type !== 'resource' ? within : null
  const misspelt =
    typeProblem(type) ??
    textProblem(id) ??
    (isUri ? uriProblem(type, before, within?.id) : pathProblem(id, type === 'http'))
  return { identifier: isUri ? before : null, object, misspelt }
}

/** The form in which the spellings of a name fall together that readers take for one. */
export function folded(text: string): string {
  // Most names are so already, and every decision asks.
  if (/^[ -@[-~]*$/.test(text)) return text
  return text.normalize('NFKC').toLowerCase().toUpperCase().toLowerCase().normalize('NFKC')
}

function typeProblem(type: string): string | undefined {
  const own = folded(type).trim()
  if (own !== type && ownTypes.has(own)) return 'another spelling of a type of ours'
  return textProblem(type)
}

function uriProblem(type: string, identifier: string, within: string | undefined): string | undefined {
  if (canonicalResource(identifier) !== identifier) return 'not the canonical form of an identifier'
  if (type === 'resource') return within === undefined ? undefined : 'an identifier has no fragment'
  if (within === '') return 'names nothing within the resource'
  return within === undefined ? undefined : pathProblem(within, type === 'http')
}

// Controls, what turns a line around, another way to compose a letter, blanks at an end, the other slash: each is read
// differently by somebody (threat C44).
export function textProblem(text: string): string | undefined {
  if (text === '') return 'empty'
  if (text !== text.normalize('NFC')) return 'not in Unicode form NFC'
  if (/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\\]/u.test(text)) return 'a control character or a backslash'
  return text.trim() === text ? undefined : 'blanks at an end'
}

function pathProblem(path: string, isHttp: boolean): string | undefined {
  if (/(?:^|\/)\.{1,2}(?:\/|$)/.test(path)) return 'dot segments'
  if (path.includes('//')) return 'an empty segment'
  if (!isHttp) return encodingProblem(path)
  if (!path.startsWith('/')) return 'a path begins with a slash'
  if (/[?#]/.test(path)) return 'a path has neither query nor fragment'
  return path.split('/').every(isCanonicalSegment)
    ? undefined
    : 'an encoding that is not needed, or a character without the one that is'
}

/** In names that are no paths too: an encoded separator, percent sign or control is one to those who decode. */
function encodingProblem(text: string): string | undefined {
  for (const [encoded] of text.matchAll(/%[0-9A-Fa-f]{2}/g)) {
    const character = String.fromCharCode(Number.parseInt(encoded.slice(1), 16))
    if (encoded !== encoded.toUpperCase() || /[A-Za-z0-9\-._~/\\%?#\p{Cc}]/u.test(character))
      return 'a percent-encoding with another spelling'
  }
  return undefined
}

/** Names of actions that every resource has: calling a tool, HTTP methods in lower case, the verbs of SQL. */
export const commonActions: readonly string[] = [
  ...['call', 'get', 'head', 'post', 'put', 'patch', 'delete', 'options', 'trace', 'connect'],
  ...['select', 'insert', 'update', 'truncate', 'merge', 'copy', 'execute'],
  ...['create', 'alter', 'drop', 'grant', 'revoke'],
]

const common: ReadonlySet<string> = new Set(commonActions)

/** `DELETE` is no other action than `delete`, and a rule about one of them must not be passed by the other. */
export function actionProblem(action: string, known: readonly string[]): string | undefined {
  const problem = textProblem(action)
  if (problem !== undefined) return problem
  if (known.includes(action) || common.has(action)) return undefined
  const form = folded(action)
  const isVariant = common.has(form) || known.some(one => folded(one) === form)
  return isVariant ? 'another spelling of an action' : undefined
}
