// The root from a passphrase: the contract of roots, files that must not be believed, and what a person has to bring.
import assert from 'node:assert/strict'
import { argon2Sync, randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import { aesGcmSealer } from '../../keys/aes-gcm.ts'
import { rootSealerContract } from './contract.ts'
import { passphrase } from './passphrase.ts'
import type { RootSealer } from './sealer.ts'

const root = mkdtempSync(join(tmpdir(), 'writ-passphrase-'))
after(() => rmSync(root, { recursive: true }))

let made = 0
const words = (): string => randomBytes(16).toString('hex')
const fresh = (...lines: string[]): string => {
  const path = join(root, `node-${made++}`, 'passphrase')
  mkdirSync(dirname(path), { recursive: true })
  if (lines.length > 0) put(path, lines)
  return path
}
const put = (path: string, lines: readonly string[]): void =>
  writeFileSync(path, `${lines.join('\n')}\n`, { mode: 0o600 })
const linesOf = (path: string): string[] => readFileSync(path, 'utf8').trimEnd().split('\n')
const open = (path: string, hasSealed = false): Promise<RootSealer> =>
  passphrase.open(path, { data: dirname(path), hasSealed, randomBytes })

rootSealerContract('passphrase', async () => {
  const path = fresh(words())
  const bring = async (): Promise<void> => put(path, [words(), ...linesOf(path)])
  return { sealer: await open(path), again: () => open(path, true), bring }
})

const secret = new Secret<Uint8Array>(randomBytes(32))
const refusal = (kind: string, says: RegExp) => (error: unknown) => {
  assert.ok(isFault(error), String(error))
  assert.equal(error.why?.kind, kind)
  assert.match(error.message, says)
  return true
}

test('the key is argon2id of the passphrase and the salt beside the data, so that others can make it again', async () => {
  const words = 'correct horse battery staple'
  const path = fresh(words)
  const sealer = await open(path)
  const { text } = await sealer.seal(secret, 'a')
  const [, salt = ''] =
    /^writ_salt_1_(.{22})\n/.exec(readFileSync(join(dirname(path), 'seal.salt'), 'utf8')) ?? []
  const nonce = Buffer.from(salt, 'base64url')
  const options = { message: words, nonce, memory: 65_536, passes: 3, parallelism: 4, tagLength: 32 }
  const key = argon2Sync('argon2id', options)
  assert.deepEqual(aesGcmSealer(new Secret<Uint8Array>(key)).open(text, 'a')?.reveal(), secret.reveal())
})

test('one passphrase makes two keys for two salts', async () => {
  const words = 'correct horse battery staple'
  assert.notEqual(await (await open(fresh(words))).current(), await (await open(fresh(words))).current())
})

test('without its file the root is away, and it opens once the file is brought', async () => {
  const path = fresh()
  await assert.rejects(open(path), refusal('sealer_away', /bring it/))
  put(path, [words()])
  assert.ok(await open(path))
})

test('a missing salt leaves the root away, and none is made, once something was sealed', async () => {
  const path = fresh(words())
  await assert.rejects(open(path, true), refusal('sealer_away', /seal\.salt is missing.*copy this file/))
  assert.deepEqual(readdirSync(dirname(path)), ['passphrase'])
  const sealer = await open(path)
  rmSync(join(dirname(path), 'seal.salt'))
  await assert.rejects(sealer.seal(secret, 'a'), refusal('sealer_away', /seal\.salt is missing/))
  assert.deepEqual(readdirSync(dirname(path)), ['passphrase'], 'nor while the server runs')
})

test('another passphrase opens nothing', async () => {
  const path = fresh(words())
  const { text } = await (await open(path)).seal(secret, 'a')
  put(path, [words()])
  assert.equal(await (await open(path, true)).open(text, 'a'), undefined)
})

test('a rotation waits for a person who brings the new passphrase', async () => {
  const path = fresh(words())
  const sealer = await open(path)
  await assert.rejects(sealer.stage('rot_1'), error => isFault(error) && error.code === 'conflict')
  await assert.rejects(sealer.stage('rot_1'), refusal('sealer_waits', /first line.*every node/))
  put(path, [words(), ...linesOf(path)])
  assert.ok(await sealer.stage('rot_1'))
})

test('which passphrase seals outlives a start, before the activation and after it', async () => {
  const path = fresh(words())
  const before = await (await open(path)).current()
  put(path, [words(), ...linesOf(path)])
  const sealer = await open(path, true)
  assert.equal(await sealer.current(), before)
  const next = await sealer.stage('rot_1')
  await sealer.activate(next)
  assert.equal(await (await open(path, true)).current(), next)
})

test('a node whose files were changed for it follows: the one passphrase that is left seals', async () => {
  const [a, b] = [words(), words()]
  const path = fresh(a)
  const sealer = await open(path)
  await sealer.activate(await sealer.current())
  put(path, [b])
  const next = await sealer.current()
  assert.equal((await sealer.seal(secret, 'a')).root, next)
})

test('where the file cannot be written, a person is told which line to remove', async () => {
  const [old, next] = [words(), words()]
  const path = fresh(old)
  const sealer = await open(path)
  const former = await sealer.current()
  put(path, [next, old])
  await sealer.activate(await sealer.stage('rot_1'))
  // A name so long that no draft fits beside it: not even root can replace this file.
  const deep = join(dirname(path), 'n'.repeat(251))
  put(deep, [next, old])
  const cramped = await open(deep, true)
  await assert.rejects(cramped.retire(former), refusal('sealer_waits', /Remove line 2 of/))
  put(deep, [next])
  await cramped.retire(former)
  assert.equal(await cramped.current(), await sealer.current())
})

test('a file that is open to others, too short or untidy is refused, and never shown', async () => {
  const path = fresh(words())
  chmodSync(path, 0o644)
  await assert.rejects(open(path), refusal('passphrase_exposed', /chmod 600/))
  const wrongs = [
    '',
    '\n',
    'too short\n',
    ` ${words()}\n`,
    `${words()} \n`,
    `${words()}\r\n`,
    `${words()}\n\n`,
  ]
  const twice = words()
  for (const wrong of [
    ...wrongs,
    `${twice}\n${twice}\n`,
    `${Array.from({ length: 9 }, words).join('\n')}\n`,
  ]) {
    const bad = fresh()
    writeFileSync(bad, wrong, { mode: 0o600 })
    await assert.rejects(open(bad), error => {
      refusal('passphrase_malformed', /passphrase file/)(error)
      if (wrong.length > 4) assert.ok(!(error as Error).message.includes(wrong.trim().slice(0, 9)))
      return true
    })
  }
  await assert.rejects(passphrase.open('', { data: root, hasSealed: false, randomBytes }), /Name the file/)
})

test('a salt that somebody changed is refused', async () => {
  const path = fresh(words())
  await open(path)
  for (const wrong of [
    '',
    'writ_salt_1_\n',
    `writ_salt_1_${'B'.repeat(22)}\n`,
    `writ_salt_2_${'A'.repeat(22)}\n`,
  ]) {
    writeFileSync(join(dirname(path), 'seal.salt'), wrong)
    await assert.rejects(open(path, true), refusal('seal_salt_malformed', /copy it from another node/))
  }
})
