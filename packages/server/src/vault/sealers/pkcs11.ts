// The root in a hardware module: an AES-256 key that never leaves its token, by PKCS #11 with an RFC 7512 URI.
import { createHash } from 'node:crypto'
import { isAbsolute } from 'node:path'
import { isFault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import { openSession, type Session, type TokenAddress, type TokenKey } from './cryptoki.ts'
import { type PrivateFile, readPrivate } from './private-file.ts'
import { away, bounded, isCurrent, misspelt, unknownVersion, unusable } from './refusals.ts'
import { associated, lengthened, parseText } from './sealed-text.ts'
import type { RootSealer, SealerKind, SealerSurroundings } from './sealer.ts'

const nonceBytes = 12
const orderBytes = 4
const idBytes = 16
const longestPin = 256

export const pkcs11: SealerKind = {
  scheme: 'pkcs11',
  form: 'an RFC 7512 URI: `token=NAME;object=NAME?module-path=FILE&pin-source=FILE`',
  because: 'the root is kept by a hardware security module, and nothing can take it out',
  async open(rest, around) {
    const setting = parseUri(rest)
    const token = new Token(setting, around)
    await token.run(session => token.first(session))
    return {
      kind: 'pkcs11',
      place: `the token ${setting.token}, object ${setting.object}`,
      current: () => token.run(async session => token.versionOf(await token.current(session))),
      seal: (plain, identity) => token.run(session => token.seal(session, plain, identity)),
      open: (text, identity) => token.run(session => token.opened(session, text, identity)),
      stage: rotation => token.run(session => token.stage(session, rotation)),
      activate: version => token.run(session => token.activate(session, version)),
      retire: version => token.run(session => token.retire(session, version)),
      close: () => token.close(),
    } satisfies RootSealer
  },
}

interface Setting extends TokenAddress {
  readonly object: string
}

/** RFC 7512 §2.3: attributes of the path end in semicolons, those of the query in ampersands, all percent-encoded. */
function parseUri(rest: string): Setting {
  const [path = '', query = '', ...more] = rest.split('?')
  const parts = [...pairs(path, ';'), ...pairs(query, '&')]
  const known = new Map(parts)
  const strange = parts.find(([name]) => !['token', 'object', 'module-path', 'pin-source'].includes(name))
  if (strange?.[0] === 'pin-value')
    throw misspelt('A PIN does not stand in a setting: name a file, `pin-source=FILE`.')
  if (strange !== undefined || more.length > 0 || known.size !== parts.length) {
    throw misspelt('A pkcs11 sealer takes token, object, module-path and pin-source, each once.')
  }
  const [token, object, module, source] = ['token', 'object', 'module-path', 'pin-source'].map(name =>
    known.get(name),
  )
  // RFC 7512 §2.4: a pin-source may be a path or a file URI; this one is not executed.
  const pinFile = source?.replace(/^file:(?:\/\/(?=\/))?/, '')
  if (!token || !object || !module || !pinFile || object.length > 48) {
    throw misspelt('A pkcs11 sealer names its token, its object, its module-path and its pin-source.')
  }
  if (!isAbsolute(module) || !isAbsolute(pinFile))
    throw misspelt('module-path and pin-source are absolute paths.')
  const at: PrivateFile = { path: pinFile, what: 'PIN file', kind: 'pkcs11_pin' }
  return { token, object, module, pin: () => readPin(at) }
}

function pairs(text: string, separator: string): [name: string, value: string][] {
  return text
    .split(separator)
    .filter(part => part !== '')
    .map(part => {
      const at = part.indexOf('=')
      if (at < 1) throw misspelt('A pkcs11 URI consists of names and values, `token=NAME;object=NAME?…`.')
      return [part.slice(0, at), decoded(part.slice(at + 1))]
    })
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    if (cause instanceof URIError) throw misspelt('A pkcs11 URI has its special characters percent-encoded.')
    throw cause
  }
}

function readPin(at: PrivateFile): Buffer {
  const text = readPrivate(at, longestPin)
  if (text === undefined) throw away(`The PIN file ${at.path} is not there: bring it.`, { path: at.path })
  return Buffer.from(text.replace(/\r?\n$/, ''), 'latin1')
}

/**
 * What the token holds is the whole state, so that every node sees the same. Keys under the label of the setting are
 * versions, the latest of which seals; a staged one waits under a label of its own, and one call gives it the right one.
 * The id of a key that is made here begins with its order.
 */
class Token {
  readonly #setting: Setting
  readonly #around: SealerSurroundings
  #session: Session | undefined
  #turn: Promise<unknown> = Promise.resolve()

  constructor(setting: Setting, around: SealerSurroundings) {
    this.#setting = setting
    this.#around = around
  }

