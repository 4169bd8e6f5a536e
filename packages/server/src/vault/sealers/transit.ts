// The root in the Transit engine of HashiCorp Vault or OpenBao, over its HTTP API; the key never leaves the service.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { Secret } from '@writ/sdk/protocol/secret'
import { type Answer, type Asking, openHttps } from './https-json.ts'
import { type PrivateFile, readPrivate } from './private-file.ts'
import { away, bounded, isCurrent, misspelt, unknownVersion, unusable } from './refusals.ts'
import { associated, lengthened } from './sealed-text.ts'
import type { RootSealer, SealerKind } from './sealer.ts'

const longestToken = 4096
const loopback = new Set(['127.0.0.1', '[::1]', 'localhost'])
const rootShape = /^transit:[A-Za-z0-9_-]{16}:([1-9][0-9]{0,8})$/
const cipherShape = /^vault:v([1-9][0-9]{0,8}):([A-Za-z0-9+/]+={0,2})$/
/** What Transit says of a text that it did not make, or that it may not open any more. */
const notOurs = /message authentication failed|invalid ciphertext|disallowed by policy|no such key version/

export const transit: SealerKind = {
  scheme: 'transit',
  form: 'the address of the key: `https://HOST/v1/MOUNT/keys/NAME?token-file=FILE`, with `namespace` and `ca-file` if needed',
  because: 'the company runs HashiCorp Vault or OpenBao, and the root shall stay there',
  async open(rest) {
    const root = new Transit(parseAddress(rest))
    await root.ready()
    return {
      kind: 'transit',
      place: root.place,
      current: async () => {
        const key = await root.key()
        return root.versionOf(key, key.current)
      },
      seal: (plain, identity) => root.seal(plain, identity),
      open: (text, identity) => root.opened(text, identity),
      stage: () => root.stage(),
      activate: version => root.activate(version),
      retire: version => root.retire(version),
      close: async () => root.close(),
    } satisfies RootSealer
  },
}

interface Address {
  readonly url: URL
  readonly mount: string
  readonly name: string
  readonly token: PrivateFile
  readonly namespace: string | undefined
  readonly ca: string | undefined
}

function parseAddress(rest: string): Address {
  if (!URL.canParse(rest))
    throw misspelt('A transit sealer is the address of a key, `https://HOST/v1/MOUNT/keys/NAME`.')
  const url = new URL(rest)
  const { protocol, hostname, pathname, searchParams, username, password, hash } = url
  if (protocol !== 'https:' && !(protocol === 'http:' && loopback.has(hostname))) {
    throw misspelt('A transit sealer is reached by https, or by http on this machine alone.')
  }
  const [, mount, name] =
    /^\/v1\/([A-Za-z0-9_.-]+(?:\/[A-Za-z0-9_.-]+)*)\/keys\/([A-Za-z0-9_.-]+)$/.exec(pathname) ?? []
  const names = [...searchParams.keys()]
  const known = names.every(each => ['token-file', 'namespace', 'ca-file'].includes(each))
  if (mount === undefined || name === undefined || username || password || hash) {
    throw misspelt(
      'The path of a transit sealer is /v1/MOUNT/keys/NAME, and no credentials stand in its address.',
    )
  }
  const path = searchParams.get('token-file')
  const ca = searchParams.get('ca-file') ?? undefined
  if (
    !known ||
    new Set(names).size !== names.length ||
    path === null ||
    ![path, ca ?? '/'].every(isAbsolute)
  ) {
    throw misspelt(
      'A transit sealer takes token-file, namespace and ca-file, each once; files by absolute paths.',
    )
  }
  const token: PrivateFile = { path, what: 'token file', kind: 'transit_token' }
  return { url, mount, name, token, namespace: searchParams.get('namespace') ?? undefined, ca }
}

/** The key as Transit describes it. */
interface TransitKey {
  /** When each version was made, epoch seconds; those that may not be used any more are missing. */
  readonly madeAt: ReadonlyMap<number, number>
  readonly latest: number
  readonly current: number
  readonly oldest: number
}

/**
 * Which version seals is what Transit itself keeps as the lowest one to encrypt with, so that every node sees the same,
 * and a version that somebody made by hand waits until a rotation takes it.
 */
class Transit {
  readonly #address: Address
  readonly #http: ReturnType<typeof openHttps>
  readonly place: string

