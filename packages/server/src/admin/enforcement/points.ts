// Who enforces what is said over the revocation stream, and up to where: the confirmation that a halt has arrived.
import { z } from 'zod'
import { operation, readEvent } from '../operation.ts'
import * as wire from '../wire.ts'

/** A point that was not heard of for so long has gone without a word; whatever it was is no confirmation any more. */
const silentMs = 30_000

const pointShown = z
  .strictObject({
    label: z.string().meta({ description: 'What it calls itself; nobody vouches for it' }),
    node: z.string(),
    epoch: z.number().int().meta({ description: 'Up to which epoch it enforces everything' }),
    seen_at: wire.shownInstant,
  })
  .meta({ id: 'EnforcementPoint' })

const list = operation({
  id: 'enforcement-points.list',
  event: readEvent,
  method: 'GET',
  path: '/enforcement-points',
  summary: 'See which connected enforcement points have confirmed what was halted or revoked up to now',
  params: wire.noParams,
  query: wire.noQuery,
  body: null,
  status: 200,
  answer: z
    .strictObject({
      epoch: z.number().int().meta({ description: 'The newest epoch; whoever has it enforces everything' }),
      items: z.array(pointShown),
    })
    .meta({ id: 'EnforcementPoints' }),
  async decide(ctx, deps) {
    const epoch = await deps.store.signals.head(ctx)
    const points = await deps.store.enforcementPoints.list(ctx, ctx.nowMs - silentMs)
    return {
      about: { facts: { epoch, points: points.length } },
      answer: {
        epoch,
        items: points.map(point => ({
          label: point.label,
          node: point.node,
          epoch: point.epoch,
          seen_at: new Date(point.seenMs).toISOString(),
        })),
      },
    }
  },
})

export const enforcementPointOperations = [list]
