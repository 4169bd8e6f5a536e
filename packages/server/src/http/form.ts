// RFC 6749 Appendix B: application/x-www-form-urlencoded, strictly: one parse, no second opinion (threats C04, C19).
import { Fault } from '@writ/sdk/protocol/fault'
import type { Form } from '../protocol/evidence.ts'

const maxParameters = 64

const bad = (say: string, kind: string): Fault => new Fault('invalid_request', say, { kind })

/**
 * The parameters of a body. An empty value counts as absent; a repeated parameter is refused unless it is among
 * `repeatable` (RFC 6749 §3.2). Unknown ones are kept: whether they mean anything is not decided here.
 */
export function parseForm(body: string, repeatable: (name: string, form: Form) => boolean): Form {
  const form = new Map<string, string[]>()
  const repeated = new Set<string>()
  if (body.length > 0) {
    const pairs = body.split('&', maxParameters + 1)
    if (pairs.length > maxParameters) throw bad('The form has too many parameters.', 'too_many_parameters')
    for (const pair of pairs) {
      const split = pair.indexOf('=')
      const name = decode(split < 0 ? pair : pair.slice(0, split))
      const value = decode(split < 0 ? '' : pair.slice(split + 1))
      const values = form.get(name)
      if (values === undefined) form.set(name, [value])
      else {
        repeated.add(name)
        values.push(value)
      }
    }
  }
  for (const name of repeated) {
    if (!repeatable(name, form)) throw bad('A parameter comes more than once.', 'repeated_parameter')
  }
  for (const [name, values] of form) {
    const filled = values.filter(value => value !== '')
    if (filled.length === 0) form.delete(name)
    else if (filled.length < values.length) form.set(name, filled)
  }
  return form
}

function decode(text: string): string {
  if (!/[%+]/.test(text)) return text
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw bad('The form is not UTF-8 in percent-encoding.', 'bad_percent_encoding')
  }
}