  constructor(address: Address) {
    this.#address = address
    const ca = address.ca === undefined ? undefined : readAuthority(address.ca)
    this.#http = openHttps(address.url, ca)
    this.place = `the Transit key ${address.name} at ${address.url.host}`
  }

  close(): void {
    this.#http.close()
  }

  /** That the key is there, can only be used, and binds a text to its record: older Vaults ignore what they do not know. */
  async ready(): Promise<void> {
    const key = await this.key()
    const made = await this.#encrypt(key.current, Buffer.from('probe'), associated('probe', 'a'))
    if ((await this.#decrypt(made, associated('probe', 'b'))) !== undefined) {
      throw unusable(
        `${this.place} does not authenticate associated_data; it needs Vault 1.9 or OpenBao.`,
        {},
      )
    }
  }

  /** Pins the version that seals where nobody has: one that is made by hand would otherwise seal at once. */
  async key(): Promise<TransitKey> {
    const data = await this.#data({ method: 'GET', path: 'keys' })
    const { latest_version: latest, min_encryption_version: lowest, min_decryption_version: oldest } = data
    if (data['type'] !== 'aes256-gcm96' || data['derived'] === true || data['exportable'] === true) {
      const say = `${this.place} has to be of the type aes256-gcm96, neither derived nor exportable: make another one.`
      throw unusable(say, { type: data['type'] })
    }
    if (!isVersion(latest) || !isVersion(oldest) || typeof lowest !== 'number') throw this.#strange('keys')
    if (lowest === 0) await this.#data({ path: 'config', body: { min_encryption_version: latest } })
    const madeAt = new Map(
      Object.entries((data['keys'] ?? {}) as Record<string, unknown>).map(([at, made]) => [
        Number(at),
        Number(made),
      ]),
    )
    return { madeAt, latest, current: lowest === 0 ? latest : lowest, oldest }
  }

  /** By the key and the instant its version was made, which a service that was moved or restored still knows. */
  versionOf({ madeAt }: TransitKey, version: number): string {
    const named = [this.#address.mount, this.#address.name, String(madeAt.get(version))]
    const hash = createHash('sha256').update(lengthened(named)).digest('base64url').slice(0, 16)
    return `transit:${hash}:${version}`
  }

  async seal(plain: Secret<Uint8Array>, identity: string): Promise<{ text: string; root: string }> {
    bounded(plain)
    const key = await this.key()
    const root = this.versionOf(key, key.current)
    const cipher = await this.#encrypt(key.current, plain.reveal(), associated(root, identity))
    return { text: `${root}.${cipher.slice(cipher.lastIndexOf(':') + 1)}`, root }
  }

  async opened(text: string, identity: string): Promise<Secret<Uint8Array> | undefined> {
    const [root = '', cipher = '', ...more] = text.length < 16_384 ? text.split('.') : []
    const version = rootShape.exec(root)?.[1]
    const whole = `vault:v${version}:${cipher}`
    // One text has one spelling; the decoder at the other end would take several.
    if (version === undefined || more.length > 0 || !isCanonical(whole)) return undefined
    const plain = await this.#decrypt(whole, associated(root, identity))
    return plain && new Secret<Uint8Array>(plain)
  }

  async stage(): Promise<string> {
    const key = await this.key()
    if (key.latest > key.current) return this.versionOf(key, key.latest)
    await this.#data({ path: 'rotate', body: {} })
    const after = await this.key()
    return this.versionOf(after, after.latest)
  }

  async activate(root: string): Promise<void> {
    const key = await this.key()
    const version = this.#numberOf(key, root)
    if (version === undefined) throw unknownVersion(root, this.place)
    if (version !== key.current)
      await this.#data({ path: 'config', body: { min_encryption_version: version } })
  }

  /** Versions end in the order in which they were made. One that was staged and given up waits for the next rotation. */
  async retire(root: string): Promise<void> {
    const key = await this.key()
    const version = this.#numberOf(key, root)
    if (version === key.current) throw isCurrent(root)
    if (version === undefined || version > key.current) return
    await this.#data({ path: 'config', body: { min_decryption_version: version + 1 } })
  }

  #numberOf(key: TransitKey, root: string): number | undefined {
    const version = Number(rootShape.exec(root)?.[1] ?? 0)
    return version >= key.oldest && this.versionOf(key, version) === root ? version : undefined
  }

  async #encrypt(version: number, plain: Uint8Array, aad: Buffer): Promise<string> {
    // A letter ahead: some versions take no empty plaintext.
    const body = {
      plaintext: Buffer.concat([Buffer.from('v'), plain]).toString('base64'),
      associated_data: aad.toString('base64'),
      key_version: version,
    }
    const { ciphertext } = await this.#data({ path: 'encrypt', body })
    if (
      typeof ciphertext !== 'string' ||
      !isCanonical(ciphertext) ||
      !ciphertext.startsWith(`vault:v${version}:`)
    ) {
      throw this.#strange('encrypt')
    }
    return ciphertext
  }

