// The root from a passphrase in a file, stretched by argon2id (RFC 9106 §4, second recommended option).
import { argon2, createHash } from 'node:crypto'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { isFault } from '@writ/sdk/protocol/fault'
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
import { away, bounded, forPeople, isCurrent, misspelt, unknownVersion } from './refusals.ts'
import type { SealerKind, SealerSurroundings } from './sealer.ts'

const stretch = promisify(argon2)
/** RFC 9106 §4: 64 MiB, three passes, four lanes. Part of the format: what they make is another key with others. */
const cost = { memory: 65_536, passes: 3, parallelism: 4 }
const saltBytes = 16
// Six words of a list of 7776, or twenty letters of a generator: argon2id does the rest.
const shortest = 20
const longestFile = 4096
const mostLines = 8

const saltShape = /^writ_salt_1_([A-Za-z0-9_-]{22})\n(?:current ([A-Za-z0-9_-]{16})\n)?$/

export const passphrase: SealerKind = {
  scheme: 'passphrase',
  form: 'FILE, of mode 0600, with a passphrase in each line, the newest first',
  because: 'something else brings the passphrase at each start, and nothing on the disk opens the database',
  async open(rest, around) {
    if (rest === '' || rest.includes('\0')) throw misspelt('Name the file: `passphrase:/run/secrets/writ`.')
    const at: PrivateFile = { path: resolve(rest), what: 'passphrase file', kind: 'passphrase' }
    const root = new Passphrases(at, around)
    root.begin()
    await root.current()
    return {
      kind: 'passphrase',
      place: `the passphrase file ${at.path}`,
      current: async () => (await root.current()).id,
      async seal(plain, identity) {
        bounded(plain)
        const sealer = await root.current()
        return { text: sealer.seal(plain, identity), root: sealer.id }
      },
      async open(text, identity) {
        const id = sealerOf(text)
        return (await root.all()).find(sealer => sealer.id === id)?.open(text, identity)
      },
      stage: () => root.waiting(),
      activate: version => root.activate(version),
      retire: version => root.retire(version),
      close: async () => undefined,
    }
  },
}

/**
 * The passphrases of the file, and beside the data the salt and which of them seals: whoever brings the passphrases may
 * bring them read-only. A class, because it keeps what was stretched at some cost.
 */
class Passphrases {
  readonly #at: PrivateFile
  readonly #salt: PrivateFile
  readonly #around: SealerSurroundings
  /** By the hash of salt and passphrase. */
  readonly #stretched = new Map<string, Promise<Sealer>>()

  constructor(at: PrivateFile, around: SealerSurroundings) {
    this.#at = at
    this.#around = around
    this.#salt = { path: join(around.data, 'seal.salt'), what: 'salt of the passphrase', kind: 'seal_salt' }
  }

  /** Makes the salt where nothing was sealed yet; only at the start, for afterwards something may have been. */
  begin(): void {
    this.#lines()
    if (this.#around.hasSealed || readPrivate(this.#salt, longestFile) !== undefined) return
    const salt = Buffer.from(this.#around.randomBytes(saltBytes)).toString('base64url')
    createPrivate(this.#salt, saltText(salt, undefined))
  }

  /** One per line, in the order of the file. */
  async all(): Promise<readonly Sealer[]> {
    const { salt } = this.#remembered()
    return Promise.all(this.#lines().map(line => this.#sealer(line, salt)))
  }

  /** The one that is remembered as current; where none of the file is, the oldest, for only that one was ever used. */
  async current(): Promise<Sealer> {
    const all = await this.all()
    const { active } = this.#remembered()
    const current = all.find(({ id }) => id === active) ?? all.at(-1)
    if (current === undefined) throw new Error('a passphrase file that was read has a line')
    return current
  }

  async waiting(): Promise<string> {
    const [newest] = await this.all()
    if (newest !== undefined && newest.id !== (await this.current()).id) return newest.id
    const say = `Put a new passphrase into ${this.#at.path} as its first line, above the former one, on every node; the rotation then goes on.`
    throw forPeople(say, { path: this.#at.path })
  }

  async activate(version: string): Promise<void> {
    if ((await this.all()).every(({ id }) => id !== version)) throw unknownVersion(version, this.#at.path)
    const { salt, active } = this.#remembered()
    if (active !== version) alone(this.#salt, () => replacePrivate(this.#salt, saltText(salt, version)))
  }

  async retire(version: string): Promise<void> {
    if ((await this.current()).id === version) throw isCurrent(version)
    const all = await this.all()
    const line = all.findIndex(({ id }) => id === version)
    if (line === -1) return
    // Before the line goes, so that the oldest line is never taken for the current one.
    await this.activate((await this.current()).id)
    try {
      alone(this.#at, () => {
        const lines = this.#lines()
        // Somebody may have edited the file meanwhile: what is removed is the line that was looked at.
        if (lines.length !== all.length)
          throw refuseFile(this.#at, 'changed', 'was just changed', 'try again')
        replacePrivate(this.#at, `${lines.filter((_, index) => index !== line).join('\n')}\n`)
      })
    } catch (cause) {
      if (!isFault(cause) || cause.why?.kind !== 'passphrase_unwritable') throw cause
      const say = `Remove line ${line + 1} of ${this.#at.path} on every node: nothing is sealed with it any more.`
      throw forPeople(say, { path: this.#at.path, line: line + 1 })
    }
  }

  #lines(): readonly string[] {
    const text = readPrivate(this.#at, longestFile)
    if (text === undefined) {
      throw away(`The passphrase file ${this.#at.path} is not there: bring it, and the server opens.`, {
        path: this.#at.path,
      })
    }
    const lines = text.replace(/\n$/, '').split('\n')
    const wrong = lines.findIndex(line => line.length < shortest || line !== line.trim())
    if (wrong !== -1) {
      const remedy = `write at least ${shortest} characters in each line, with no space before or after`
      throw refuseFile(this.#at, 'malformed', `holds no passphrase in line ${wrong + 1}`, remedy)
    }
    if (lines.length > mostLines || new Set(lines).size !== lines.length) {
      const remedy = `keep at most ${mostLines}, each once`
      throw refuseFile(this.#at, 'malformed', 'holds too many passphrases, or one twice', remedy)
    }
    return lines
  }

  #sealer(line: string, salt: string): Promise<Sealer> {
    const name = createHash('sha256').update(`${salt} ${line}`, 'latin1').digest('base64url')
    const known = this.#stretched.get(name)
    if (known !== undefined) return known
    const message = Buffer.from(line, 'latin1')
    const stretching = stretch('argon2id', {
      ...cost,
      message,
      nonce: Buffer.from(salt, 'base64url'),
      tagLength: keyBytes,
    }).then(key => aesGcmSealer(new Secret<Uint8Array>(key)))
    this.#stretched.set(name, stretching)
    return stretching
  }

  #remembered(): { readonly salt: string; readonly active: string | undefined } {
    const text = readPrivate(this.#salt, longestFile)
    if (text === undefined) {
      const say = `The salt ${this.#salt.path} is missing, but the database holds keys that were sealed with it: copy this file from another node, or from a backup.`
      throw away(say, { path: this.#salt.path })
    }
    const [, salt, active] = saltShape.exec(text) ?? []
    if (salt === undefined || Buffer.from(salt, 'base64url').toString('base64url') !== salt) {
      throw refuseFile(this.#salt, 'malformed', 'is not as it was written', 'copy it from another node')
    }
    return { salt, active }
  }
}

function saltText(salt: string, active: string | undefined): string {
  return `writ_salt_1_${salt}\n${active === undefined ? '' : `current ${active}\n`}`
}
