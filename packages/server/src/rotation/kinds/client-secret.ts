// Secrets of OAuth clients: who asks for the next one is the only one who is shown it; here the former is drained and ended.
import { Fault } from '@writ/sdk/protocol/fault'
import { newId } from '@writ/sdk/protocol/identifier'
import type { Ctx } from '../../context.ts'
import type { EntryDraft } from '../../domain/audit-entry.ts'
import type { Versioned } from '../../domain/change.ts'
import { type Client, hasSecrets } from '../../domain/client.ts'
import { type ClientSecret, isClientSecretLive } from '../../domain/client-secret.ts'
import { clientSecretRotation, endSecrets } from '../../domain/client-secret-succession.ts'
import { type DrainFacts, drainOf, moveRotation, type Rotation } from '../../domain/rotation.ts'
import type { Begun, Kind, KindDeps, Reach } from '../kind.ts'

/** Clients that one page of targets looks through. */
const clientsOfPage = 100
/** Networks from which a secret is still used, the newest first: more of them change no decision. */
const mostUsers = 200
/** Resources that are looked through for what a client may see. */
const mostResources = 1000

export const clientSecret: Kind = {
  kind: 'client_secret',
  proof: 'last_use',

  async targets(ctx, { store }, after) {
    const page = await store.clients.list(ctx, { limit: clientsOfPage, ...(after !== null && { after }) })
    const items = page.items.filter(client => hasSecrets(client.tokenEndpointAuthMethod))
    return { items: items.map(({ id }) => id), next: page.next }
  },

  async begin(ctx, deps, ask) {
    const client = await deps.store.clients.get(ctx, ask.target)
    if (client === undefined) throw new Fault('not_found', 'There is no such client.', { kind: 'no_client' })
    const live = (await deps.store.clientSecrets.ofClient(ctx, client.id)).filter(secret =>
      isClientSecretLive(secret, ctx.now),
    )
    const [oldest] = live
    if (oldest === undefined)
      throw new Fault('conflict', 'This client has no secret that lives.', { kind: 'no_live_secret' })
    if (!ask.emergency) {
      // A secret made here would be shown to nobody: the client would have one that it does not know.
      throw new Fault(
        'conflict',
        `Ask for the next secret where you can receive it: POST /clients/${client.id}/secrets.`,
        { kind: 'nobody_receives' },
      )
    }
    return cut(ctx, deps, ask.reason, { client, oldest, newest: live.at(-1) })
  },

  async look(ctx, deps, { version: _, ...rotation }) {
    const former = await secretNamed(ctx, deps, rotation, rotation.from)
    const drain = drainOf(rotation, await this.drain(ctx, deps, rotation), ctx.now, deps.rules.drainSeconds)
    const isOver = former === undefined || former.state !== 'retiring'
    if (!isOver && !drain.isDrained && rotation.wanted !== 'force') {
      return { rotation: { ...rotation, dueAt: drain.clearAt } }
    }
    const ended = moveRotation(moveRotation(rotation, 'drain', ctx.now), 'retire', ctx.now)
    if (isOver) return { rotation: ended }
    const reason = rotation.wanted === 'force' ? 'forced' : 'drained'
    return {
      rotation: ended,
      parts: endSecrets([former], 'retired', ctx.now),
      entries: [told(ctx, 'client_secret.retired', former, reason)],
    }
  },

  async drain(ctx, deps, rotation): Promise<DrainFacts> {
    if (rotation.from === null || rotation.emergency) return { proof: 'none' }
    return { proof: 'last_use', users: await deps.store.uses.of(ctx, rotation.from, mostUsers) }
  },

  /** What it may introspect; it obtains no tokens. */
  async reach(ctx, deps, rotation) {
    const reached: Reach[] = []
    let after: string | null = null
    for (let seen = 0; seen < mostResources; ) {
      const page = await deps.store.resources.list(ctx, { limit: 200, ...(after !== null && { after }) })
      for (const { identifier, introspectionClients } of page.items) {
        if (!introspectionClients.includes(rotation.target)) continue
        reached.push({ kind: 'resource', name: identifier, detail: 'introspects its tokens' })
      }
      seen += page.items.length
      after = page.next
      if (after === null) break
    }
    return reached
  },

  holders: async (_ctx, _deps, rotation) => [rotation.target],
}

async function secretNamed(
  ctx: Ctx,
  deps: KindDeps,
  { target }: Rotation,
  id: string | null,
): Promise<Versioned<ClientSecret> | undefined> {
  return (await deps.store.clientSecrets.ofClient(ctx, target)).find(secret => secret.id === id)
}

interface Cut {
  readonly client: Client
  readonly oldest: Versioned<ClientSecret>
  readonly newest: ClientSecret | undefined
}

/** The older of two ends, the newer goes on. Where there is one it ends, and an administrator makes the next. */
function cut(ctx: Ctx, deps: KindDeps, reason: string, { client, oldest, newest }: Cut): Begun {
  const about = { id: newId('rot', deps.randomBytes), client, from: oldest, reason, batch: null }
  const begun = clientSecretRotation({ ...about, limitAt: ctx.now + deps.rules.drainLimitSeconds }, ctx.now)
  const ended = (['promote', 'drain', 'retire'] as const).reduce<Rotation>(
    (at, move) => moveRotation(at, move, ctx.now),
    { ...begun, emergency: true, proof: 'none' },
  )
  const successor = newest === undefined || newest.id === oldest.id ? null : newest.id
  const problem =
    successor === null
      ? `Its only secret was cut: make the next by POST /clients/${client.id}/secrets.`
      : null
  return {
    rotation: { ...ended, to: successor, problem },
    parts: endSecrets([oldest], 'revoked', ctx.now),
    entries: [told(ctx, 'client_secret.revoked', oldest, 'emergency')],
  }
}

function told(ctx: Ctx, type: string, secret: ClientSecret, reason: string): EntryDraft {
  return {
    type,
    outcome: 'allowed',
    reason,
    agent: secret.client,
    requestId: ctx.requestId,
    facts: { client: secret.client, client_secret: secret.id },
  }
}