  async #decrypt(ciphertext: string, aad: Buffer): Promise<Buffer | undefined> {
    const answer = await this.#ask({
      path: 'decrypt',
      body: { ciphertext, associated_data: aad.toString('base64') },
    })
    if (answer.status === 400 && notOurs.test(errorsOf(answer))) return undefined
    const { plaintext } = this.#dataOf(answer, 'decrypt')
    if (typeof plaintext !== 'string') throw this.#strange('decrypt')
    const plain = Buffer.from(plaintext, 'base64')
    return plain[0] === 'v'.charCodeAt(0) ? plain.subarray(1) : undefined
  }

  async #data(asking: Omit<Asking, 'headers'>): Promise<Record<string, unknown>> {
    return this.#dataOf(await this.#ask(asking), asking.path)
  }

  async #ask({ method = 'POST', path, body }: Omit<Asking, 'headers'>): Promise<Answer> {
    const { mount, name, namespace } = this.#address
    const own = ['rotate', 'config'].includes(path) ? `keys/${name}/${path}` : `${path}/${name}`
    const asked = (token: string): Promise<Answer> => {
      const headers = {
        'x-vault-token': token,
        'x-vault-request': 'true',
        ...(namespace && { 'x-vault-namespace': namespace }),
      }
      return this.#http.ask({ method, path: `/v1/${mount}/${own}`, headers, ...(body && { body }) })
    }
    const token = this.#token()
    const answer = await asked(token)
    // Whoever keeps the token fresh may have replaced it between the reading and the asking.
    const fresher = answer.status === 403 ? this.#token() : token
    return fresher === token ? answer : asked(fresher)
  }

  #token(): string {
    const { token } = this.#address
    const text = readPrivate(token, longestToken)?.trim()
    if (!text)
      throw away(`The token file ${token.path} is not there, or is empty: bring it.`, { path: token.path })
    if (!/^[\x21-\x7e]+$/.test(text))
      throw unusable(`The token file ${token.path} holds no token.`, { path: token.path })
    return text
  }

  #dataOf(answer: Answer, what: string): Record<string, unknown> {
    const { status, body } = answer
    if (status === 204) return {}
    const data = body?.['data']
    if (status === 200 && (typeof data === 'object' || what === 'config' || what === 'rotate')) {
      return (data ?? {}) as Record<string, unknown>
    }
    const facts = { status, what, errors: errorsOf(answer).slice(0, 200) }
    if (status === 403) {
      throw away(`${this.place} refuses the token for ${what}: renew it, or widen its policy.`, facts)
    }
    if (status === 404) throw unusable(`${this.place} is not there: make it, or correct the address.`, facts)
    if (
      status >= 500 ||
      status === 429 ||
      status === 412 ||
      status === 472 ||
      status === 473 ||
      status < 400
    ) {
      throw away(`${this.place} is sealed, standing by or overloaded now.`, facts)
    }
    throw unusable(`${this.place} refuses to ${what}.`, facts)
  }

  #strange(what: string): Error {
    return unusable(`${this.place} answered ${what} with something that is not its answer.`, { what })
  }
}

function errorsOf({ body }: Answer): string {
  const errors = body?.['errors']
  return Array.isArray(errors) ? errors.join('; ') : ''
}

function isCanonical(ciphertext: string): boolean {
  const text = cipherShape.exec(ciphertext)?.[2]
  return text !== undefined && Buffer.from(text, 'base64').toString('base64') === text
}

function isVersion(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0
}

function readAuthority(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw away(`The certificates ${path} cannot be read.`, { path }, cause)
  }
}
