// Ends the agents' keys that have run out: a rotated key proves nothing from its `expiresAt` on, and is retired for good.

import type { Ctx } from '../context.ts'
import type { Key } from '../domain/agent.ts'
import type { EntryDraft } from '../domain/audit-entry.ts'
import type { Fence, Signal, Versioned } from '../domain/change.ts'
import type { Store } from '../store/store.ts'

const pageSize = 100
const mostPages = 10

/**
 * Marks the `retiring` keys whose time had run out at `at` as `retired`, at most a thousand per run; answers how many.
 * What was issued to them lives on to its own expiry: a rotation must not fail a call, so nothing is narrowed here.
 */
export async function retireAgentKeys(
  ctx: Ctx,
  store: Pick<Store, 'keys' | 'commit'>,
  at: number,
  fence?: Fence,
): Promise<number> {
  let retired = 0
  for (let page = 0; page < mostPages; page += 1) {
    const keys = await store.keys.expired(ctx, at, pageSize)
    const [first, ...others] = keys.map(key => entryOf(ctx, key))
    if (first === undefined) break
    const committed = await store.commit(ctx, {
      puts: keys.map(({ version, ...key }) => ({ put: 'key', value: end(key, ctx.now), ifVersion: version })),
      signals: signalsOf(keys),
      entries: [first, ...others],
      ...(fence && { fence }),
    })
    // Somebody changed one of them meanwhile, for example revoked it, or has the lease: whoever runs next reads again.
    if (committed.kind !== 'done') break
    retired += keys.length
    if (keys.length < pageSize) break
  }
  return retired
}

function end(key: Key, at: number): Key {
  return { ...key, state: 'retired', stateAt: at }
}

// Whoever remembers the facts of an owner reads them again and forgets the key.
function signalsOf(keys: readonly Key[]): readonly Signal[] {
  return [...new Set(keys.map(key => key.owner))].map(subject => ({ subject, kind: 'changed' }))
}

function entryOf(ctx: Ctx, key: Versioned<Key>): EntryDraft {
  return {
    type: 'key.retired',
    outcome: 'allowed',
    reason: 'expired',
    agent: key.owner,
    instance: key.instance,
    key: key.thumbprint,
    requestId: ctx.requestId,
    facts: { kid: key.kid },
  }
}
