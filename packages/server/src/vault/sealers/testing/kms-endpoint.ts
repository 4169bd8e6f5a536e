// AWS KMS as far as a root sees it: its JSON 1.1 protocol, keys, aliases, encryption contexts and exceptions.
import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

interface Key {
  readonly arn: string
  readonly bytes: Buffer
  readonly spec: string
  enabled: boolean
}

type Body = Readonly<Record<string, unknown>>

class Refusal extends Error {
  readonly kind: string

  constructor(kind: string, message: string) {
    super(message)
    this.kind = kind
  }
}

/** A service on a port of its own. What a test moves is public. */
export class KmsEndpoint {
  /** By ARN. */
  readonly keys = new Map<string, Key>()
  /** Alias to ARN. */
  readonly aliases = new Map<string, string>()
  /** Actions that the role does not have. */
  readonly denied = new Set<string>()
  down = false
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(): Promise<KmsEndpoint> {
    const server = createServer()
    const endpoint = new KmsEndpoint(server)
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

  /** The ARN of a new key. */
  create(spec = 'SYMMETRIC_DEFAULT'): string {
    const arn = `arn:aws:kms:eu-central-1:111122223333:key/${randomUUID()}`
    this.keys.set(arn, { arn, bytes: randomBytes(32), spec, enabled: true })
    return arn
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    const answer = (status: number, body: unknown): void => {
      response.writeHead(status, {
        'content-type': 'application/x-amz-json-1.1',
        'x-amzn-requestid': randomUUID(),
      })
      response.end(body === undefined ? '' : JSON.stringify(body))
    }
    try {
      const call = /^TrentService\.(\w+)$/.exec(String(request.headers['x-amz-target']))?.[1] ?? ''
      if (this.down) return answer(503, { __type: 'DependencyTimeoutException', message: 'down' })
      // Signature Version 4; which key it was made with is not looked at.
      if (!/^AWS4-HMAC-SHA256 Credential=/.test(request.headers.authorization ?? '')) {
        throw new Refusal('MissingAuthenticationTokenException', 'Missing Authentication Token')
      }
      if (this.denied.has(call))
        throw new Refusal('AccessDeniedException', `not authorized to perform: kms:${call}`)
      answer(200, this.#call(call, JSON.parse(Buffer.concat(parts).toString()) as Body))
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      answer(400, { __type: error.kind, message: error.message })
    }
  }

  #call(call: string, body: Body): unknown {
    if (call === 'DescribeKey') return this.#described(this.#key(body['KeyId']))
    if (call === 'Encrypt') return this.#encrypt(this.#usable(body), body)
    if (call === 'Decrypt') return this.#decrypt(this.#usable(body), body)
    const alias = String(body['AliasName'])
    if (call === 'DisableKey') this.#key(body['KeyId']).enabled = false
    else if (call === 'CreateAlias') {
      if (this.aliases.has(alias))
        throw new Refusal('AlreadyExistsException', `An alias with the name ${alias} already exists`)
      this.aliases.set(alias, this.#key(body['TargetKeyId']).arn)
    } else if (call === 'UpdateAlias' || call === 'DeleteAlias') {
      if (!this.aliases.has(alias)) throw new Refusal('NotFoundException', `Alias ${alias} is not found.`)
      if (call === 'DeleteAlias') this.aliases.delete(alias)
      else this.aliases.set(alias, this.#key(body['TargetKeyId']).arn)
    } else throw new Refusal('UnknownOperationException', call)
    // As the service does: no body at all.
    return undefined
  }

  #key(id: unknown): Key {
    const name = String(id)
    const arn =
      this.aliases.get(name) ?? [...this.keys.keys()].find(each => each === name || each.endsWith(`/${name}`))
    const key = this.keys.get(arn ?? '')
    if (key === undefined) throw new Refusal('NotFoundException', `${name} is not found.`)
    return key
  }

  #usable(body: Body): Key {
    const key = this.#key(body['KeyId'])
    if (!key.enabled) throw new Refusal('DisabledException', `${key.arn} is disabled.`)
    return key
  }

  #described({ arn, enabled, spec }: Key): unknown {
    const KeyMetadata = {
      AWSAccountId: '111122223333',
      Arn: arn,
      KeyId: arn.split('/')[1],
      Enabled: enabled,
      KeyState: enabled ? 'Enabled' : 'Disabled',
      KeySpec: spec,
      KeyUsage: spec === 'SYMMETRIC_DEFAULT' ? 'ENCRYPT_DECRYPT' : 'SIGN_VERIFY',
      KeyManager: 'CUSTOMER',
      Origin: 'AWS_KMS',
    }
    return { KeyMetadata }
  }

  #encrypt({ arn, bytes }: Key, body: Body): unknown {
    const plain = Buffer.from(String(body['Plaintext'] ?? ''), 'base64')
    if (plain.length < 1 || plain.length > 4096) {
      throw new Refusal(
        'ValidationException',
        "Value at 'plaintext' failed to satisfy constraint: length 1 to 4096",
      )
    }
    const nonce = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', bytes, nonce).setAAD(contextBytes(arn, body))
    const made = Buffer.concat([
      Buffer.from(arn),
      nonce,
      cipher.update(plain),
      cipher.final(),
      cipher.getAuthTag(),
    ])
    return { KeyId: arn, CiphertextBlob: made.toString('base64'), EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' }
  }

  #decrypt({ arn, bytes }: Key, body: Body): unknown {
    const whole = Buffer.from(String(body['CiphertextBlob']), 'base64')
    const [named, rest] = [whole.subarray(0, arn.length).toString('latin1'), whole.subarray(arn.length)]
    if (named !== arn && this.keys.has(named)) {
      throw new Refusal('IncorrectKeyException', 'The key ID in the request does not identify this key.')
    }
    // What the service says of a ciphertext whose note of its key was altered.
    if (named !== arn)
      throw new Refusal('AccessDeniedException', 'The ciphertext refers to a key that does not exist.')
    if (rest.length < 28) throw new Refusal('InvalidCiphertextException', '')
    const decipher = createDecipheriv('aes-256-gcm', bytes, rest.subarray(0, 12))
    decipher.setAAD(contextBytes(arn, body)).setAuthTag(rest.subarray(-16))
    try {
      const plain = Buffer.concat([decipher.update(rest.subarray(12, -16)), decipher.final()])
      return { KeyId: arn, Plaintext: plain.toString('base64'), EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' }
    } catch (cause) {
      if (!(cause instanceof Error)) throw cause
      throw new Refusal('InvalidCiphertextException', '')
    }
  }
}

// The order of the pairs does not matter to KMS.
function contextBytes(arn: string, body: Body): Buffer {
  const pairs = Object.entries((body['EncryptionContext'] ?? {}) as Record<string, string>).sort()
  return Buffer.from(JSON.stringify([arn, pairs]))
}
