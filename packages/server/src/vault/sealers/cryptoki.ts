// The few calls of PKCS #11 (Cryptoki 2.40) that a root needs, through a foreign function interface without a compiler.
import { away, misspelt, unusable } from './refusals.ts'

type Koffi = typeof import('koffi')

// PKCS #11 v2.40 base specification §2 and §3.6; current mechanisms §2.12.
const attribute = {
  class: 0x000,
  token: 0x001,
  private: 0x002,
  label: 0x003,
  id: 0x102,
  sensitive: 0x103,
  encrypt: 0x104,
  decrypt: 0x105,
  keyType: 0x100,
  valueLength: 0x161,
  extractable: 0x162,
  modifiable: 0x170,
} as const
const secretKey = 4
const aes = 0x1f
const aesKeyGen = 0x1080
const aesGcm = 0x1087
const ok = 0
const generalError = 0x05
const alreadyInitialized = 0x191
const alreadyLoggedIn = 0x100
const pinWrong = new Set([0xa0, 0xa1, 0xa2, 0xa3, 0xa4])
/** ENCRYPTED_DATA_INVALID, ENCRYPTED_DATA_LEN_RANGE, AEAD_DECRYPT_FAILED of v3. */
const notDecrypted = new Set([0x40, 0x41, 0x42])
const serialAndWriting = 6
const osLocking = 2
const ofUser = 1
const tagBytes = 16
const mostObjects = 64

/** One AES key in the token, as far as anybody may see it. */
export interface TokenKey {
  readonly handle: bigint
  readonly id: Buffer
  readonly label: string
}

export interface GcmInput {
  readonly iv: Buffer
  readonly data: Uint8Array
  readonly aad: Uint8Array
}

export interface TokenAddress {
  readonly module: string
  readonly token: string
  readonly pin: () => Buffer
}

/** The library of a module with its functions; initialised once per process, and never finalised: others may use it. */
interface Module {
  call(name: string, ...args: unknown[]): Promise<number>
  readonly ulongBytes: number
}

const modules = new Map<string, Promise<Module>>()

function loaded(path: string): Promise<Module> {
  const known = modules.get(path)
  if (known !== undefined) return known
  const module = load(path)
  modules.set(path, module)
  // A module that could not be loaded is looked for again.
  module.catch(() => modules.delete(path))
  return module
}

async function importKoffi(): Promise<Koffi> {
  try {
    return await import('koffi')
  } catch (cause) {
    const say =
      'A pkcs11 sealer needs the optional dependency koffi, which is not installed here: run npm install without --omit=optional.'
    throw away(say, { missing: 'koffi' }, cause)
  }
}

async function load(path: string): Promise<Module> {
  const koffi = await importKoffi()
  let library: ReturnType<Koffi['load']>
  try {
    library = koffi.load(path)
  } catch (cause) {
    throw away(`The PKCS #11 module ${path} cannot be loaded.`, { module: path }, cause)
  }
  const functions = declare(koffi, library)
  const call = (name: string, ...args: unknown[]): Promise<number> =>
    new Promise((resolve, reject) => {
      // On a thread of its own: a module over a network takes as long as the network.
      functions[name]?.async(...args, (error: Error | null, code: unknown) =>
        error ? reject(error) : resolve(Number(code)),
      )
    })
  const { pointer, as, sizeof } = koffi
  const struct = structOf(koffi)
  const locking = struct({ a: 'void *', b: 'void *', c: 'void *', d: 'void *', flags: 'ulong', e: 'void *' })
  const nothing = { a: null, b: null, c: null, d: null, e: null }
  const code = await call('C_Initialize', as({ ...nothing, flags: osLocking }, pointer(locking)))
  if (code !== ok && code !== alreadyInitialized) throw failed('C_Initialize', code, path)
  return { call, ulongBytes: sizeof('ulong') }
}

// PKCS #11 §2.1: structures are packed on Windows alone.
function structOf(koffi: Koffi): Koffi['struct'] {
  return process.platform === 'win32' ? koffi.pack : koffi.struct
}

