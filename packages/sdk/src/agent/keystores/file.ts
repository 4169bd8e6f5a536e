// A keystore in a directory of its own: one file of mode 0600, replaced as a whole, shared by processes of one user.
import { constants } from 'node:fs'
import { type FileHandle, lstat, mkdir, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Fault } from '../../protocol/fault.ts'
import { codeOf, withFileLock } from './file-lock.ts'
import type { Keystore } from './keystore.ts'
import {
  activateIn,
  emptyRecord,
  formatRecord,
  heldIn,
  importKey,
  type KeystoreRecord,
  parseRecord,
  stageIn,
} from './record.ts'

const maxBytes = 65_536
/** Longer than a silent lock needs to be taken over. */
const waitMs = 30_000
/** Windows has no modes; there the directory's own access list has to do. */
const hasModes = process.platform !== 'win32'

/**
 * The keystore in `directory`, which is made with mode 0700 where it does not exist. One directory holds one
 * instance: processes that share it are that instance, a copy of it is a fork that the issuer refuses at the next
 * rotation. Every verb throws `invalid_key` where others may read the file or change the directory.
 */
export function fileKeystore({ directory }: { readonly directory: string }): Keystore {
  const file = join(directory, 'keystore.json')
  const change = async <R extends KeystoreRecord>(move: (record: KeystoreRecord) => R): Promise<R> => {
    await prepare(directory)
    return withFileLock(join(directory, 'write.lock'), waitMs, async () => {
      const record = await load(file)
      const next = move(record)
      if (next !== record) await replace(directory, file, formatRecord(next))
      return next
    })
  }
  return {
    async read() {
      await prepare(directory)
      return heldIn(await load(file))
    },
    async stage(purpose) {
      const { staged } = await change(record => stageIn(record, purpose))
      return importKey(staged.jwk)
    },
    async activate(thumbprint, acceptance) {
      await change(record => activateIn(record, thumbprint, acceptance))
    },
    async alone(work) {
      await prepare(directory)
      return withFileLock(join(directory, 'turn.lock'), waitMs, work)
    },
  }
}

async function prepare(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const found = await lstat(directory)
  if (!found.isDirectory()) throw unsafe(directory, 'not_a_directory', 'is not a directory')
  // Whoever may write here may put a key of their own in place of ours.
  checkOwner(found.uid, directory)
  if (hasModes && (found.mode & 0o022) !== 0)
    throw unsafe(directory, 'directory_writable', 'may be changed by others (chmod 700)')
}

async function load(file: string): Promise<KeystoreRecord> {
  let handle: FileHandle
  try {
    // A link could lead to a file of somebody else, so it is not followed.
    handle = await open(file, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0))
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return emptyRecord
    if (codeOf(error) === 'ELOOP') throw unsafe(file, 'a_link', 'is a symbolic link')
    throw error
  }
  try {
    // Judged on the open file, so that it cannot be exchanged between the look and the reading.
    const { uid, mode, size } = await handle.stat()
    checkOwner(uid, file)
    if (hasModes && (mode & 0o077) !== 0)
      throw unsafe(
        file,
        'file_readable',
        'may be read by others (chmod 600); its key may be known: enrol again',
      )
    if (size > maxBytes) throw unsafe(file, 'file_too_large', 'is too large to be a keystore')
    return parseRecord(await handle.readFile('utf8'))
  } finally {
    await handle.close()
  }
}

/** Written aside, made durable, and only then put in place: after a crash there is the old record or the new one. */
async function replace(directory: string, file: string, text: string): Promise<void> {
  const aside = `${file}.new`
  // Left by a process that ended while writing; the lock is ours.
  await rm(aside, { force: true })
  const handle = await open(aside, 'wx', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(aside, file)
  if (!hasModes) return
  const folder = await open(directory, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

function checkOwner(uid: number, path: string): void {
  const own = process.geteuid?.()
  if (own !== undefined && uid !== own) throw unsafe(path, 'foreign_owner', 'belongs to another user')
}

function unsafe(path: string, kind: string, say: string): Fault {
  return new Fault('invalid_key', `The keystore ${path} ${say}.`, { kind, path })
}
