// Settling: the true amounts in place of what was reserved, once and in time.
import { Fault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../context.ts'
import type { Budget, Settlement } from '../domain/authorization/budget.ts'
import type { Amounts } from '../domain/authorization/spending.ts'
import { type Caller, chainOf } from '../domain/caller.ts'
import type { Store } from '../store/store.ts'
import { answerAs, type CommitDeps, reservationKey } from './commit.ts'
import { askedBy } from './entry.ts'
import { decisionScopes } from './evaluate.ts'

export type SettleDeps = CommitDeps & { readonly store: Pick<Store, 'oneTimes'> }

/** What was asked: the reservation by its id, and what each reserved unit really cost. */
export interface Settled {
  readonly reservation: string
  readonly amounts: Amounts
}

interface Reserved {
  readonly grant: Settlement['grant']
  readonly budget: Budget
  readonly amount: number
}

/**
 * Settles what the caller reserved. Throws what `answerAs` throws, `conflict` where nothing waits under that id (it was
 * settled, its time has passed, or it never was), `invalid_request` where a reserved unit has no amount, or money of
 * another currency.
 */
export function settle(
  ctx: Ctx,
  deps: SettleDeps,
  caller: Caller,
  read: () => Promise<Settled>,
): Promise<object> {
  const asking = { caller, type: 'decision.settled', scope: decisionScopes.evaluate }
  return answerAs(ctx, deps, asking, async () => {
    const { reservation, amounts } = await read()
    const key = reservationKey(caller, reservation)
    const found = await deps.store.oneTimes.peek(ctx, 'reservation', key, ctx.now)
    if (typeof found === 'string')
      throw new Fault('conflict', 'There is no such reservation that waits to be settled.', {
        kind: 'no_reservation',
      })
    const reserved = JSON.parse(found.value) as readonly Reserved[]
    const settlements = reserved.map(({ grant, budget }): Settlement => {
      const amount = amounts[budget.unit]
      // Left out it is what was reserved; said, it has to be: cents of one are not those of another.
      if (budget.unit === 'money' && ![undefined, budget.currency].includes(amounts.currency))
        throw new Fault(
          'invalid_request',
          `amounts.currency is not ${budget.currency}, which was reserved.`,
          {
            kind: 'other_currency',
          },
        )
      if (amount === undefined)
        throw new Fault('invalid_request', `amounts.${budget.unit} was reserved and is missing.`, {
          kind: 'unsettled_unit',
        })
      return { grant, budget, reservation: reservation as Settlement['reservation'], amount }
    })
    return {
      bases: [],
      spends: [],
      change: { settlements, takes: [{ kind: 'reservation', key }] },
      entry: {
        type: 'decision.settled',
        outcome: 'allowed',
        agent: caller.agent,
        instance: caller.instance,
        chain: chainOf(caller),
        action: 'settle',
        decision: { rule: 'own_reservation', grants: [...new Set(reserved.map(({ grant }) => grant))] },
        ...askedBy(ctx, caller),
        facts: {
          reserved: reserved.map(({ budget: { unit }, amount }) => `${unit} ${amount}`),
          settled: reserved.map(({ budget: { unit } }) => `${unit} ${amounts[unit]}`),
        },
      },
      answer: () => ({ settled: true }),
    }
  })
}