function declare(
  koffi: Koffi,
  library: ReturnType<Koffi['load']>,
): Readonly<Record<string, ForeignFunction>> {
  const { pointer, out, inout } = koffi
  const struct = structOf(koffi)
  const attributes = pointer(struct({ type: 'ulong', pValue: 'void *', ulValueLen: 'ulong' }))
  const gcm = struct({
    pIv: 'void *',
    ulIvLen: 'ulong',
    ulIvBits: 'ulong',
    pAAD: 'void *',
    ulAADLen: 'ulong',
    ulTagBits: 'ulong',
  })
  const gcmPointer = () => pointer(gcm)
  const mechanism = (parameter: string | ReturnType<typeof gcmPointer>) =>
    pointer(struct({ mechanism: 'ulong', pParameter: parameter, ulParameterLen: 'ulong' }))
  const one = out(pointer('ulong'))
  const length = inout(pointer('ulong'))
  const signatures = {
    C_Initialize: ['void *'],
    C_GetSlotList: ['uint8', 'void *', length],
    C_GetTokenInfo: ['ulong', 'void *'],
    C_OpenSession: ['ulong', 'ulong', 'void *', 'void *', one],
    C_CloseSession: ['ulong'],
    C_Login: ['ulong', 'ulong', 'void *', 'ulong'],
    C_GenerateKey: ['ulong', mechanism('void *'), attributes, 'ulong', one],
    C_DestroyObject: ['ulong', 'ulong'],
    C_FindObjectsInit: ['ulong', attributes, 'ulong'],
    C_FindObjects: ['ulong', 'void *', 'ulong', one],
    C_FindObjectsFinal: ['ulong'],
    C_GetAttributeValue: ['ulong', 'ulong', inout(attributes), 'ulong'],
    C_SetAttributeValue: ['ulong', 'ulong', attributes, 'ulong'],
    C_EncryptInit: ['ulong', mechanism(gcmPointer()), 'ulong'],
    C_Encrypt: ['ulong', 'void *', 'ulong', 'void *', length],
    C_DecryptInit: ['ulong', mechanism(gcmPointer()), 'ulong'],
    C_Decrypt: ['ulong', 'void *', 'ulong', 'void *', length],
  } as const
  const entries = Object.entries(signatures).map(([name, args]) => [
    name,
    library.func(name, 'ulong', [...args]) as ForeignFunction,
  ])
  return Object.fromEntries(entries) as Readonly<Record<string, ForeignFunction>>
}

interface ForeignFunction {
  async(...args: unknown[]): void
}

function failed(call: string, code: number, module: string): Error {
  const shown = `0x${code.toString(16)}`
  return away(`The PKCS #11 module ${module} answered ${shown} to ${call}.`, { module, call, code: shown })
}

/**
 * A session with one token, logged in. Its calls are made one after another by whoever holds it; after a call that threw
 * it is closed and another one is opened, because an operation may have stayed open in it.
 */
export class Session {
  readonly #module: Module
  readonly #path: string
  readonly #handle: number | bigint

  constructor(module: Module, path: string, handle: number | bigint) {
    this.#module = module
    this.#path = path
    this.#handle = handle
  }

  async close(): Promise<void> {
    // A session that the token has ended already is closed.
    await this.#module.call('C_CloseSession', this.#handle)
  }

