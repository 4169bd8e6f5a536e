// The head of the audit log: integrates what was committed and publishes it signed (C2SP tlog-checkpoint, tlog-tiles).
import { type Checkpoint, formatCheckpoint, verifyCheckpoint } from '@writ/sdk/protocol/checkpoint'
import { isFault } from '@writ/sdk/protocol/fault'
import {
  formatVerifierKey,
  type NoteSigner,
  signNote,
  type VerifierKey,
  verifierKey,
} from '@writ/sdk/protocol/note'
import type { Ctx } from '../context.ts'
import type { TenantId } from '../domain/tenant.ts'
import { type Edge, edgeRoot, emptyEdge } from '../domain/tile.ts'
import type { Keys } from '../keys/keys.ts'
import type { Log } from '../store/store.ts'
import { timeMsOf } from './by-time.ts'
import { grownEdge, storedEdge } from './edge.ts'

type LogScope = Pick<Ctx, 'tenant' | 'issuer'>

/** A published checkpoint, and the edge of its tree. */
export interface Head {
  readonly checkpoint: Checkpoint
  /** The signed note, byte for byte as published. */
  readonly note: string
  readonly edge: Edge
}

export interface Checkpoints {
  /**
   * Integrates the entries that are committed now, 65,536 for each checkpoint that it publishes. `raced`: another node
   * published first, and nothing was lost.
   * Throws an Error where the log is damaged or smaller than it was: then nothing is signed, ever, until it is whole.
   */
  run(ctx: LogScope): Promise<'published' | 'nothing' | 'raced'>
  /** The newest published head; undefined before the first. Throws an Error where it is not that of the stored tree. */
  head(ctx: LogScope): Promise<Head | undefined>
  /** A published head of at least `size` leaves, which the log must have; publishes where the newest is smaller. */
  covering(ctx: LogScope, size: number): Promise<Head>
  /** How far the newest checkpoint is behind: entries that it does not cover, and the age of the first of them. */
  lag(ctx: Pick<Ctx, 'tenant' | 'nowMs'>): Promise<{ readonly entries: number; readonly seconds: number }>
}

export interface CheckpointDeps {
  readonly store: { readonly log: Log }
  readonly keys: Pick<Keys, 'signer'>
}

interface Step {
  /** False where another node published first. */
  readonly isPublished: boolean
  /** The size of the log when the first step began. */
  readonly goal: number
}

/** Entries of one step: bounds its memory, and how much work is lost when another node was faster. */
const stepEntries = 65_536

/** A tree that another node published is caught up with by reading its entries where they are no more than these. */
const mostCaughtUp = 16_384

/**
 * The log's origin: its URL without the scheme (C2SP tlog-checkpoint), so that one line says whose log it is and where.
 * Also the name of its key, and below it lie `checkpoint` and `tile/`.
 */
export function auditOrigin(issuer: string): string {
  const { host, pathname } = new URL(issuer)
  return `${host}${pathname.replace(/\/$/, '')}/audit`
}

/** The C2SP verifier key of a tenant's audit log. Throws `temporarily_unavailable` where its key is not at hand. */
export function auditVerifierKey(
  issuer: string,
  keys: Pick<Keys, 'signer'>,
  scope: Pick<Ctx, 'tenant'>,
): string {
  return formatVerifierKey(logKey({ ...scope, issuer }, keys))
}

/** Signs checkpoints and the seals of exports. */
export function auditSigner(ctx: LogScope, keys: Pick<Keys, 'signer'>): NoteSigner {
  const signer = keys.signer(ctx, 'checkpoint')
  return { key: logKey(ctx, keys), sign: text => signer.sign(text) }
}

function logKey(ctx: LogScope, keys: Pick<Keys, 'signer'>): VerifierKey {
  const { jwk } = keys.signer(ctx, 'checkpoint')
  // RFC 8037 §2: `x` of an Ed25519 key is the raw public key that C2SP signed-note wants.
  return verifierKey(auditOrigin(ctx.issuer), Buffer.from(jwk.x ?? '', 'base64url'))
}

