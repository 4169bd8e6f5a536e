// Transit of HashiCorp Vault 1.20 and OpenBao 2.4 as far as a root sees it: its calls, versions, refusals and seal.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

interface Key {
  readonly type: string
  readonly exportable: boolean
  readonly versions: Map<number, { readonly bytes: Buffer; readonly madeAt: number }>
  minDecryption: number
  minEncryption: number
}

interface Reply {
  readonly status: number
  readonly body?: unknown
}

const refused = (status: number, ...errors: string[]): Reply => ({ status, body: { errors } })
type Body = Readonly<Record<string, unknown>>

/** A service on a port of its own. What a test moves is public. */
export class TransitEndpoint {
  readonly keys = new Map<string, Key>()
  readonly tokens = new Set(['hvs.first'])
  sealed = false
  /** As Vault before 1.9, which reads past what it does not know. */
  ignoresAssociatedData = false
  /** Every path that was asked for, with its namespace. */
  readonly asked: string[] = []
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(): Promise<TransitEndpoint> {
    const server = createServer()
    const endpoint = new TransitEndpoint(server)
    server.on('request', (request, response) => void endpoint.#serve(request, response))
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    return endpoint
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }

  create(name: string, { type = 'aes256-gcm96', exportable = false } = {}): void {
    const key = { type, exportable, versions: new Map(), minDecryption: 1, minEncryption: 0 }
    this.keys.set(name, key)
    this.#rotate(key)
  }

  #rotate(key: Key): void {
    key.versions.set(key.versions.size + 1, { bytes: randomBytes(32), madeAt: Math.floor(Date.now() / 1000) })
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    const { status, body } = this.#answer(request, Buffer.concat(parts).toString())
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(body === undefined ? '' : JSON.stringify(body))
  }

  #answer({ headers, method, url = '' }: IncomingMessage, text: string): Reply {
    this.asked.push(`${method} ${url} ${headers['x-vault-namespace'] ?? ''}`.trim())
    if (this.sealed) return refused(503, 'Vault is sealed')
    if (!this.tokens.has(String(headers['x-vault-token']))) return refused(403, 'permission denied')
    const body = (text === '' ? {} : JSON.parse(text)) as Body
    const [, one = '', two = '', three] = /^\/v1\/transit\/([^/]+)\/([^/]+)(?:\/([^/]+))?$/.exec(url) ?? []
    const key = this.keys.get(two)
    const call = `${method} ${one}${three === undefined ? '' : `/${three}`}`
    if (key === undefined)
      return one === 'keys' && method === 'GET' ? refused(404) : refused(400, 'encryption key not found')
    if (call === 'GET keys') return this.#described(two, key)
    if (call === 'POST keys/rotate') {
      this.#rotate(key)
      return this.#described(two, key)
    }
    if (call === 'POST keys/config') return configured(key, body) ?? this.#described(two, key)
    if (call === 'POST encrypt') return this.#encrypt(key, body)
    if (call === 'POST decrypt') return this.#decrypt(key, body)
    return refused(405, 'unsupported operation')
  }

  #described(name: string, key: Key): Reply {
    const usable = [...key.versions].filter(([version]) => version >= key.minDecryption)
    const data = {
      name,
      type: key.type,
      derived: false,
      exportable: key.exportable,
      allow_plaintext_backup: false,
      deletion_allowed: false,
      keys: Object.fromEntries(usable.map(([version, { madeAt }]) => [version, madeAt])),
      latest_version: key.versions.size,
      min_available_version: 0,
      min_decryption_version: key.minDecryption,
      min_encryption_version: key.minEncryption,
      supports_encryption: true,
      supports_decryption: true,
      supports_derivation: true,
      supports_signing: false,
    }
    return { status: 200, body: { request_id: '0', lease_id: '', renewable: false, data } }
  }

  #aad(body: Body): Buffer {
    return this.ignoresAssociatedData
      ? Buffer.alloc(0)
      : Buffer.from(String(body['associated_data'] ?? ''), 'base64')
  }

  #encrypt(key: Key, body: Body): Reply {
    const wanted = Number(body['key_version'] ?? 0) || key.versions.size
    const version = key.versions.get(wanted)
    if (version === undefined)
      return refused(400, 'requested version for encryption is higher than the latest key version')
    if (wanted < key.minEncryption) {
      return refused(400, 'requested version for encryption is less than the minimum encryption key version')
    }
    if (!body['plaintext']) return refused(400, 'missing plaintext to encrypt')
    const nonce = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', version.bytes, nonce).setAAD(this.#aad(body))
    const made = [nonce, cipher.update(Buffer.from(String(body['plaintext']), 'base64')), cipher.final()]
    const ciphertext = `vault:v${wanted}:${Buffer.concat([...made, cipher.getAuthTag()]).toString('base64')}`
    return { status: 200, body: { data: { ciphertext, key_version: wanted } } }
  }

  #decrypt(key: Key, body: Body): Reply {
    const [, number, text = ''] = /^vault:v(\d+):(.*)$/s.exec(String(body['ciphertext'])) ?? []
    if (number === undefined) return refused(400, 'invalid ciphertext: no prefix')
    const version = key.versions.get(Number(number))
    if (version === undefined) return refused(400, 'invalid ciphertext: version is too new')
    if (Number(number) < key.minDecryption) {
      return refused(400, 'ciphertext or signature version is disallowed by policy (too old)')
    }
    const bytes = Buffer.from(text, 'base64')
    if (bytes.length < 28) return refused(400, 'invalid ciphertext: could not decode')
    const decipher = createDecipheriv('aes-256-gcm', version.bytes, bytes.subarray(0, 12))
    decipher.setAAD(this.#aad(body)).setAuthTag(bytes.subarray(-16))
    try {
      const plain = Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()])
      return { status: 200, body: { data: { plaintext: plain.toString('base64') } } }
    } catch (cause) {
      if (!(cause instanceof Error)) throw cause
      return refused(400, 'cipher: message authentication failed')
    }
  }
}

function configured(key: Key, body: Body): Reply | undefined {
  const decryption = Number(body['min_decryption_version'] ?? key.minDecryption)
  const encryption = Number(body['min_encryption_version'] ?? key.minEncryption)
  if (decryption > key.versions.size || encryption > key.versions.size) {
    return refused(400, 'cannot set a minimum version higher than the latest key version')
  }
  if (encryption !== 0 && encryption < decryption) {
    return refused(400, 'cannot set min encryption version less than min decryption version')
  }
  key.minDecryption = decryption
  key.minEncryption = encryption
  return undefined
}
