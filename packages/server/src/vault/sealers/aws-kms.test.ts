// The root in AWS KMS: the contract of roots against an endpoint that behaves like it, or the real one, and refusals.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import { awsKms } from './aws-kms.ts'
import { rootSealerContract } from './contract.ts'
import type { RootSealer } from './sealer.ts'
import { KmsEndpoint } from './testing/kms-endpoint.ts'

const client = await import('@aws-sdk/client-kms').catch(() => undefined)
const absent = client === undefined && '@aws-sdk/client-kms is not installed'

const endpoint = await KmsEndpoint.start()
after(() => endpoint.close())
const open = (rest: string): Promise<RootSealer> =>
  awsKms.open(rest, { data: '/', hasSealed: true, randomBytes })

// The region of a real account whose credentials the environment has, and which may make keys; they are deleted again.
const region = process.env['WRIT_KMS_REGION']
if (region === undefined) {
  process.env['AWS_ACCESS_KEY_ID'] = 'AKIAEXAMPLE'
  process.env['AWS_SECRET_ACCESS_KEY'] = 'example'
}

let made = 0
const fresh = (): string => {
  const alias = `alias/writ-${made++}`
  endpoint.aliases.set(alias, endpoint.create())
  return alias
}
const at = (key: string): string => `${key}?region=eu-central-1&endpoint=${endpoint.origin}`
const bring = async (alias: string): Promise<void> =>
  void endpoint.aliases.set(`${alias}-next`, endpoint.create())
const secret = new Secret<Uint8Array>(randomBytes(32))
const refusal =
  (kind: string, says: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(isFault(error), String(error))
    assert.equal(error.why?.kind, kind)
    assert.match(error.message, says)
    return true
  }

if (absent === false) {
  rootSealerContract('aws-kms', async () => {
    const alias = fresh()
    return { sealer: await open(at(alias)), again: () => open(at(alias)), bring: () => bring(alias) }
  })
} else test('aws-kms: the contract of roots', { skip: absent })

if (region !== undefined && client !== undefined) {
  const kms = new client.KMSClient({ region })
  const keys: string[] = []
  const aliases: string[] = []
  const makeKey = async (alias: string): Promise<void> => {
    const { KeyMetadata } = await kms.send(new client.CreateKeyCommand({ Description: 'contract of roots' }))
    const TargetKeyId = KeyMetadata?.KeyId ?? ''
    keys.push(TargetKeyId)
    aliases.push(alias)
    await kms.send(new client.CreateAliasCommand({ AliasName: alias, TargetKeyId }))
  }
  after(async () => {
    for (const alias of aliases) {
      for (const AliasName of [alias, `${alias}-next`, `${alias}-former`]) {
        await kms.send(new client.DeleteAliasCommand({ AliasName })).catch(() => undefined)
      }
    }
    for (const KeyId of keys)
      await kms.send(new client.ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }))
  })
  rootSealerContract('the real aws-kms', async () => {
    const alias = `alias/writ-contract-${randomBytes(6).toString('hex')}`
    await makeKey(alias)
    const rest = `${alias}?region=${region}`
    return { sealer: await open(rest), again: () => open(rest), bring: () => makeKey(`${alias}-next`) }
  })
}

const says = (title: string, body: () => Promise<void>): void => void test(title, { skip: absent }, body)

says(
  'a rotation waits for a person who brings the key, and none waits for a key named by its id',
  async () => {
    const alias = fresh()
    const sealer = await open(at(alias))
    await assert.rejects(sealer.stage('rot_1'), error => isFault(error) && error.code === 'conflict')
    await assert.rejects(
      sealer.stage('rot_1'),
      refusal('sealer_waits', new RegExp(`point ${alias}-next to it`)),
    )
    endpoint.aliases.set(`${alias}-next`, endpoint.aliases.get(alias) ?? '')
    await assert.rejects(
      sealer.stage('rot_1'),
      refusal('sealer_waits', /point/),
      'the same key is no successor',
    )
    const fixed = await open(at(endpoint.create()))
    await assert.rejects(fixed.stage('rot_1'), refusal('sealer_waits', /name an alias/))
  },
)

