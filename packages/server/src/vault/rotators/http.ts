// The rotator `http`: stage, verify, promote and retire as declared calls to any API (RFC 9110, RFC 6901).
import { randomBytes } from 'node:crypto'
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import { readJson } from '@writ/sdk/protocol/json'
import { Secret } from '@writ/sdk/protocol/secret'
import { asJson, type Call, type HttpOptions, httpOptions, type Step, templatesOfCall } from './http-calls.ts'
import { pointedAt } from './json-pointer.ts'
import { type Answer, exchange, refusal } from './outbound.ts'
import type { Held, Rotator, RotatorContext } from './rotator.ts'
import { fillBody, fillHeader, fillPath, type TemplateName, type Values } from './template.ts'

type Context = RotatorContext<HttpOptions>

const maxValue = 16_384
const maxHandle = 256

export const http: Rotator<HttpOptions> = {
  kind: 'http',
  options: httpOptions,
  makes: 'versions',
  proof: 'last_use',
  async propose({ options, rotation }) {
    // 256 bits. What the upstream chooses takes their place; a handle of null says that this has not happened yet.
    const value = new Secret(randomBytes(32).toString('base64url'))
    return { value, handle: answersSomething(options) ? null : rotation }
  },
  async stage(context) {
    const { options, next } = context
    // Its answer is stored already: asked again, some APIs would make a third key.
    if (answersSomething(options) && next.handle !== null) return {}
    return staged(context)
  },
  async verify(context) {
    await call('verify', context)
  },
  async promote(context) {
    await call('promote', context)
  },
  async retire(context) {
    const known = await identified(context)
    if (known !== undefined) await call('retire', known)
  },
}

function answersSomething({ value, handle }: HttpOptions): boolean {
  return value !== undefined || handle !== undefined
}

async function staged(context: Context): Promise<Partial<Pick<Held, 'value' | 'handle'>>> {
  const { options, rotation, next, current } = context
  const answer = await call('stage', context)
  if (!answersSomething(options)) return {}
  const read = readJson(answer?.body ?? new Uint8Array())
  if ('problem' in read) throw unlike(options, 'is no JSON')
  const value = options.value === undefined ? next.value : valueAt(options, read.value, options.value)
  const handle = options.handle === undefined ? rotation : handleAt(options, read.value, options.handle)
  if (current !== null && value.reveal() === current.value.reveal())
    throw new Fault(
      'conflict',
      `${options.base} returns the old secret: rotate it there by hand, and give the new one as a version.`,
      { kind: 'upstream_unchanged' },
    )
  // Handles are shown, secrets never: a pointer at the wrong member must not put one into the other's place.
  if (handle.includes(value.reveal())) throw unlike(options, `has the secret itself at ${options.handle}`)
  return options.value === undefined ? { handle } : { value, handle }
}

/**
 * The version as the upstream names it. Where the answer to `stage` was lost, it is asked for again, under the same
 * idempotency key: what was made and never learnt of would stay for ever. Undefined where nothing was made.
 */
async function identified(context: Context): Promise<Context | undefined> {
  const { options, next, current } = context
  if (!answersSomething(options) || next.handle !== null) return context
  // A predecessor without a handle was given by a person: staging would make a key, not find that one.
  if (current !== null && next.number < current.number) return context
  try {
    return { ...context, next: { ...next, ...(await staged(context)) } }
  } catch (error) {
    if (isFault(error) && error.why?.kind === 'upstream_refused' && error.code === 'conflict')
      return undefined
    throw error
  }
}

async function call(step: Step, context: Context): Promise<Answer | undefined> {
  const { options, signal } = context
  const declared = options[step]
  if (declared === undefined) return undefined
  const values = await valuesFor(declared, context)
  const sent = {
    method: declared.method,
    url: options.base + fillPath(declared.path, values),
    headers: headersOf(declared, step, context, values),
    ...(declared.body === undefined ? {} : { body: fillBody(asJson(declared.body), values) }),
    timeoutSeconds: options.timeoutSeconds,
    reads: step === 'stage' && answersSomething(options),
  }
  const answer = await exchange(sent, signal)
  if (isDone(step, declared, answer.status)) return answer
  // What the upstream says besides may repeat what it was sent: only the status is passed on.
  throw declared.later?.includes(answer.status)
    ? new Fault('temporarily_unavailable', `${options.base} cannot ${step} yet (${answer.status}).`)
    : refusal(sent, answer.status, `${step} the version`)
}

function isDone(step: Step, { expect }: Call, status: number): boolean {
  if (expect !== undefined) return expect.includes(status)
  // What is to be withdrawn and is not there is withdrawn.
  return (status >= 200 && status < 300) || (step === 'retire' && (status === 404 || status === 410))
}

function headersOf(
  { headers = {}, body }: Call,
  step: Step,
  { rotation, next }: Context,
  values: Values,
): Record<string, string> {
  const filled = Object.entries(headers).map(([name, value]) => [name, fillHeader(value, values)])
  return {
    accept: 'application/json',
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    ...Object.fromEntries(filled),
    // One per step and version: a rotation withdraws two when it goes wrong late.
    'idempotency-key': `${rotation}-${step}-${next.number}`,
  }
}

/** Every value that the call uses, so that filling it in is synchronous and asks for no secret it does not need. */
async function valuesFor(declared: Call, context: Context): Promise<Values> {
  const { options, next, current, rotation, secretName } = context
  const used = new Set(templatesOfCall(declared))
  const admin =
    used.has('admin') && options.admin !== undefined ? (await context.secret(options.admin)).reveal() : null
  const values: Readonly<Record<TemplateName, string | null>> = {
    'next.value': next.value.reveal(),
    'next.handle': next.handle,
    'current.value': current?.value.reveal() ?? null,
    'current.handle': current?.handle ?? null,
    rotation,
    admin,
    'secret.name': secretName,
  }
  return name => {
    const value = values[name]
    if (value === null)
      throw new Fault(
        'conflict',
        `There is no {{${name}}}: this version was given by hand, or is the first; do this step at the upstream by hand.`,
        { kind: 'template_empty', template: name },
      )
    return value
  }
}

function valueAt(options: HttpOptions, document: unknown, pointer: string): Secret<string> {
  const value = pointedAt(document, pointer)
  if (typeof value !== 'string' || value === '' || value.length > maxValue || !value.isWellFormed())
    throw unlike(options, `has no secret at ${pointer}`)
  return new Secret(value)
}

function handleAt(options: HttpOptions, document: unknown, pointer: string): string {
  const value = pointedAt(document, pointer)
  const handle = typeof value === 'number' ? String(value) : value
  if (typeof handle !== 'string' || handle.length > maxHandle || !/^[\x21-\x7e]+$/.test(handle))
    throw unlike(options, `has no handle at ${pointer}`)
  return handle
}

function unlike({ base }: HttpOptions, how: string): Fault {
  return new Fault('conflict', `The answer of ${base} to stage ${how}; correct the rotator's options.`, {
    kind: 'upstream_unlike',
  })
}