/** Keeps the newest head of each tenant's log in memory; every node has its own, and any of them may publish. */
export function createCheckpoints({ store: { log }, keys }: CheckpointDeps): Checkpoints {
  const heads = new Map<TenantId, Head>()

  const remember = (tenant: TenantId, head: Head): Head => {
    if ((heads.get(tenant)?.edge.size ?? -1) < head.edge.size) heads.set(tenant, head)
    return head
  }

  const head = async (ctx: LogScope): Promise<Head | undefined> => {
    const known = heads.get(ctx.tenant)
    // Read after `known` was: what this node published before is in the store by now, or has been taken out of it.
    const stored = await log.checkpoint(ctx)
    if (stored !== undefined && stored.note === known?.note) return known
    if (known !== undefined && known.edge.size >= (stored?.size ?? -1)) {
      // A head that shrinks or changes is a fork in the eyes of everybody who saw the first one (threat C62).
      throw damaged(
        `its checkpoint of ${known.edge.size} entries was replaced by one of ${stored?.size ?? 'none'}`,
      )
    }
    return stored && remember(ctx.tenant, await adopt({ log, keys }, ctx, stored, known?.edge))
  }

  /** One step towards `goal` leaves; undefined where the newest head has as many. */
  const step = async (ctx: LogScope, goal: number | undefined): Promise<Step | undefined> => {
    const before = await head(ctx)
    const from = before?.edge ?? emptyEdge
    const size = await log.size(ctx)
    if (size < from.size) throw damaged(`it has ${size} entries and a checkpoint of ${from.size}`)
    if (before !== undefined && from.size >= (goal ?? size)) return undefined
    const { edge, full } = await grownEdge(log, ctx, from, Math.min(size, from.size + stepEntries))
    const checkpoint = { origin: auditOrigin(ctx.issuer), size: edge.size, root: edgeRoot(edge) }
    const note = await signNote(formatCheckpoint(checkpoint), auditSigner(ctx, keys))
    // INVARIANT: the head in memory is one that the store has made durable; a smaller one never follows it.
    const isPublished = await log.publish(ctx, edge.size, note, full)
    if (isPublished) remember(ctx.tenant, { checkpoint, note, edge })
    return { isPublished, goal: goal ?? size }
  }

  const run = async (ctx: LogScope): Promise<'published' | 'nothing' | 'raced'> => {
    const first = await step(ctx, undefined)
    if (first === undefined) return 'nothing'
    let last = first
    // What is committed meanwhile waits for the next run; otherwise a busy log would be signed without an end.
    for (;;) {
      const next = last.isPublished ? await step(ctx, first.goal) : undefined
      if (next === undefined) return last.isPublished ? 'published' : 'raced'
      last = next
    }
  }

  return {
    run,
    head,
    async covering(ctx, size) {
      for (let isAll = false; ; ) {
        const newest = await head(ctx)
        if (newest !== undefined && newest.edge.size >= size) return newest
        if (isAll) throw damaged(`it has fewer than ${size} entries`)
        // Nothing to do may mean that somebody else did it since the look before: only the next one tells.
        isAll = (await run(ctx)) === 'nothing'
      }
    },
    async lag(ctx) {
      const from = (await log.checkpoint(ctx))?.size ?? 0
      const entries = (await log.size(ctx)) - from
      const [first] = entries > 0 ? await log.range(ctx, from, from + 1) : []
      if (first === undefined) return { entries: 0, seconds: 0 }
      return { entries, seconds: Math.max(0, ctx.nowMs - timeMsOf(first.text)) / 1000 }
    },
  }
}

/** The head that another process published, believed only where it is signed by this log and is that of our entries. */
async function adopt(
  { log, keys }: { readonly log: Log; readonly keys: Pick<Keys, 'signer'> },
  ctx: LogScope,
  stored: { readonly size: number; readonly note: string },
  known: Edge | undefined,
): Promise<Head> {
  const checkpoint = readCheckpoint(stored.note, auditOrigin(ctx.issuer), logKey(ctx, keys))
  if (checkpoint.size !== stored.size) throw damaged('its checkpoint is stored under another size')
  const near = known !== undefined && stored.size - known.size <= mostCaughtUp
  const edge = near
    ? (await grownEdge(log, ctx, known, stored.size)).edge
    : await storedEdge(log, ctx, stored.size)
  if (!edgeRoot(edge).equals(checkpoint.root)) throw damaged('its entries are not those of its checkpoint')
  return { checkpoint, note: stored.note, edge }
}

function readCheckpoint(note: string, origin: string, key: VerifierKey): Checkpoint {
  try {
    return verifyCheckpoint(note, origin, [key])
  } catch (error) {
    if (isFault(error)) throw damaged(`its checkpoint is not one of ${origin} under the key ${key.id}`, error)
    throw error
  }
}

function damaged(how: string, cause?: unknown): Error {
  return new Error(`the audit log is damaged or was rolled back: ${how}`, { cause })
}

/** A row for the runner of background loops. */
export interface AuditLoop {
  readonly name: string
  readonly everySeconds: number
  readonly leased: boolean
  readonly per: 'tenant'
  run(ctx: Ctx): Promise<number>
}

export interface AuditLoopOptions {
  readonly checkpoints: Pick<Checkpoints, 'run'>
  readonly noise: { flush(ctx: Ctx): Promise<number> }
  readonly checkpointSeconds: number
  readonly noiseSeconds: number
}

/** The loops of the log: one node publishes checkpoints, each node sums up the noise that it met. */
export function auditLoops(options: AuditLoopOptions): readonly AuditLoop[] {
  return [
    {
      name: 'checkpoint',
      everySeconds: options.checkpointSeconds,
      leased: true,
      per: 'tenant',
      run: async ctx => ((await options.checkpoints.run(ctx)) === 'published' ? 1 : 0),
    },
    {
      name: 'noise',
      everySeconds: options.noiseSeconds,
      leased: false,
      per: 'tenant',
      run: ctx => options.noise.flush(ctx),
    },
  ]
}
