// What every call upstream about a lease is given, and how long it may take.
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../context.ts'
import type { SecretLease, VaultSecret } from '../domain/vault/secret.ts'
import { type RotatorDeps, secretsFor } from './rotator-use.ts'
import type { LeaseContext } from './rotators/rotator.ts'

/** Upstreams that hang keep neither callers nor the loop. */
const callMs = 10_000

export function contextOf(
  ctx: Ctx,
  deps: RotatorDeps,
  of: {
    readonly secret: VaultSecret
    readonly using: { readonly options: unknown }
    readonly lease: Pick<SecretLease, 'handle' | 'expiresAt'>
  },
  signal: AbortSignal,
): LeaseContext<unknown> {
  return {
    options: of.using.options,
    secretName: of.secret.name,
    handle: of.lease.handle,
    expiresAt: of.lease.expiresAt,
    secret: secretsFor(ctx, deps, of.secret),
    now: ctx.now,
    signal,
  }
}

/** Throws `temporarily_unavailable` where the call took too long, or the server stops. */
export async function withinTime<T>(
  deps: { readonly signal: AbortSignal },
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const signal = AbortSignal.any([deps.signal, AbortSignal.timeout(callMs)])
  const aborted = Promise.withResolvers<never>()
  const abort = (): void => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  const work = call(signal)
  try {
    return await Promise.race([work, aborted.promise])
  } catch (error) {
    if (isFault(error) || !signal.aborted) throw error
    throw new Fault('temporarily_unavailable', 'The upstream did not answer in time; try again.', {
      kind: 'upstream_timeout',
    })
  } finally {
    signal.removeEventListener('abort', abort)
    // Nobody waits for it any more: what it says later is no failure of the process.
    work.catch(() => undefined)
  }
}
