// The root in AWS KMS, through the official client: Encrypt and Decrypt with the record as encryption context.
import { isFault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import { away, bounded, forPeople, isCurrent, misspelt, unknownVersion, unusable } from './refusals.ts'
import { canonical } from './sealed-text.ts'
import type { RootSealer, SealerKind } from './sealer.ts'

type Library = typeof import('@aws-sdk/client-kms')
type Client = InstanceType<Library['KMSClient']>

const loopback = new Set(['127.0.0.1', '[::1]', 'localhost'])
const aliasShape = /^alias\/[A-Za-z0-9/_-]{1,240}$/
const keyShape = /^(?:arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:key\/)?[A-Za-z0-9-]{1,64}$/
const arnShape = /^arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:key\/[A-Za-z0-9-]{1,64}$/
const connectMs = 3000
const answerMs = 10_000

export const awsKms: SealerKind = {
  scheme: 'aws-kms',
  form: '`alias/NAME?region=REGION`, or the id or ARN of a key, which then cannot be rotated; `endpoint` if it is another',
  because: 'the server runs in AWS, and an IAM role says who may open the database',
  async open(rest) {
    const setting = parseSetting(rest)
    const library = await importLibrary()
    const root = new Kms(setting, library)
    await root.current()
    return {
      kind: 'aws-kms',
      place: root.place,
      current: () => root.current(),
      seal: (plain, identity) => root.seal(plain, identity),
      open: (text, identity) => root.opened(text, identity),
      stage: () => root.stage(),
      activate: version => root.activate(version),
      retire: version => root.retire(version),
      close: async () => root.close(),
    } satisfies RootSealer
  },
}

interface Setting {
  readonly key: string
  readonly region: string
  readonly endpoint: string | undefined
}

function parseSetting(rest: string): Setting {
  const [key = '', query = '', ...more] = rest.split('?')
  const options = new URLSearchParams(query)
  const names = [...options.keys()]
  const known = names.every(name => ['region', 'endpoint'].includes(name))
  const region = options.get('region')
  if (
    more.length > 0 ||
    !known ||
    new Set(names).size !== names.length ||
    !(aliasShape.test(key) || keyShape.test(key))
  ) {
    throw misspelt(
      'An aws-kms sealer is an alias or a key with its region: `aws-kms:alias/writ?region=eu-central-1`.',
    )
  }
  if (region === null || !/^[a-z0-9-]{1,32}$/.test(region))
    throw misspelt('An aws-kms sealer names its region.')
  const endpoint = options.get('endpoint') ?? undefined
  if (endpoint !== undefined) {
    const { protocol, hostname } = URL.canParse(endpoint) ? new URL(endpoint) : { protocol: '', hostname: '' }
    if (protocol !== 'https:' && !(protocol === 'http:' && loopback.has(hostname))) {
      throw misspelt(
        'The endpoint of an aws-kms sealer is reached by https, or by http on this machine alone.',
      )
    }
  }
  return { key, region, endpoint }
}

async function importLibrary(): Promise<Library> {
  try {
    return await import('@aws-sdk/client-kms')
  } catch (cause) {
    const say =
      'An aws-kms sealer needs the optional dependency @aws-sdk/client-kms, which is not installed here: run npm install without --omit=optional.'
    throw away(say, { missing: '@aws-sdk/client-kms' }, cause)
  }
}

/**
 * A version is a key of KMS, named by its ARN: what KMS rotates within a key cannot be seen from here, nor ended. Three
 * aliases say which is which, so that every node sees the same: the one in the setting seals, `-next` waits, `-former`
 * still opens. No other key is ever asked to open a text: whoever writes to the database could name one of their own.
 */
class Kms {
  readonly #setting: Setting
  readonly #library: Library
  readonly #client: Client
  readonly place: string

  constructor(setting: Setting, library: Library) {
    this.#setting = setting
    this.#library = library
    this.place = `the KMS key ${setting.key} in ${setting.region}`
    this.#client = new library.KMSClient({
      region: setting.region,
      ...(setting.endpoint === undefined ? {} : { endpoint: setting.endpoint }),
      maxAttempts: 3,
      requestHandler: { connectionTimeout: connectMs, requestTimeout: answerMs, throwOnRequestTimeout: true },
    })
  }

  close(): void {
    this.#client.destroy()
  }

  async current(): Promise<string> {
    const arn = await this.#resolve(this.#setting.key)
    if (arn !== undefined) return arn
    throw unusable(`${this.place} does not exist: make it, or correct the setting.`, {
      key: this.#setting.key,
    })
  }

  async seal(plain: Secret<Uint8Array>, identity: string): Promise<{ text: string; root: string }> {
    bounded(plain)
    const root = await this.current()
    // A letter ahead: KMS takes no empty plaintext.
    const Plaintext = Buffer.concat([Buffer.from('v'), plain.reveal()])
    const command = new this.#library.EncryptCommand({
      KeyId: root,
      Plaintext,
      EncryptionContext: contextOf(root, identity),
    })
    const { CiphertextBlob } = await this.#asked('Encrypt', () => this.#client.send(command))
    if (CiphertextBlob === undefined)
      throw unusable(`${this.place} answered Encrypt without a ciphertext.`, {})
    return { text: `${root}.${Buffer.from(CiphertextBlob).toString('base64url')}`, root }
  }

  async opened(text: string, identity: string): Promise<Secret<Uint8Array> | undefined> {
    const [root = '', cipher = '', ...more] = text.length < 16_384 ? text.split('.') : []
    const blob = canonical(cipher)
    if (!arnShape.test(root) || !blob?.length || more.length > 0) return undefined
    if (!(await this.#isOurs(root))) return undefined
    const plain = await this.#decrypt(root, blob, contextOf(root, identity))
    if (plain === 'unclear') await this.#prove(root)
    if (typeof plain === 'string' || plain[0] !== 'v'.charCodeAt(0)) return undefined
    return new Secret<Uint8Array>(Buffer.from(plain.subarray(1)))
  }

  async #decrypt(root: string, blob: Buffer, context: Record<string, string>) {
    const asked = { KeyId: root, CiphertextBlob: blob, EncryptionContext: context }
    const command = new this.#library.DecryptCommand(asked)
    const answer = await this.#asked('Decrypt', async () => {
      try {
        return await this.#client.send(command)
      } catch (error) {
        if (isNamed(error, 'InvalidCiphertextException', 'IncorrectKeyException')) return 'refused'
        if (isNamed(error, 'AccessDeniedException')) return 'unclear'
        throw error
      }
    })
    return typeof answer === 'string' ? answer : (answer.Plaintext ?? 'refused')
  }

  /**
   * KMS says AccessDeniedException both of a role that may not decrypt and of a text whose own note of its key was
   * altered: it is the text that was wrong only if the same key still seals and opens.
   */
  async #prove(root: string): Promise<void> {
    const context = contextOf(root, 'probe')
    const probe = { KeyId: root, Plaintext: Buffer.from('probe'), EncryptionContext: context }
    const command = new this.#library.EncryptCommand(probe)
    const { CiphertextBlob } = await this.#asked('Encrypt', () => this.#client.send(command))
    const plain = await this.#decrypt(root, Buffer.from(CiphertextBlob ?? []), context)
    if (typeof plain === 'string') {
      const say = `${this.place} does not allow Decrypt: widen its policy, or the role of this server.`
      throw away(say, { call: 'Decrypt', error: 'AccessDeniedException' })
    }
  }

  async stage(): Promise<string> {
    const { key } = this.#setting
    if (!aliasShape.test(key)) {
      throw forPeople(
        `A key named by its id cannot be rotated: name an alias in the sealer setting, which can be given another key.`,
        { key },
      )
    }
    const [current, next] = [await this.current(), await this.#resolve(this.#aliasOf('next'))]
    if (next !== undefined && next !== current) return next
    const alias = this.#aliasOf('next')
    throw forPeople(`Make a symmetric KMS key and point ${alias} to it; the rotation then goes on.`, {
      alias,
    })
  }

  async activate(version: string): Promise<void> {
    const [current, next] = [await this.current(), await this.#resolve(this.#aliasOf('next'))]
    if (current !== version) {
      if (next !== version) throw unknownVersion(version, this.place)
      await this.#keepFormer(current)
      await this.#alias('Update', this.#setting.key, version)
    }
    if (next === version) await this.#alias('Delete', this.#aliasOf('next'))
  }

  // Before the alias moves: a key that no alias names is not asked to open anything.
  async #keepFormer(current: string): Promise<void> {
    const former = await this.#resolve(this.#aliasOf('former'))
    if (former === current) return
    if (former !== undefined) {
      const say = `${this.#aliasOf('former')} still keeps a key that was not retired: end its rotation first.`
      throw forPeople(say, { former })
    }
    await this.#alias('Create', this.#aliasOf('former'), current)
  }

  /** Disabled, not deleted: whether KMS shall forget the key for good is for its owner to say. */
  async retire(version: string): Promise<void> {
    if ((await this.current()) === version) throw isCurrent(version)
    if ((await this.#resolve(this.#aliasOf('next'))) === version)
      await this.#alias('Delete', this.#aliasOf('next'))
    if ((await this.#resolve(this.#aliasOf('former'))) !== version) return
    const command = new this.#library.DisableKeyCommand({ KeyId: version })
    await this.#asked('DisableKey', async () => {
      try {
        await this.#client.send(command)
      } catch (error) {
        if (!isNamed(error, 'AccessDeniedException')) throw error
        const say = `Disable the KMS key ${version}, or let the role of this server do it: nothing is sealed with it any more.`
        const disabled = (await this.#describe(version))?.Enabled === false
        if (!disabled) throw forPeople(say, { version })
      }
    })
    await this.#alias('Delete', this.#aliasOf('former'))
  }

  #aliasOf(role: 'next' | 'former'): string {
    return `${this.#setting.key}-${role}`
  }

  async #isOurs(arn: string): Promise<boolean> {
    if ((await this.current()) === arn) return true
    if (!aliasShape.test(this.#setting.key)) return false
    // `-next` too: an alias that was moved is seen everywhere only after a while.
    const others = [await this.#resolve(this.#aliasOf('former')), await this.#resolve(this.#aliasOf('next'))]
    return others.includes(arn)
  }

  /** The ARN of the key that the name stands for; undefined where it stands for none. */
  async #resolve(name: string): Promise<string | undefined> {
    const key = await this.#describe(name)
    if (key === undefined) return undefined
    const { Arn, KeySpec, KeyUsage } = key
    if (
      Arn === undefined ||
      !arnShape.test(Arn) ||
      KeySpec !== 'SYMMETRIC_DEFAULT' ||
      KeyUsage !== 'ENCRYPT_DECRYPT'
    ) {
      throw unusable(`The KMS key ${name} is not a symmetric one to encrypt and decrypt with.`, {
        key: name,
        KeySpec,
      })
    }
    return Arn
  }

  async #describe(name: string) {
    const command = new this.#library.DescribeKeyCommand({ KeyId: name })
    return this.#asked('DescribeKey', async () => {
      try {
        return (await this.#client.send(command)).KeyMetadata
      } catch (error) {
        if (isNamed(error, 'NotFoundException')) return undefined
        throw error
      }
    })
  }

  async #alias(move: 'Create' | 'Update' | 'Delete', AliasName: string, TargetKeyId = ''): Promise<void> {
    const { CreateAliasCommand, UpdateAliasCommand, DeleteAliasCommand } = this.#library
    await this.#asked(`${move}Alias`, async () => {
      try {
        if (move === 'Create') await this.#client.send(new CreateAliasCommand({ AliasName, TargetKeyId }))
        else if (move === 'Update')
          await this.#client.send(new UpdateAliasCommand({ AliasName, TargetKeyId }))
        else await this.#client.send(new DeleteAliasCommand({ AliasName }))
      } catch (error) {
        // Another node, or an earlier attempt whose answer was lost, has deleted it.
        if (move !== 'Delete' || !isNamed(error, 'NotFoundException')) throw error
      }
    })
  }

  /** Turns what KMS says into what a root says. */
  async #asked<T>(call: string, ask: () => Promise<T>): Promise<T> {
    try {
      return await ask()
    } catch (cause) {
      if (!(cause instanceof Error) || isFault(cause)) throw cause
      const facts = { call, error: cause.name }
      if (
        isNamed(
          cause,
          'NotFoundException',
          'InvalidKeyUsageException',
          'ValidationException',
          'InvalidArnException',
        )
      ) {
        throw unusable(`${this.place} refuses ${call} (${cause.name}).`, facts)
      }
      if (isNamed(cause, 'AccessDeniedException')) {
        throw away(
          `${this.place} does not allow ${call}: widen its policy, or the role of this server.`,
          facts,
          cause,
        )
      }
      throw away(`${this.place} cannot be used now: ${call} ended with ${cause.name}.`, facts, cause)
    }
  }
}

/** Authenticated by KMS, and readable in its audit log; a list of names as JSON has one reading only. */
function contextOf(root: string, identity: string): Record<string, string> {
  return { 'writ:root': root, 'writ:record': JSON.stringify(identity) }
}

function isNamed(error: unknown, ...names: readonly string[]): boolean {
  return error instanceof Error && names.includes(error.name)
}
