// Idempotency-Key: the first answer of a caller's operation is kept, so that a retry gets it and has no second effect.
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { type Code, Fault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../context.ts'
import type { Remembered } from '../domain/change.ts'
import { hashParts } from '../domain/hash.ts'
import type { Call } from './input.ts'
import type { AdminDeps, Answer } from './operation.ts'

/** For how long a repeated request is recognised. */
const rememberedSeconds = 86_400

export interface Memo {
  /** Hash of caller, operation and Idempotency-Key: nobody meets the answer of somebody else. */
  readonly key: string
  /** Hash of what was asked. */
  readonly request: string
  /** Whether the answer carries a secret, which the store must not be able to read. */
  readonly secret: boolean
  /** What reusing the key for another request is called. */
  readonly reused: Code
}

/** Undefined where the caller named no key or the operation has nothing to repeat. `asked`: the request as a text. */
export function memoOf(ctx: Ctx, deps: AdminDeps, call: Call, asked: string): Memo | undefined {
  const { operation, caller, raw } = call
  if (raw.idempotencyKey === undefined || operation.method !== 'POST') return undefined
  if (!/^[\x21-\x7e]{1,255}$/.test(raw.idempotencyKey)) {
    throw new Fault('invalid_request', 'Idempotency-Key must be 1 to 255 visible ASCII characters.', {
      kind: 'idempotency_key',
    })
  }
  const request = hashParts('idempotency-request', asked).toString('base64url')
  return {
    key: hashParts('idempotency', caller.id, operation.id, raw.idempotencyKey).toString('base64url'),
    // Under a key that is not in the database: a plain hash of a request would let its password be guessed at leisure.
    request: Buffer.from(deps.keys.nonceMac(ctx, `idempotency-request:${request}`)).toString('base64url'),
    secret: operation.secret === true,
    reused: operation.reusedKey ?? 'invalid_value',
  }
}

export function rememberedOf(ctx: Ctx, deps: AdminDeps, memo: Memo, answer: Answer): Remembered {
  const text = JSON.stringify(answer)
  return {
    key: memo.key,
    request: memo.request,
    status: answer.status,
    body: memo.secret ? seal(ctx, deps, memo, text) : text,
    until: ctx.now + rememberedSeconds,
  }
}

/** The first answer. Throws `memo.reused` where the same key comes with another request. */
export function openAnswer(ctx: Ctx, deps: AdminDeps, memo: Memo, first: Remembered): Answer {
  if (first.request !== memo.request) {
    throw new Fault(memo.reused, 'This Idempotency-Key was used for another request.', {
      kind: 'key_reused',
    })
  }
  const text = memo.secret ? open(ctx, deps, memo, first.body) : first.body
  return JSON.parse(text) as Answer
}

// The store keeps hashes of enrolment tokens only; an answer with one in clear would undo that. The nonce key is
// sealed outside the database, so a copy of the database opens nothing.
function cipherKey(ctx: Ctx, deps: AdminDeps, memo: Memo): Uint8Array {
  return deps.keys.nonceMac(ctx, `idempotency:${memo.key}:${memo.request}`)
}

function seal(ctx: Ctx, deps: AdminDeps, memo: Memo, text: string): string {
  const iv = deps.randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', cipherKey(ctx, deps, memo), iv)
  const sealed = Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
  return sealed.toString('base64url')
}

function open(ctx: Ctx, deps: AdminDeps, memo: Memo, sealed: string): string {
  const bytes = Buffer.from(sealed, 'base64url')
  try {
    const decipher = createDecipheriv('aes-256-gcm', cipherKey(ctx, deps, memo), bytes.subarray(0, 12))
    decipher.setAuthTag(bytes.subarray(-16))
    return decipher.update(bytes.subarray(12, -16), undefined, 'utf8') + decipher.final('utf8')
  } catch (cause) {
    // The nonce key was rotated since. Making a second one would break the promise of the key; so nothing is made.
    throw new Fault('conflict', 'The first answer can no longer be shown; use a new Idempotency-Key.', {
      kind: 'answer_unreadable',
      cause: String(cause),
    })
  }
}
