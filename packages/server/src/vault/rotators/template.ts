// Templates in calls to an upstream: filled in one pass, each value escaped for the place where it stands.
import { Fault } from '@writ/sdk/protocol/fault'

const names = [
  'next.value',
  'next.handle',
  'current.value',
  'current.handle',
  'rotation',
  'admin',
  'secret.name',
] as const

/** What stands between `{{` and `}}`. */
export type TemplateName = (typeof names)[number]

const secretNames: ReadonlySet<TemplateName> = new Set(['next.value', 'current.value', 'admin'])
const hole = /\{\{([^{}]*)\}\}/g

/** A JSON value: the body of a call, with templates in its strings. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

/** Each value that may be asked for. What is filled in is never looked at for templates again. */
export type Values = (name: TemplateName) => string

/** The templates of a text, or undefined where it has braces that are none: they are meant to be one, and misspelt. */
export function templatesIn(text: string): readonly TemplateName[] | undefined {
  const found = [...text.matchAll(hole)].map(([, name = '']) => name)
  const isWhole = !/\{\{|\}\}/.test(text.replace(hole, ''))
  return isWhole && found.every(isTemplateName) ? found : undefined
}

/** The same for every string of a body; a member's name is never a template. */
export function templatesOf(body: Json): readonly TemplateName[] | undefined {
  const parts = stringsOf(body).map(templatesIn)
  const named = membersOf(body).every(name => templatesIn(name)?.length === 0)
  return named && parts.every(part => part !== undefined) ? parts.flat() : undefined
}

export function isSecretTemplate(name: TemplateName): boolean {
  return secretNames.has(name)
}

// Literals of a path and query: what RFC 3986 §3.3 and §3.4 have in them, and the braces of templates.
const pathShape =
  /^(?:\/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@{}]|%[0-9A-F]{2})*)+(?:\?[A-Za-z0-9\-._~%!$&'()*+,;=:@/?{}]*)?$/

/** Whether the text is a path that stays below the base of the API, before it is filled. */
export function isPathTemplate(text: string): boolean {
  return text.length <= 1024 && pathShape.test(text) && staysBelow(text)
}

/** A path and query. Throws `conflict` where a value would make it another path. */
export function fillPath(template: string, values: Values): string {
  const start = template.indexOf('?')
  const path = start === -1 ? template : template.slice(0, start)
  const query = start === -1 ? '' : template.slice(start)
  const filled = fill(path, name => {
    const value = values(name)
    // Encoded, these are still a separator, or an encoding, to servers that decode before they route, or twice.
    if (/[/\\%]/.test(value) || hasControls(value)) throw unfit(name, 'a path')
    return encoded(value, name, 'a path')
  })
  // `..` needs no encoding, and so survives it; next to a literal dot a single one is enough.
  if (!staysBelow(filled)) throw unfit('next.handle', 'a path')
  return filled + fill(query, name => encoded(values(name), name, 'a query'))
}

/** A header's value (RFC 9110 §5.5). Throws `conflict` where it would end the line, or begin another. */
export function fillHeader(template: string, values: Values): string {
  return fill(template, name => {
    const value = values(name)
    if (!/^[\x20-\x7e]*$/.test(value)) throw unfit(name, 'a header')
    return value
  })
}

/** The text of a JSON body: the values are strings of it, whatever stands in them (RFC 8259 §7). */
export function fillBody(body: Json, values: Values): string {
  return JSON.stringify(body, (_, part: unknown) => (typeof part === 'string' ? fill(part, values) : part))
}

function fill(template: string, values: Values): string {
  return template.replace(hole, (_, name: TemplateName) => values(name))
}

function isTemplateName(name: string): name is TemplateName {
  return (names as readonly string[]).includes(name)
}

/** No segment that a server could take for "here" or "up", however it is encoded, parameters of it aside. */
function staysBelow(path: string): boolean {
  const segments = path.split('?', 1)[0]?.split('/').slice(1) ?? []
  return segments.every((segment, at) => {
    const plain = segment.replace(/%2e/gi, '.').replace(/%3b/gi, ';')
    const isEmptyInside = plain === '' && at < segments.length - 1
    return !isEmptyInside && !/^\.{1,2}(?:;|$)/.test(plain) && !/%(?:2f|5c|25|00)/i.test(plain)
  })
}

function encoded(value: string, name: TemplateName, where: string): string {
  if (value === '' || !value.isWellFormed()) throw unfit(name, where)
  return encodeURIComponent(value)
}

function hasControls(value: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return /[\u0000-\u001f\u007f-\u009f]/.test(value)
}

function unfit(name: TemplateName, where: string): Fault {
  return new Fault('conflict', `The value of {{${name}}} cannot stand in ${where}; use it in the body.`, {
    kind: 'template_unfit',
    template: name,
  })
}

function stringsOf(body: Json): readonly string[] {
  if (typeof body === 'string') return [body]
  return typeof body === 'object' && body !== null ? Object.values(body).flatMap(stringsOf) : []
}

function membersOf(body: Json): readonly string[] {
  if (typeof body !== 'object' || body === null) return []
  const own = Array.isArray(body) ? [] : Object.keys(body)
  return [...own, ...Object.values(body).flatMap(membersOf)]
}
