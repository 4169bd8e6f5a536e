// Sealing by a key in a file of mode 0600: AES-256-GCM with the record's identity bound in (NIST SP 800-38D, RFC 5116).
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  type Stats,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { Fault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import { aesGcmSealer, keyBytes, sealerOf } from '../aes-gcm.ts'
import type { Sealer } from '../sealer.ts'

// The prefix lets a secret scanner find a copy that went astray.
const prefix = 'writ_seal_1_'
const shape = /^writ_seal_1_([A-Za-z0-9_-]{43})\n?$/
const longestFile = 64
const othersMayRead = 0o077

export interface KeyFile {
  readonly path: string
  /** What the store holds sealed already; with any of it, no new key is ever made. */
  readonly sealed: readonly string[]
}

/**
 * The sealer of the key in the file; makes the file where nothing has been sealed yet. Throws a `server_error` that
 * names the file and what to do where it cannot be trusted, is missing, or is not the one that sealed what is stored.
 */
export function openKeyFile({ path, sealed }: KeyFile): Sealer {
  let key = readKey(path)
  if (key === undefined) {
    if (sealed.length > 0) {
      throw refuse(path, 'missing', 'is missing, but the database holds keys that were sealed with it')
    }
    createKey(path)
    key = readKey(path)
    if (key === undefined) throw refuse(path, 'vanished', 'was made and has vanished')
  }
  const sealer = aesGcmSealer(key)
  const strange = sealed.find(text => sealerOf(text) !== sealer.id)
  if (strange !== undefined) {
    throw refuse(path, 'other', 'holds another key than the one that sealed the keys in the database')
  }
  return sealer
}

const copyIt =
  'copy this file from the node that made the keys, or from a backup; without it they cannot be opened'

function refuse(path: string, kind: string, what: string, remedy = copyIt): Fault {
  return new Fault('server_error', `The sealing key ${path} ${what}: ${remedy}.`, {
    kind: `seal_key_${kind}`,
    path,
  })
}

/** The key in the file, or undefined where there is no file. */
function readKey(path: string): Secret<Uint8Array> | undefined {
  const file = openExisting(path)
  if (file === undefined) return undefined
  try {
    // All is asked of the open file, so that nobody can put another in its place between the check and the reading.
    refuseUntrusted(path, fstatSync(file))
    const bytes = Buffer.alloc(longestFile + 1)
    const length = readSync(file, bytes, 0, bytes.length, 0)
    const text = shape.exec(bytes.toString('latin1', 0, length))?.[1]
    bytes.fill(0)
    const key = text === undefined ? undefined : Buffer.from(text, 'base64url')
    // 43 characters carry two bits more than 32 bytes: another spelling of the same key is not taken for it.
    if (key === undefined || key.length !== keyBytes || key.toString('base64url') !== text) {
      throw refuse(path, 'malformed', 'does not hold a sealing key of this version')
    }
    return new Secret<Uint8Array>(key)
  } finally {
    closeSync(file)
  }
}

function openExisting(path: string): number | undefined {
  try {
    // A link would let whoever may write beside it choose the key; a pipe would make the start hang.
    return openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0))
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    if (code === 'ELOOP' || code === 'EMLINK') {
      throw refuse(path, 'link', 'is a symbolic link', 'put the file itself there')
    }
    throw refuse(
      path,
      'unreadable',
      `cannot be read (${code ?? 'unknown'})`,
      'make it readable for this user',
    )
  }
}

function refuseUntrusted(path: string, stats: Stats): void {
  if (!stats.isFile()) throw refuse(path, 'not_a_file', 'is not a regular file', 'put the file itself there')
  // Windows has no such bits: every file there shows them set.
  if (process.platform === 'win32') return
  if ((stats.mode & othersMayRead) !== 0) {
    const mode = (stats.mode & 0o777).toString(8).padStart(4, '0')
    throw refuse(path, 'exposed', `is open to others (mode ${mode})`, `run chmod 600 ${path}`)
  }
  const own = process.geteuid?.()
  if (own !== undefined && stats.uid !== own && stats.uid !== 0) {
    throw refuse(
      path,
      'foreign',
      'belongs to another user',
      'make it belong to the user that runs this process',
    )
  }
}

/**
 * Makes the file whole or not at all: written and synced under a name of its own, then linked to its place, where a
 * file of another process that came first stays.
 */
function createKey(path: string): void {
  const draft = `${path}.${randomBytes(8).toString('hex')}`
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    writeDraft(draft)
    linkSync(draft, path)
    syncFolder(dirname(path))
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'EEXIST') return
    throw refuse(path, 'unwritable', `cannot be made (${code ?? 'unknown'})`, 'make its folder writable')
  } finally {
    rmSync(draft, { force: true })
  }
}

function writeDraft(draft: string): void {
  const file = openSync(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600)
  try {
    writeSync(file, `${prefix}${randomBytes(keyBytes).toString('base64url')}\n`)
    fsyncSync(file)
  } finally {
    closeSync(file)
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
