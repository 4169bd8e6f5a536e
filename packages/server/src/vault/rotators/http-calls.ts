// Options of the rotator `http`: the calls of an API as a declaration, checked as far as it can be before any is made.
import { canonicalHtu, isSecureUrl } from '@writ/sdk/protocol/uri'
import { z } from 'zod'
import { isSecretName } from '../../domain/vault/secret.ts'
import { isJsonPointer } from './json-pointer.ts'
import {
  isPathTemplate,
  isSecretTemplate,
  type Json,
  type TemplateName,
  templatesIn,
  templatesOf,
} from './template.ts'

// What the connection itself says, or we do: a second one would be another request (RFC 9112 §11.2).
const ownHeaders =
  /^(?:host|connection|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade|content-length|expect|idempotency-key)$/
const credentialHeaders = /^(?:proxy-)?authorization$|cookie|token|secret|password|api-?key/

const header = z
  .string()
  .regex(/^[a-z0-9!#$%&'*+.^_`|~-]{1,64}$/, 'is a header name in lower case')
  .refine(name => !ownHeaders.test(name), 'is set by the rotator itself')
const status = z
  .int()
  .min(200)
  .max(499)
  .refine(code => code < 300 || code >= 400, 'is no redirect: they are not followed')

const call = z.strictObject({
  method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']),
  path: z.string().refine(isPathTemplate, 'is an absolute path that stays below the base, encoded'),
  headers: z
    .record(header, z.string().regex(/^[\x20-\x7e]{1,2048}$/))
    .refine(headers => Object.keys(headers).length <= 32, 'has at most 32 headers')
    .optional(),
  body: z.json().optional(),
  /** Statuses that mean done: any 2xx where it is absent. */
  expect: z.array(status).min(1).max(16).optional(),
  /** Statuses that mean not yet: the step is taken again later. */
  later: z.array(status).min(1).max(16).optional(),
})

export type Call = z.infer<typeof call>
const pointer = z.string().refine(isJsonPointer, 'is a JSON pointer (RFC 6901)')

const shape = z.strictObject({
  base: z.string().refine(isBase, 'is an https URL without user, query and final slash'),
  admin: z.string().refine(isSecretName, 'is the name of a secret').optional(),
  stage: call,
  verify: call.optional(),
  promote: call.optional(),
  retire: call,
  /** Where the answer to `stage` has the value, which the upstream chooses then; otherwise we choose it. */
  value: pointer.optional(),
  handle: pointer.optional(),
  timeoutSeconds: z.int().min(1).max(30).default(10),
})

export type HttpOptions = z.infer<typeof shape>
export const steps = ['stage', 'verify', 'promote', 'retire'] as const
export type Step = (typeof steps)[number]

export const httpOptions: z.ZodType<HttpOptions> = shape.superRefine((options, context) => {
  for (const step of steps) {
    const declared = options[step]
    if (declared === undefined) continue
    for (const message of problemsOf(options, step, declared))
      context.addIssue({ code: 'custom', path: [step], message })
  }
})

/** The templates that a call uses; undefined where one is misspelt. */
export function templatesOfCall({ path, headers = {}, body }: Call): readonly TemplateName[] | undefined {
  const parts = [templatesIn(path), ...Object.values(headers).map(templatesIn), templatesOf(asJson(body))]
  return parts.every(part => part !== undefined) ? parts.flat() : undefined
}

/** `z.json()` and `Json` are one type, but for who may write to it. */
export function asJson(body: Call['body']): Json {
  return (body ?? null) as Json
}

function problemsOf(options: HttpOptions, step: Step, declared: Call): string[] {
  const used = templatesOfCall(declared)
  if (used === undefined) return ['has braces that are no template']
  const problems: string[] = []
  if (used.includes('admin') && options.admin === undefined)
    problems.push('uses {{admin}}, and none is named')
  // URLs are kept by proxies and logs on their way.
  if (templatesIn(declared.path)?.some(isSecretTemplate)) problems.push('has a secret in its path or query')
  if (step === 'stage' && used.includes('next.value') && options.value !== undefined)
    problems.push('uses {{next.value}}, which only its answer tells')
  if (step === 'stage' && used.includes('next.handle') && options.handle !== undefined)
    problems.push('uses {{next.handle}}, which only its answer tells')
  for (const [name, value] of Object.entries(declared.headers ?? {})) {
    // Options are shown to whoever may see the secret's record: a credential is named, never written there.
    if (credentialHeaders.test(name) && !templatesIn(value)?.some(isSecretTemplate))
      problems.push(`gives ${name} a fixed value; keep it as a secret and name that as admin`)
  }
  if (declared.method === 'GET' && declared.body !== undefined) problems.push('has a body on a GET')
  return problems
}

function isBase(text: string): boolean {
  const canonical = canonicalHtu(text)
  return isSecureUrl(text) && (canonical === text || canonical === `${text}/`) && !text.endsWith('/')
}