says('a text that names the key of somebody else is not even asked for', async () => {
  const sealer = await open(at(fresh()))
  const theirs = await open(at(endpoint.create()))
  const { text } = await theirs.seal(secret, 'a')
  assert.equal(await sealer.open(text, 'a'), undefined)
})

says('an activation that stopped halfway goes on', async () => {
  const alias = fresh()
  const sealer = await open(at(alias))
  const old = await sealer.seal(secret, 'a')
  await bring(alias)
  const next = await sealer.stage('rot_1')
  for (const call of ['UpdateAlias', 'DeleteAlias']) {
    endpoint.denied.add(call)
    await assert.rejects(sealer.activate(next), refusal('sealer_away', new RegExp(call)))
    assert.ok(await sealer.open(old.text, 'a'), `after ${call} failed`)
    endpoint.denied.delete(call)
  }
  await sealer.activate(next)
  assert.deepEqual([endpoint.aliases.get(alias), endpoint.aliases.get(`${alias}-former`)], [next, old.root])
  assert.ok(!endpoint.aliases.has(`${alias}-next`))
})

says('a retired key is disabled, or a person is asked to do it', async () => {
  const alias = fresh()
  const sealer = await open(at(alias))
  const former = await sealer.current()
  await bring(alias)
  await sealer.activate(await sealer.stage('rot_1'))
  endpoint.denied.add('DisableKey')
  await assert.rejects(sealer.retire(former), refusal('sealer_waits', /Disable the KMS key/))
  endpoint.denied.delete('DisableKey')
  await sealer.retire(former)
  assert.equal(endpoint.keys.get(former)?.enabled, false)
  assert.ok(!endpoint.aliases.has(`${alias}-former`))
})

says('a second rotation does not lose the key of one that has not ended', async () => {
  const alias = fresh()
  const sealer = await open(at(alias))
  const first = await sealer.seal(secret, 'a')
  await bring(alias)
  await sealer.activate(await sealer.stage('rot_1'))
  await bring(alias)
  const third = await sealer.stage('rot_2')
  await assert.rejects(sealer.activate(third), refusal('sealer_waits', /end its rotation first/))
  assert.ok(await sealer.open(first.text, 'a'))
  await sealer.retire(first.root)
  await sealer.activate(third)
  assert.equal(await sealer.current(), third)
})

says('while the service is down, refuses or has the key disabled, the root is away', async () => {
  const alias = fresh()
  const sealer = await open(at(alias))
  const { text, root } = await sealer.seal(secret, 'a')
  endpoint.denied.add('Decrypt')
  await assert.rejects(sealer.open(text, 'a'), refusal('sealer_away', /does not allow Decrypt/))
  endpoint.denied.clear()
  const key = endpoint.keys.get(root)
  assert.ok(key)
  key.enabled = false
  await assert.rejects(sealer.open(text, 'a'), refusal('sealer_away', /DisabledException/))
  key.enabled = true
  endpoint.down = true
  await assert.rejects(sealer.open(text, 'a'), refusal('sealer_away', /cannot be used now/))
  endpoint.down = false
  assert.ok(await sealer.open(text, 'a'))
})

says('a key that is not there or cannot encrypt is refused', async () => {
  await assert.rejects(open(at('alias/nobody')), refusal('sealer_unusable', /does not exist/))
  await assert.rejects(
    open(at(endpoint.create('ECC_NIST_P256'))),
    refusal('sealer_unusable', /not a symmetric one/),
  )
})

test('a setting that is not one, or not safe, is refused', async () => {
  const wrongs = ['', 'alias/writ', 'alias/?region=x', 'alias/writ?region=', 'a b?region=eu-central-1']
  const others = ['alias/writ?region=x&x=1', 'alias/writ?region=x&region=y', 'alias/writ?region=x?region=y']
  for (const wrong of [
    ...wrongs,
    ...others,
    'alias/writ?region=x&endpoint=http://kms.example',
    'alias/w?region=x&endpoint=y',
  ]) {
    await assert.rejects(open(wrong), refusal('sealer_setting', /./), wrong)
  }
})
