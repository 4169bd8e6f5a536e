// Files that hold a secret: believed only where nobody else could have read or placed them, replaced whole or not at all.
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { Fault } from '@writ/sdk/protocol/fault'

const othersMayRead = 0o077
// A holder does a handful of synchronous calls; one that is older than this was killed.
const staleMs = 60_000

/** A file and what it is, for the sentences that refuse it. */
export interface PrivateFile {
  readonly path: string
  /** `sealing key`, `passphrase file`. */
  readonly what: string
  /** What the kinds of its refusals begin with: `seal_key`. */
  readonly kind: string
}

/** A refusal that names the file and what to do about it. */
export function refuseFile(file: PrivateFile, kind: string, defect: string, remedy: string): Fault {
  return new Fault('server_error', `The ${file.what} ${file.path} ${defect}: ${remedy}.`, {
    kind: `${file.kind}_${kind}`,
    path: file.path,
  })
}

/**
 * What the file holds, as Latin-1, or undefined where there is none. Throws `server_error` where it cannot be trusted
 * or is longer than `longest` bytes; the message never shows what it holds.
 */
export function readPrivate(file: PrivateFile, longest: number): string | undefined {
  const descriptor = openExisting(file)
  if (descriptor === undefined) return undefined
  const bytes = Buffer.alloc(longest + 1)
  try {
    // All is asked of the open file, so that nobody can put another in its place between the check and the reading.
    refuseUntrusted(file, fstatSync(descriptor))
    const length = readSync(descriptor, bytes, 0, bytes.length, 0)
    if (length > longest) {
      throw refuseFile(file, 'malformed', `is longer than ${longest} bytes`, 'put the right file there')
    }
    return bytes.toString('latin1', 0, length)
  } finally {
    bytes.fill(0)
    closeSync(descriptor)
  }
}

function openExisting(file: PrivateFile): number | undefined {
  try {
    // A link would let whoever may write beside it choose the key; a pipe would make the start hang.
    const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)
    return openSync(file.path, flags)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    if (code === 'ELOOP' || code === 'EMLINK') {
      throw refuseFile(file, 'link', 'is a symbolic link', 'put the file itself there')
    }
    const defect = `cannot be read (${code ?? 'unknown'})`
    throw refuseFile(file, 'unreadable', defect, 'make it readable for this user')
  }
}

function refuseUntrusted(file: PrivateFile, stats: Stats): void {
  if (!stats.isFile()) {
    throw refuseFile(file, 'not_a_file', 'is not a regular file', 'put the file itself there')
  }
  // Windows has no such bits: every file there shows them set.
  if (process.platform === 'win32') return
  if ((stats.mode & othersMayRead) !== 0) {
    const mode = (stats.mode & 0o777).toString(8).padStart(4, '0')
    throw refuseFile(file, 'exposed', `is open to others (mode ${mode})`, `run chmod 600 ${file.path}`)
  }
  const own = process.geteuid?.()
  if (own !== undefined && stats.uid !== own && stats.uid !== 0) {
    const remedy = 'make it belong to the user that runs this process'
    throw refuseFile(file, 'foreign', 'belongs to another user', remedy)
  }
}

/**
 * Makes the file whole or not at all: written and synced under a name of its own, then linked to its place, where a
 * file of another process that came first stays.
 */
export function createPrivate(file: PrivateFile, text: string): void {
  const draft = `${file.path}.${randomBytes(8).toString('hex')}`
  written(file, text, draft, () => {
    try {
      linkSync(draft, file.path)
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause
    }
  })
}

/**
 * Puts the text in the place of what the file holds; a reader, or a power cut, sees the one or the other. Within `alone`
 * only: the draft has one name, so that what a killed process left of it, keys included, goes with the next attempt.
 */
export function replacePrivate(file: PrivateFile, text: string): void {
  const draft = `${file.path}.next`
  if (existsSync(draft)) rmSync(draft, { force: true })
  written(file, text, draft, () => renameSync(draft, file.path))
}

function written(file: PrivateFile, text: string, draft: string, place: () => void): void {
  try {
    mkdirSync(dirname(file.path), { recursive: true, mode: 0o700 })
    writeDraft(draft, text)
    place()
    syncFolder(dirname(file.path))
  } catch (cause) {
    const defect = `cannot be written (${(cause as NodeJS.ErrnoException).code ?? 'unknown'})`
    throw refuseFile(file, 'unwritable', defect, 'make its folder writable')
  } finally {
    if (existsSync(draft)) rmSync(draft, { force: true })
  }
}

function writeDraft(draft: string, text: string): void {
  const descriptor = openSync(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600)
  try {
    writeSync(descriptor, text)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

// Without this a power cut could leave a database full of sealed keys and no file to open them.
function syncFolder(path: string): void {
  if (process.platform === 'win32') return
  const folder = openSync(path, constants.O_RDONLY)
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

/**
 * Runs what reads the file and replaces it while no other process does: of two that each add a key, the later would
 * otherwise write the earlier's away. Throws `temporarily_unavailable` while another holds it.
 */
export function alone<T>(file: PrivateFile, run: () => T): T {
  const lock = `${file.path}.lock`
  if (!locked(file, lock)) {
    throw new Fault('temporarily_unavailable', `Another process is changing ${file.path}; try again.`, {
      kind: `${file.kind}_busy`,
      path: file.path,
    })
  }
  try {
    return run()
  } finally {
    rmSync(lock, { force: true })
  }
}

function locked(file: PrivateFile, lock: string): boolean {
  if (takes(file, lock)) return true
  const aside = `${lock}.${randomBytes(8).toString('hex')}`
  try {
    takes(file, aside)
    const since = statSync(lock, { throwIfNoEntry: false })?.mtimeMs
    // By the clock of the file system, which all who share the file share.
    if (since !== undefined && statSync(aside).mtimeMs - since < staleMs) return false
    // Renamed before it is removed: of all that find it stale, one alone takes it away.
    if (since !== undefined) renameSync(lock, aside)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause
  } finally {
    rmSync(aside, { force: true })
  }
  return takes(file, lock)
}

function takes(file: PrivateFile, lock: string): boolean {
  try {
    closeSync(openSync(lock, 'wx', 0o600))
    return true
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'EEXIST') return false
    throw refuseFile(file, 'unwritable', `cannot be changed (${code})`, 'make its folder writable')
  }
}
