// Replay of DPoP proofs across all processes of one host: the marks live in one SQLite file. RFC 9449 §11.1.
import { closeSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { Fault } from '../protocol/fault.ts'
import type { ReplayStore } from './replay.ts'

/** How long a claim waits, blocking, for another process to finish its own; then it is refused on doubt. */
const waitMs = 500
const pruneEverySeconds = 5

/**
 * Opens or creates the file (mode 0600, on a local disk: a network file system does not lock reliably). Each claim is
 * one atomic statement. Throws what SQLite throws when the file cannot be opened or is not such a file.
 */
export function sharedReplayStore(file: string): ReplayStore {
  closeSync(openSync(file, 'a', 0o600))
  const database = new DatabaseSync(file, { timeout: waitMs })
  // Not synchronised to the disk per claim: marks outlive every process, not a power failure.
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
  database.exec(
    'CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID, STRICT',
  )
  database.exec('CREATE INDEX IF NOT EXISTS mark_until ON mark (until)')
  // A mark that is past its time is free again, pruned or not; an unexpired one is left alone and changes nothing.
  const claim = database.prepare(
    'INSERT INTO mark (name, until) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET until = excluded.until WHERE until < ?',
  )
  const prune = database.prepare('DELETE FROM mark WHERE until < ?')
  let prunedAt = 0

  return {
    guarantee:
      'A proof is accepted once by all processes of this host that share the file, across restarts of each. Processes of other hosts do not know of it, and a power failure may lose the marks of the last moments.',
    claim(mark, until, now) {
      try {
        const { changes } = claim.run(mark, until, now)
        if (now - prunedAt >= pruneEverySeconds) {
          prune.run(now)
          prunedAt = now
        }
        return Number(changes) === 1
      } catch (error) {
        const facts = {
          kind: 'replay_store_failed',
          message: error instanceof Error ? error.message : String(error),
        }
        throw new Fault('temporarily_unavailable', 'The resource cannot decide now; try again.', facts, {
          cause: error,
        })
      }
    },
    close: () => database.close(),
  }
}
