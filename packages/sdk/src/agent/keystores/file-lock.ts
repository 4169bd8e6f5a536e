// Mutual exclusion between processes through a file that only one of them can create.
import { randomUUID } from 'node:crypto'
import { link, open, readFile, rename, rm, stat, utimes } from 'node:fs/promises'
import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { Fault } from '../../protocol/fault.ts'

/** How often a holder shows that it lives, and after which silence it counts as gone. */
const beatMs = 2_000
const silentMs = 20_000
const pollMs = 25

/** The locks that this process holds now. */
const held = new Set<string>()

interface Owner {
  readonly host: string
  readonly pid: number
  readonly token: string
}

/**
 * Runs `work` while holding the lock at `path`. The lock of a process that ended is taken over: at once where its
 * number shows that it is gone from this machine, otherwise after it was silent for 20 seconds.
 */
export async function withFileLock<T>(path: string, waitMs: number, work: () => Promise<T>): Promise<T> {
  const token = await acquire(path, waitMs)
  const beat = setInterval(() => void touch(path), beatMs)
  beat.unref()
  try {
    return await work()
  } finally {
    clearInterval(beat)
    // Another process may have taken the lock over while this one was suspended: only our own is removed.
    if ((await ownerOf(path))?.token === token) await rm(path, { force: true })
    held.delete(token)
  }
}

async function acquire(path: string, waitMs: number): Promise<string> {
  const token = randomUUID()
  held.add(token)
  const deadline = performance.now() + waitMs
  for (;;) {
    if (await create(path, token)) return token
    if (await isAbandoned(path)) await takeAway(path)
    else if (performance.now() > deadline) {
      held.delete(token)
      throw new Fault(
        'temporarily_unavailable',
        'Another process of this instance holds its keystore; try again.',
        {
          kind: 'keystore_locked',
          path,
        },
      )
    } else await delay(pollMs)
  }
}

async function create(path: string, token: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx', 0o600)
    try {
      await file.writeFile(JSON.stringify({ host: hostname(), pid: process.pid, token } satisfies Owner))
    } finally {
      await file.close()
    }
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}

/** Renamed aside first, so that of several processes which saw the same dead lock exactly one removes it. */
async function takeAway(path: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`
  try {
    await rename(path, aside)
    // A new holder may have come between the look and the rename: its lock is put back.
    if (!(await isAbandoned(aside))) await link(aside, path)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' && codeOf(error) !== 'EEXIST') throw error
  } finally {
    await rm(aside, { force: true })
  }
}

async function isAbandoned(path: string): Promise<boolean> {
  try {
    const { mtimeMs } = await stat(path)
    if (Date.now() - mtimeMs > silentMs) return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
  const owner = await ownerOf(path)
  if (owner === undefined || owner.host !== hostname()) return false
  // In a container the number of the process before is often our own.
  return owner.pid === process.pid ? !held.has(owner.token) : !isAlive(owner.pid)
}

async function ownerOf(path: string): Promise<Owner | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Owner
  } catch (error) {
    // Empty while its holder writes it, or gone: either way it says nothing about an owner.
    if (error instanceof SyntaxError || codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}

async function touch(path: string): Promise<void> {
  const now = new Date()
  await utimes(path, now, now).catch(() => undefined)
}

export function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null ? (error as { code?: unknown }).code : undefined
}