  /** The AES keys of 256 bits under this label; throws `server_error` for one that could be taken out of the token. */
  async keys(label: string): Promise<TokenKey[]> {
    const template = this.#template([
      [attribute.class, this.#ulong(secretKey)],
      [attribute.keyType, this.#ulong(aes)],
      [attribute.label, Buffer.from(label)],
    ])
    await this.#must('C_FindObjectsInit', template, template.length)
    const width = this.#module.ulongBytes
    const handles = Buffer.alloc(width * mostObjects)
    const count: [number] = [0]
    await this.#must('C_FindObjects', handles, mostObjects, count)
    await this.#must('C_FindObjectsFinal')
    const keys: TokenKey[] = []
    for (let at = 0; at < Number(count[0]); at += 1) {
      keys.push(await this.#described(readUlong(handles, at * width, width), label))
    }
    return keys
  }

  async #described(handle: bigint, label: string): Promise<TokenKey> {
    const values = [Buffer.alloc(64), Buffer.alloc(1), Buffer.alloc(1), this.#ulong(0)] as const
    const [id, sensitive, extractable, length] = values
    const wanted = [attribute.id, attribute.sensitive, attribute.extractable, attribute.valueLength] as const
    const template = this.#template(wanted.map((type, at) => [type, values[at] ?? id]))
    await this.#must('C_GetAttributeValue', handle, template, template.length)
    const bits = readUlong(length, 0, length.length) * 8n
    if (sensitive[0] !== 1 || extractable[0] !== 0 || bits !== 256n) {
      const say = `The key ${label} of the token is not an AES key of 256 bits that stays in it: make one that is sensitive and not extractable.`
      throw unusable(say, { label })
    }
    return { handle, id: Buffer.from(id.subarray(0, Number(template[0]?.ulValueLen ?? 0))), label }
  }

  /** Makes an AES key of 256 bits in the token that never leaves it. */
  async generate(label: string, id: Uint8Array): Promise<void> {
    const [yes, no] = [Buffer.from([1]), Buffer.from([0])]
    const template = this.#template([
      [attribute.class, this.#ulong(secretKey)],
      [attribute.keyType, this.#ulong(aes)],
      [attribute.valueLength, this.#ulong(32)],
      [attribute.token, yes],
      [attribute.private, yes],
      [attribute.sensitive, yes],
      [attribute.extractable, no],
      [attribute.encrypt, yes],
      [attribute.decrypt, yes],
      [attribute.modifiable, yes],
      [attribute.label, Buffer.from(label)],
      [attribute.id, Buffer.from(id)],
    ])
    const mechanism = { mechanism: aesKeyGen, pParameter: null, ulParameterLen: 0 }
    await this.#must('C_GenerateKey', mechanism, template, template.length, [0])
  }

  async relabel(key: TokenKey, label: string): Promise<void> {
    const template = this.#template([[attribute.label, Buffer.from(label)]])
    await this.#must('C_SetAttributeValue', key.handle, template, template.length)
  }

  async destroy(key: TokenKey): Promise<void> {
    await this.#must('C_DestroyObject', key.handle)
  }

  /** Ciphertext with its tag. The nonce is the one in `iv` afterwards: modules that are bound to choose it put it there. */
  async encrypt(key: TokenKey, input: GcmInput): Promise<Buffer> {
    await this.#must('C_EncryptInit', gcmOf(input, this.#module.ulongBytes), key.handle)
    const made = Buffer.alloc(input.data.length + tagBytes)
    const length: [number] = [made.length]
    await this.#must('C_Encrypt', pointed(input.data), input.data.length, made, length)
    if (Number(length[0]) !== made.length) throw failed('C_Encrypt', generalError, this.#path)
    return made
  }

  /** The plaintext; `refused` where the tag does not match; `unclear` where the module says that something was wrong. */
  async decrypt(key: TokenKey, input: GcmInput): Promise<Buffer | 'refused' | 'unclear'> {
    await this.#must('C_DecryptInit', gcmOf(input, this.#module.ulongBytes), key.handle)
    // Some modules want room for the tag too, although they do not write it.
    const plain = Buffer.alloc(input.data.length)
    const length: [number] = [plain.length]
    const code = await this.#call('C_Decrypt', pointed(input.data), input.data.length, plain, length)
    if (notDecrypted.has(code)) return 'refused'
    if (code === generalError) return 'unclear'
    if (code !== ok) throw failed('C_Decrypt', code, this.#path)
    return plain.subarray(0, Number(length[0]))
  }

  #call(name: string, ...args: unknown[]): Promise<number> {
    return this.#module.call(name, this.#handle, ...args)
  }

  async #must(name: string, ...args: unknown[]): Promise<void> {
    const code = await this.#call(name, ...args)
    if (code !== ok) throw failed(name, code, this.#path)
  }

  #ulong(value: number): Buffer {
    const bytes = Buffer.alloc(this.#module.ulongBytes)
    if (bytes.length === 8) bytes.writeBigUInt64LE(BigInt(value))
    else bytes.writeUInt32LE(value)
    return bytes
  }

  #template(attributes: readonly (readonly [type: number, value: Buffer])[]): Attribute[] {
    return attributes.map(([type, pValue]) => ({ type, pValue, ulValueLen: pValue.length }))
  }
}

interface Attribute {
  readonly type: number
  readonly pValue: Buffer
  /** Written by the module: how long the value is. */
  readonly ulValueLen: number | bigint
}

function gcmOf({ iv, aad }: GcmInput, ulongBytes: number): object {
  const parameter = {
    pIv: iv,
    ulIvLen: iv.length,
    ulIvBits: iv.length * 8,
    pAAD: aad,
    ulAADLen: aad.length,
    ulTagBits: tagBytes * 8,
  }
  return { mechanism: aesGcm, pParameter: parameter, ulParameterLen: 6 * ulongBytes }
}

// An empty array has no address, and a module takes a null pointer for a question about the length.
function pointed(data: Uint8Array): Uint8Array {
  return data.length === 0 ? Buffer.alloc(1) : data
}

function readUlong(bytes: Buffer, at: number, width: number): bigint {
  return width === 8 ? bytes.readBigUInt64LE(at) : BigInt(bytes.readUInt32LE(at))
}

/** A session with the token of this label, of its user. Throws `sealer_away` while there is none. */
export async function openSession({ module: path, token, pin }: TokenAddress): Promise<Session> {
  const module = await loaded(path)
  const slot = await slotOf(module, path, token)
  const handle: [number | bigint] = [0]
  const opened = await module.call('C_OpenSession', slot, serialAndWriting, null, null, handle)
  if (opened !== ok) throw failed('C_OpenSession', opened, path)
  const secret = pin()
  try {
    const code = await module.call('C_Login', handle[0], ofUser, secret, secret.length)
    if (pinWrong.has(code)) {
      await module.call('C_CloseSession', handle[0])
      throw unusable(`The token ${token} refuses the PIN; a token locks itself after a few wrong ones.`, {
        token,
      })
    }
    if (code !== ok && code !== alreadyLoggedIn) throw failed('C_Login', code, path)
  } finally {
    secret.fill(0)
  }
  return new Session(module, path, handle[0])
}

async function slotOf(module: Module, path: string, token: string): Promise<bigint> {
  const count: [number] = [0]
  const asked = await module.call('C_GetSlotList', 1, null, count)
  if (asked !== ok) throw failed('C_GetSlotList', asked, path)
  const slots = Buffer.alloc(Math.max(Number(count[0]), 1) * module.ulongBytes)
  const listed = await module.call('C_GetSlotList', 1, slots, count)
  if (listed !== ok) throw failed('C_GetSlotList', listed, path)
  const found: bigint[] = []
  for (let at = 0; at < Number(count[0]); at += 1) {
    const slot = readUlong(slots, at * module.ulongBytes, module.ulongBytes)
    // CK_TOKEN_INFO begins with the label: 32 bytes, filled up with spaces.
    const info = Buffer.alloc(512)
    const code = await module.call('C_GetTokenInfo', slot, info)
    if (code === ok && info.toString('utf8', 0, 32).trimEnd() === token) found.push(slot)
  }
  const [slot] = found
  if (found.length > 1)
    throw misspelt(`Several tokens are called ${token}; give the one for the root a name of its own.`)
  if (slot === undefined)
    throw away(`There is no token called ${token} in ${path} now.`, { token, module: path })
  return slot
}
