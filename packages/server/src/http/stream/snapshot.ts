// All ends that can still matter, written down once and added to: whoever comes without knowing anything asks for them.
import { subjectDigest } from '@writ/sdk/protocol/revocation'
import type { Ctx } from '../../context.ts'
import type { SignalAt } from '../../store/store.ts'
import type { FaceDeps } from '../route.ts'

/** Ends in one piece of text; what is older than every token goes by pieces. */
const pieceLength = 1000

interface Piece {
  text: string
  length: number
  /** Epoch milliseconds of the newest. */
  atMs: number
}

interface Written {
  /** Up to which it is complete; -1 where nothing was read yet. */
  epoch: number
  /** Epoch milliseconds: what is older may be missing. */
  fromMs: number
  pieces: Piece[]
}

/** A snapshot: a JSON array of narrowings, complete up to the epoch. */
export interface Snapshot {
  readonly epoch: number
  readonly narrowed: string
}

/** Requests read the clock in one order and get here in another. */
const slackMs = 60_000

export interface Snapshots {
  /**
   * The narrowings after `sinceMs` up to the epoch `head` at least, perhaps a few older ones. Costs no more than what
   * has come since it was asked for before, whoever asks how often.
   */
  upTo(ctx: Ctx, signals: FaceDeps['store']['signals'], asked: Asked): Promise<Snapshot>
}

export interface Asked {
  readonly head: number
  readonly sinceMs: number
}

export function createSnapshots(): Snapshots {
  const written = new Map<string, Written>()
  return {
    async upTo(ctx, signals, { head, sinceMs }) {
      let known = written.get(ctx.tenant)
      // Begun anew where the clock was set back: what was left out as too old may matter again.
      if (known === undefined || sinceMs < known.fromMs) {
        known = { epoch: -1, fromMs: sinceMs - slackMs, pieces: [] }
        written.set(ctx.tenant, known)
      }
      const { epoch: before, fromMs } = known
      const news =
        before === -1
          ? await signals.narrowedSince(ctx, fromMs)
          : await narrowedBetween(ctx, signals, before, head)
      // Somebody else may have written the same down meanwhile, and more.
      const { epoch: standing } = known
      add(
        known.pieces,
        news.filter(({ epoch }) => epoch > standing && epoch <= head),
      )
      known.epoch = Math.max(standing, head)
      leaveOut(known, sinceMs - slackMs)
      return { epoch: known.epoch, narrowed: `[${known.pieces.map(({ text }) => text).join(',')}]` }
    },
  }
}

async function narrowedBetween(
  ctx: Ctx,
  signals: FaceDeps['store']['signals'],
  after: number,
  head: number,
): Promise<readonly SignalAt[]> {
  const found: SignalAt[] = []
  for (let from = after; from < head; ) {
    const page = await signals.after(ctx, from, pieceLength, 'narrowed')
    found.push(...page)
    from = page.length < pieceLength ? head : (page.at(-1)?.epoch ?? head)
  }
  return found
}

function leaveOut(written: Written, beforeMs: number): void {
  const kept = written.pieces.filter(({ atMs }) => atMs >= beforeMs)
  if (kept.length === written.pieces.length) return
  written.pieces = kept
  written.fromMs = Math.max(written.fromMs, beforeMs)
}

function add(pieces: Piece[], news: readonly SignalAt[]): void {
  for (const { epoch, subject, atMs } of news) {
    const text = `[${epoch},"${subjectDigest(subject)}"]`
    const last = pieces.at(-1)
    if (last === undefined || last.length >= pieceLength) pieces.push({ text, length: 1, atMs })
    else {
      last.text += `,${text}`
      last.length += 1
      last.atMs = Math.max(last.atMs, atMs)
    }
  }
}
