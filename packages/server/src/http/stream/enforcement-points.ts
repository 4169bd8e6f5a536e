// Enforcement points confirm what they enforce: each connection of the revocation stream has a name that it alone knows.
import { createHash, timingSafeEqual } from 'node:crypto'
import { Fault } from '@writ/sdk/protocol/fault'
import { shown } from '../../admin/wire.ts'
import type { Ctx } from '../../context.ts'
import { readJson } from '../body.ts'
import type { FaceDeps, Route } from '../route.ts'

export interface Points {
  /** A name for one connection, and what is to be done when it ends. */
  open(ctx: Ctx, deps: FaceDeps): { readonly name: string; readonly close: () => void }
}

/** `node`: what this process calls itself, for whoever looks where a point hangs. */
export function createPoints(node: string): Points {
  return {
    open(ctx, deps) {
      const stem = `${node}.${Buffer.from(deps.randomBytes(16)).toString('base64url')}`
      return {
        name: `${stem}.${macOf(ctx, deps, stem).toString('base64url')}`,
        close() {
          // Where the store is away the row stays, and is silent soon.
          deps.store.enforcementPoints.forget(ctx, idOf(stem)).catch(() => undefined)
        },
      }
    },
  }
}

/** Stored is a hash: whoever reads the store must not confirm in somebody else's name. */
const idOf = (stem: string): string => createHash('sha256').update(stem).digest('base64url')

const macOf = (ctx: Ctx, deps: FaceDeps, stem: string): Buffer =>
  Buffer.from(deps.keys.nonceMac(ctx, `enforcement-point:${stem}`))

const pattern = /^([0-9a-z]{1,32})\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{16,86})$/

/** The stem of a name that we gave, and its node; a name that we did not give confirms nothing. */
function readName(ctx: Ctx, deps: FaceDeps, name: unknown): { readonly stem: string; readonly node: string } {
  const [, node = '', random = '', mac = ''] = (typeof name === 'string' && pattern.exec(name)) || []
  const stem = `${node}.${random}`
  // As texts: two spellings of one name would be two names.
  const [given, ours] = [Buffer.from(mac), Buffer.from(macOf(ctx, deps, stem).toString('base64url'))]
  if (node !== '' && given.length === ours.length && timingSafeEqual(given, ours)) return { stem, node }
  throw new Fault('invalid_request', 'point is no name that this authority gave.', { kind: 'no_point' })
}

export const confirmationRoute: Route = {
  name: 'confirmation',
  method: 'POST',
  path: '/revocations/confirmations',
  face: 'problem',
  cors: false,
  publishedAs: { writ: 'confirmation_endpoint' },
  async handle(ctx, deps, request) {
    const { point, epoch, label, ...others } = await readJson(request, 4096)
    if (Object.keys(others).length > 0 || typeof label !== 'string' || !Number.isSafeInteger(epoch))
      throw new Fault('invalid_request', 'Send point, epoch and label.', { kind: 'members' })
    const { stem, node } = readName(ctx, deps, point)
    const told = epoch as number
    // What has not happened cannot be enforced: a point that runs ahead would confirm the next halt unheard.
    if (told < 0 || told > (await deps.store.signals.head(ctx)))
      throw new Fault('invalid_request', 'epoch is none that was reached.', { kind: 'epoch' })
    const seen = { label: shown(label), node, epoch: told, seenMs: ctx.nowMs }
    await deps.store.enforcementPoints.report(ctx, { id: idOf(stem), ...seen })
    return new Response(null, { status: 204, headers: { 'cache-control': 'no-store' } })
  },
}
