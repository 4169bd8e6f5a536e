// Ends tasks that nobody decided, and tells outcomes, signed so that whoever is told knows who says it (RFC 7515).
import { signingInput } from '@writ/sdk/protocol/jws'
import { settleDue, type Tell } from '../approvals/due.ts'
import { taskOf } from '../approvals/task.ts'
import type { Ctx } from '../context.ts'
import { accessRequestPath } from '../decision/access-request.ts'
import type { Fence } from '../domain/change.ts'
import { sha256 } from '../domain/hash.ts'
import type { Keys } from '../keys/keys.ts'
import type { Store } from '../store/store.ts'

export interface ApprovalWork {
  readonly store: Pick<Store, 'approvals' | 'commit'>
  readonly keys: Pick<Keys, 'signer'>
  /** Sends one notice out; answers whether it was taken. */
  readonly post: (
    notice: { readonly endpoint: string; readonly authorization: string; readonly body: string },
    signal: AbortSignal,
  ) => Promise<boolean>
  readonly signal: AbortSignal
}

const tokenSeconds = 60

/** One turn of the loop; answers how many tasks something happened to. */
export function settleApprovals(ctx: Ctx, work: ApprovalWork, at: number, fence?: Fence): Promise<number> {
  const { store, signal } = work
  return settleDue(ctx, { store, signal, tell: tellOver(work) }, at, fence)
}

/**
 * "Callback Completion": the task and its result, with a JWT of this authority for this endpoint, this minute and this
 * body alone. Its type is its own, so that no resource server takes it for an access token (RFC 8725 §3.11).
 */
function tellOver({ keys, post }: ApprovalWork): Tell {
  return async (ctx, approval, signal) => {
    const { endpoint, state } = approval.callback
    const body = JSON.stringify({
      ...(state === null ? {} : { state: JSON.parse(state) as unknown }),
      ...taskOf(approval, ctx.issuer + accessRequestPath, ctx.now),
    })
    const signer = keys.signer(ctx, 'token')
    const input = signingInput(
      { alg: signer.alg, typ: 'access-request-callback+jwt', kid: signer.kid },
      {
        iss: ctx.issuer,
        aud: endpoint,
        iat: ctx.now,
        exp: ctx.now + tokenSeconds,
        body_sha256: sha256(body).toString('base64url'),
      },
    )
    const signature = Buffer.from(await signer.sign(input)).toString('base64url')
    return post({ endpoint, authorization: `Bearer ${input}.${signature}`, body }, signal)
  }
}
