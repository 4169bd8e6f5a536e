// The root in a file of mode 0600: a 256-bit key per line, the one that seals first (NIST SP 800-38D, SP 800-57 §5.3).
import { join, resolve } from 'node:path'
import { Fault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import { aesGcmSealer, keyBytes, sealerOf } from '../../keys/aes-gcm.ts'
import type { Sealer } from '../../keys/sealer.ts'
import {
  alone,
  createPrivate,
  type PrivateFile,
  readPrivate,
  refuseFile,
  replacePrivate,
} from './private-file.ts'
import { away, bounded, isCurrent, unknownVersion } from './refusals.ts'
import type { RootSealer, SealerKind, SealerSurroundings } from './sealer.ts'

// The prefix lets a secret scanner find a copy that went astray.
const prefix = 'writ_seal_1_'
// After the key, which rotation made it, and whether it waits: `writ_seal_1_… staged rot_…`, later `… since rot_…`.
const shape = /^writ_seal_1_([A-Za-z0-9_-]{43})(?: (staged|since) ([\x21-\x7e]{1,128}))?$/
const mostKeys = 16
const longestFile = 4096

interface Line {
  readonly key: string
  readonly sealer: Sealer
  readonly mark: 'staged' | 'since' | undefined
  readonly rotation: string | undefined
}

const copyIt =
  'copy this file from the node that made the keys, or from a backup; without it they cannot be opened'

export const file: SealerKind = {
  scheme: 'file',
  form: 'PATH, or nothing for `seal.key` in the folder of the data',
  because: 'the default: nothing to run, and as safe as the file and its backup',
  async open(rest, around) {
    const path = rest === '' ? join(around.data, 'seal.key') : resolve(rest)
    if (path.includes('\0')) throw new Fault('invalid_value', 'The path of a key file has no null character.')
    return openKeyFile({ path, what: 'sealing key', kind: 'seal_key' }, around)
  },
}

async function openKeyFile(at: PrivateFile, around: SealerSurroundings): Promise<RootSealer> {
  // The count of messages of each key goes on over every reading of the file.
  const sealers = new Map<string, Sealer>()
  const lines = (): Line[] | undefined => {
    const text = readPrivate(at, longestFile)
    return text === undefined ? undefined : parse(at, text, sealers)
  }
  // Read at every call: they are few, and so all who share the file follow what one of them changes.
  const held = (): Line[] => {
    const found = lines()
    if (found === undefined) throw missing(at)
    return found
  }
  if (lines() === undefined && !around.hasSealed) createPrivate(at, write([prefix + newKey(around)]))
  held()
  const change = (become: (now: Line[]) => readonly string[] | undefined): void =>
    alone(at, () => {
      const next = become(held())
      if (next !== undefined) replacePrivate(at, write(next))
    })
  return {
    kind: 'file',
    place: `the key file ${at.path}`,
    ...sealing(held),
    ...rotating(at, { held, change, around }),
  }
}

function sealing(held: () => Line[]): Pick<RootSealer, 'current' | 'seal' | 'open'> {
  return {
    current: async () => currentOf(held()).sealer.id,
    async seal(plain, identity) {
      bounded(plain)
      const { sealer } = currentOf(held())
      return { text: sealer.seal(plain, identity), root: sealer.id }
    },
    async open(text, identity) {
      const id = sealerOf(text)
      return held()
        .find(({ sealer }) => sealer.id === id)
        ?.sealer.open(text, identity)
    },
  }
}

interface Held {
  readonly held: () => Line[]
  readonly change: (become: (now: Line[]) => readonly string[] | undefined) => void
  readonly around: SealerSurroundings
}

function rotating(
  at: PrivateFile,
  { held, change, around }: Held,
): Pick<RootSealer, 'stage' | 'activate' | 'retire' | 'close'> {
  return {
    async stage(rotation) {
      let id: string | undefined
      change(now => {
        const made = now.find(line => line.rotation === rotation)
        id = made?.sealer.id
        if (made !== undefined) return undefined
        const waiting = now.find(({ mark }) => mark === 'staged')
        if (waiting === undefined && now.length >= mostKeys) {
          throw refuseFile(
            at,
            'full',
            `holds ${mostKeys} keys already`,
            'let the former ones be retired first',
          )
        }
        const key = waiting?.key ?? newKey(around)
        id = sealerIn(key).id
        return [...now.filter(line => line !== waiting).map(written), `${prefix}${key} staged ${rotation}`]
      })
      if (id === undefined) throw new Error('a staged key has an id')
      return id
    },
    async activate(version) {
      if (currentOf(held()).sealer.id === version) return
      change(now => {
        const next = now.find(({ sealer }) => sealer.id === version)
        if (next === undefined) throw unknownVersion(version, at.path)
        const since = next.rotation === undefined ? '' : ` since ${next.rotation}`
        return [`${prefix}${next.key}${since}`, ...now.filter(line => line !== next).map(written)]
      })
    },
    async retire(version) {
      if (held().every(({ sealer }) => sealer.id !== version)) return
      change(now => {
        if (currentOf(now).sealer.id === version) throw isCurrent(version)
        return now.filter(({ sealer }) => sealer.id !== version).map(written)
      })
    },
    close: async () => undefined,
  }
}

function parse(at: PrivateFile, text: string, sealers: Map<string, Sealer>): Line[] {
  const lines = text.replace(/\n$/, '').split('\n')
  const parsed = lines.map((line): Line => {
    const [, key, mark, rotation] = shape.exec(line) ?? []
    const bytes = key === undefined ? undefined : Buffer.from(key, 'base64url')
    // 43 characters carry two bits more than 32 bytes: another spelling of the same key is not taken for it.
    if (key === undefined || bytes?.length !== keyBytes || bytes.toString('base64url') !== key) {
      throw refuseFile(at, 'malformed', 'does not hold a sealing key of this version', copyIt)
    }
    const sealer = sealers.get(key) ?? sealerIn(key)
    sealers.set(key, sealer)
    return { key, sealer, mark: mark as Line['mark'], rotation }
  })
  const twice = new Set(parsed.map(({ key }) => key)).size !== parsed.length
  // A key that waits never stands first: nobody sealed with it yet, and nobody may begin to by accident.
  if (twice || parsed[0]?.mark === 'staged' || parsed.length > mostKeys) {
    throw refuseFile(at, 'malformed', 'does not hold its keys as they were written', copyIt)
  }
  return parsed
}

function currentOf(lines: readonly Line[]): Line {
  const [first] = lines
  if (first === undefined) throw new Error('a parsed key file has a first line')
  return first
}

function written({ key, mark, rotation }: Line): string {
  return mark === undefined ? prefix + key : `${prefix}${key} ${mark} ${rotation}`
}

function newKey({ randomBytes }: SealerSurroundings): string {
  return Buffer.from(randomBytes(keyBytes)).toString('base64url')
}

function sealerIn(key: string): Sealer {
  return aesGcmSealer(new Secret<Uint8Array>(Buffer.from(key, 'base64url')))
}

const write = (lines: readonly string[]): string => `${lines.join('\n')}\n`

function missing(at: PrivateFile): Fault {
  return away(
    `The sealing key ${at.path} is missing, but the database holds keys that were sealed with it: ${copyIt}.`,
    { path: at.path },
  )
}
