// The operator file as a keystore, so that its key is rotated like that of every other instance; and crash by crash.
import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Acceptance, Held, Keystore } from '@writ/sdk/agent'
import { Fault } from '@writ/sdk/protocol/fault'
import { generateKeyPair, importPrivate, type PrivateJwk, type SignKey } from '@writ/sdk/protocol/jwk'
import { Secret } from '@writ/sdk/protocol/secret'
import { operatorFile, waitingOperatorFile } from '../../compose/places.ts'

interface Written {
  readonly issuer: string
  readonly client_id: string
  readonly jwk: PrivateJwk
}

/** The successor while it waits: beside the operator file, which keeps the form of the contract. */
interface Waiting {
  readonly purpose: string
  readonly instance: string
  readonly jwk: PrivateJwk
}

/**
 * `instance` is needed to begin a rotation, not to go on with one. Turns are not kept: two rotations at once find the
 * same waiting key, and each is the retry of the other.
 */
export function operatorKeystore(data: string, instance?: string): Keystore {
  const path = operatorFile(data)
  const aside = waitingOperatorFile(data)
  return {
    read: async () => heldIn(readJson<Written>(path), readJson<Waiting>(aside), instance),
    async stage(purpose) {
      const waiting = readJson<Waiting>(aside)
      if (waiting?.purpose === purpose) return keyOf(waiting.jwk)
      const jwk = generateKeyPair('ES256').secret.reveal()
      replace(aside, { purpose, instance: instance ?? waiting?.instance ?? '', jwk })
      return keyOf((readJson<Waiting>(aside) ?? { jwk }).jwk)
    },
    async activate(thumbprint, { issuer, clientId }: Acceptance) {
      const waiting = readJson<Waiting>(aside)
      const active = readJson<Written>(path)
      if (waiting !== undefined && keyOf(waiting.jwk).jkt === thumbprint) {
        replace(path, { issuer, client_id: clientId, jwk: waiting.jwk })
        rmSync(aside, { force: true })
      } else if (active === undefined || keyOf(active.jwk).jkt !== thumbprint) {
        throw new Fault('conflict', 'The operator file was changed while its key was rotated.', {
          kind: 'other_key',
        })
      }
    },
    alone: work => work(),
  }
}

function heldIn(written: Written | undefined, waiting: Waiting | undefined, instance?: string): Held {
  if (written === undefined) return { member: undefined, active: undefined, staged: undefined }
  const key = keyOf(written.jwk)
  return {
    member: {
      issuer: written.issuer,
      clientId: written.client_id,
      instance: instance ?? waiting?.instance ?? '',
      // It came by the first start, and by no token.
      enrollment: '',
    },
    active: { key, kid: key.jwk.kid ?? key.jkt, notBefore: 0, expiresAt: null },
    staged: waiting && { key: keyOf(waiting.jwk), purpose: waiting.purpose },
  }
}

const keyOf = (jwk: PrivateJwk): SignKey => importPrivate(new Secret(jwk))

function readJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Whole or not at all, and on the disk before anybody rests on it. */
function replace(path: string, value: unknown): void {
  const draft = `${path}.${randomBytes(6).toString('hex')}.new`
  const file = openSync(draft, 'wx', 0o600)
  try {
    writeSync(file, `${JSON.stringify(value, null, 2)}\n`)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(draft, path)
  if (process.platform === 'win32') return
  const folder = openSync(dirname(path), 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
