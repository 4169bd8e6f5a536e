// Checkpoints, the signed heads of a log: C2SP tlog-checkpoint (https://c2sp.org/tlog-checkpoint).
import { formatBase64, parseBase64 } from './base64.ts'
import { Fault } from './fault.ts'
import { type VerifierKey, verifyNote } from './note.ts'
import { emptyRoot } from './proof.ts'

/** A tree head: the first `size` leaves of the log `origin` have this root. */
export interface Checkpoint {
  readonly origin: string
  readonly size: number
  readonly root: Uint8Array
  /** Further lines, opaque. We write none: no monitor could check them. */
  readonly extensions?: readonly string[]
}

const rootBytes = 32

/** The text of a checkpoint, to be signed as a note. @throws Fault invalid_value where it could not be read back */
export function formatCheckpoint({ origin, size, root, extensions = [] }: Checkpoint): string {
  const text = `${[origin, size, formatBase64(root), ...extensions].join('\n')}\n`
  if (origin.includes('\n') || extensions.some(line => line.includes('\n'))) throw malformed()
  parseCheckpoint(text)
  return text
}

/** Reads the text of a note that was verified before. @throws Fault invalid_value where it is no checkpoint */
export function parseCheckpoint(text: string): Checkpoint {
  if (!text.endsWith('\n')) throw malformed()
  const lines = text.slice(0, -1).split('\n')
  const [origin, decimal, hash, ...extensions] = lines
  if (origin === undefined || decimal === undefined || hash === undefined || lines.includes(''))
    throw malformed()
  const size = /^(?:0|[1-9]\d{0,15})$/.test(decimal) ? Number(decimal) : Number.NaN
  const root = parseBase64(hash)
  if (!Number.isSafeInteger(size) || root?.length !== rootBytes) throw malformed()
  // RFC 9162 §2.1.1: the empty tree has one root; any other would be a promise about leaves that do not exist.
  if (size === 0 && !root.equals(emptyRoot)) throw malformed()
  return { origin, size, root, extensions }
}

/**
 * Reads a checkpoint that one of the keys signed, of this log and no other.
 * @throws Fault invalid_value where it is not signed so, not a checkpoint, or of another origin
 */
export function verifyCheckpoint(note: string, origin: string, keys: readonly VerifierKey[]): Checkpoint {
  const checkpoint = parseCheckpoint(verifyNote(note, keys).text)
  // One key may sign for several logs: the head of another one would prove the wrong history.
  if (checkpoint.origin !== origin) {
    throw new Fault('invalid_value', 'The checkpoint is of another log', { kind: 'checkpoint_origin' })
  }
  return checkpoint
}

function malformed(): Fault {
  return new Fault('invalid_value', 'This is not a checkpoint', { kind: 'checkpoint_malformed' })
}