  /** One at a time: a session has room for one operation, and finding and making a key belong together. */
  run<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const done = this.#turn.then(async () => {
      this.#session ??= await openSession(this.#setting)
      try {
        return await work(this.#session)
      } catch (error) {
        // What could not be done may have left an operation behind, or the session may be gone with its token.
        if (!isFault(error) || error.code === 'temporarily_unavailable') await this.#drop()
        throw error
      }
    })
    this.#turn = done.then(
      () => undefined,
      () => undefined,
    )
    return done
  }

  async close(): Promise<void> {
    await this.#turn
    await this.#drop()
  }

  async #drop(): Promise<void> {
    const session = this.#session
    this.#session = undefined
    await session?.close()
  }

  versionOf({ id }: Pick<TokenKey, 'id'>): string {
    // The serial number is left out: a token that was restored from its backup has another one, and the same keys.
    const named = [this.#setting.token, this.#setting.object, id.toString('hex')]
    return `pkcs11:${createHash('sha256').update(lengthened(named)).digest('base64url').slice(0, 22)}`
  }

  /** The versions in use, latest first, then the one that waits. */
  async #all(session: Session): Promise<{ readonly used: TokenKey[]; readonly waiting: TokenKey[] }> {
    const { object } = this.#setting
    const used = (await session.keys(object)).sort((a, b) => orderOf(b) - orderOf(a))
    const waiting = await session.keys(`${object}.next`)
    const versions = [...used, ...waiting].map(key => this.versionOf(key))
    const tied = used[1] !== undefined && used[0] !== undefined && orderOf(used[0]) === orderOf(used[1])
    if (new Set(versions).size !== versions.length || tied) {
      const say = `The token ${this.#setting.token} holds several keys ${object}, and nothing says which of them seals: remove the ones that are not the root.`
      throw unusable(say, { object })
    }
    return { used, waiting }
  }

  /** Makes the first key where nothing was sealed yet. */
  async first(session: Session): Promise<void> {
    const { used } = await this.#all(session)
    if (used.length > 0) return
    if (this.#around.hasSealed) throw this.#none()
    const random = this.#around.randomBytes(idBytes - orderBytes)
    await session.generate(this.#setting.object, Buffer.concat([orderOfNumber(1), random]))
  }

  #none(): Error {
    const { token, object } = this.#setting
    const say = `The token ${token} holds no AES key ${object}: bring the token that sealed what the database holds.`
    return unusable(say, { token, object })
  }

  async current(session: Session): Promise<TokenKey> {
    const { used } = await this.#all(session)
    const [latest] = used
    if (latest === undefined) throw this.#none()
    return latest
  }

  async seal(
    session: Session,
    plain: Secret<Uint8Array>,
    identity: string,
  ): Promise<{ text: string; root: string }> {
    bounded(plain)
    const key = await this.current(session)
    const root = this.versionOf(key)
    const iv = Buffer.from(this.#around.randomBytes(nonceBytes))
    const aad = associated(root, identity)
    const made = await session.encrypt(key, { iv, data: plain.reveal(), aad })
    return { text: [root, iv.toString('base64url'), made.toString('base64url')].join('.'), root }
  }

  async opened(session: Session, text: string, identity: string): Promise<Secret<Uint8Array> | undefined> {
    const parsed = parseText(text, nonceBytes)
    if (parsed === undefined) return undefined
    const { used } = await this.#all(session)
    const key = used.find(each => this.versionOf(each) === parsed.root)
    if (key === undefined) return undefined
    const aad = associated(parsed.root, identity)
    const plain = await session.decrypt(key, { iv: parsed.nonce, data: parsed.sealed, aad })
    if (plain === 'unclear') await this.#prove(session, key)
    return typeof plain === 'string' ? undefined : new Secret<Uint8Array>(plain)
  }

  /**
   * SoftHSM 2.6 says GENERAL_ERROR for a tag that does not match, which may also be a module that is broken: it is the
   * text that was wrong only if the same key still seals and opens.
   */
  async #prove(session: Session, key: TokenKey): Promise<void> {
    const [iv, aad] = [Buffer.from(this.#around.randomBytes(nonceBytes)), associated('probe', '')]
    const data = await session.encrypt(key, { iv, data: Buffer.from('probe'), aad })
    const plain = await session.decrypt(key, { iv, data, aad })
    if (typeof plain === 'string' || plain.toString() !== 'probe') {
      throw away(`The token ${this.#setting.token} does not decrypt now.`, { token: this.#setting.token })
    }
  }

  async stage(session: Session, rotation: string): Promise<string> {
    const { used, waiting } = await this.#all(session)
    const part = createHash('sha256')
      .update(rotation)
      .digest()
      .subarray(0, idBytes - orderBytes)
    const made = [...used, ...waiting].find(
      ({ id }) => id.length === idBytes && id.subarray(orderBytes).equals(part),
    )
    const found = made ?? waiting[0]
    if (found !== undefined) return this.versionOf(found)
    const [latest] = used
    if (latest === undefined) throw this.#none()
    const id = Buffer.concat([orderOfNumber(orderOf(latest) + 1), part])
    await session.generate(`${this.#setting.object}.next`, id)
    return this.versionOf({ id })
  }

  async activate(session: Session, version: string): Promise<void> {
    const { used, waiting } = await this.#all(session)
    if (used[0] !== undefined && this.versionOf(used[0]) === version) return
    const next = waiting.find(key => this.versionOf(key) === version)
    if (next === undefined) throw unknownVersion(version, `the token ${this.#setting.token}`)
    await session.relabel(next, this.#setting.object)
  }

  async retire(session: Session, version: string): Promise<void> {
    const { used, waiting } = await this.#all(session)
    if (used[0] !== undefined && this.versionOf(used[0]) === version) throw isCurrent(version)
    const gone = [...used, ...waiting].find(key => this.versionOf(key) === version)
    if (gone !== undefined) await session.destroy(gone)
  }
}

/** Keys that somebody else made come before all that were made here. */
function orderOf({ id }: TokenKey): number {
  return id.length === idBytes ? id.readUInt32BE(0) : 0
}

function orderOfNumber(order: number): Buffer {
  const bytes = Buffer.alloc(orderBytes)
  bytes.writeUInt32BE(order)
  return bytes
}
