// The tools that are halted, read once for everybody who listens: a node asks its store only when halts have changed.
import { Fault } from '@writ/sdk/protocol/fault'
import type { Halted } from '@writ/sdk/protocol/revocation'
import { toldHalts } from '../../admin/enforcement/halted-tools.ts'
import type { Ctx } from '../../context.ts'
import type { Governing } from '../../store/authorization.ts'
import type { Facts } from '../../store/store.ts'

export interface HaltedTools {
  /**
   * All that were halted at one epoch, which is `epoch` or a later one: what has happened up to there is told. Costs no
   * read of the store beside that of the facts that govern, and one at most, whoever asks at the same time.
   */
  upTo(ctx: Ctx, facts: Pick<Facts, 'governing'>, epoch: number): Promise<Halted>
}

interface Told {
  readonly halted: Halted
  readonly halts: Governing['halts']
}

/** A reading that was under way may be older than what is asked for; the next one is not. */
const mostReadings = 3

export function createHaltedTools(): HaltedTools {
  const told = new Map<string, Told>()
  const readings = new Map<string, Promise<void>>()

  const read = async (ctx: Ctx, facts: Pick<Facts, 'governing'>, upTo: number): Promise<void> => {
    const remembered = await facts.governing(ctx)
    const { epoch, halts } =
      remembered.epoch < upTo ? await facts.governing(ctx, { fresh: true }) : remembered
    const known = told.get(ctx.tenant)
    if (known !== undefined && known.halted.epoch >= epoch) return
    const halted = known?.halts === halts ? { ...known.halted, epoch } : toldHalts(epoch, halts)
    told.set(ctx.tenant, { halted, halts })
  }

  return {
    async upTo(ctx, facts, epoch) {
      for (let count = 0; count < mostReadings; count += 1) {
        const known = told.get(ctx.tenant)
        if (known !== undefined && known.halted.epoch >= epoch) return known.halted
        const reading =
          readings.get(ctx.tenant) ?? read(ctx, facts, epoch).finally(() => void readings.delete(ctx.tenant))
        readings.set(ctx.tenant, reading)
        await reading
      }
      // A listener that were not told would confirm a halt that it has not heard of.
      throw new Fault('temporarily_unavailable', 'This node has lost its store; ask another.', {
        kind: 'halts_behind',
      })
    },
  }
}
