// The root in a token: the contract of roots against SoftHSM, and tokens, PINs and keys that are not the right ones.
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import { rootSealerContract } from './contract.ts'
import { openSession } from './cryptoki.ts'
import { pkcs11 } from './pkcs11.ts'
import type { RootSealer } from './sealer.ts'

const places = ['/usr/lib/softhsm/libsofthsm2.so', '/usr/local/lib/softhsm/libsofthsm2.so']
const module = places.find(existsSync) ?? ''
const hasKoffi = await import('koffi').then(
  () => true,
  () => false,
)
const absent =
  module === '' ? 'SoftHSM is not installed (Debian package softhsm2)' : !hasKoffi && 'koffi is not installed'

const folder = mkdtempSync(join(tmpdir(), 'writ-pkcs11-'))
after(() => rmSync(folder, { recursive: true }))
const pinFile = join(folder, 'pin')
const pin = 'a user pin'

if (absent === false) {
  mkdirSync(join(folder, 'tokens'))
  const config = join(folder, 'softhsm2.conf')
  writeFileSync(config, `directories.tokendir = ${join(folder, 'tokens')}\nlog.level = ERROR\n`)
  process.env['SOFTHSM2_CONF'] = config
  for (const label of ['writ', 'other']) {
    const options = ['--init-token', '--free', '--label', label, '--so-pin', '12345678', '--pin', pin]
    execFileSync('softhsm2-util', options, { stdio: 'ignore' })
  }
  writeFileSync(pinFile, `${pin}\n`, { mode: 0o600 })
}

const uri = (object: string, { token = 'writ', source = pinFile } = {}): string =>
  `token=${token};object=${object}?module-path=${module}&pin-source=${source}`
const open = (rest: string, hasSealed = false): Promise<RootSealer> =>
  pkcs11.open(rest, { data: folder, hasSealed, randomBytes })
const address = { module, token: 'writ', pin: () => Buffer.from(pin) }

let made = 0
const fresh = (): string => `root-${made++}`
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
  rootSealerContract('pkcs11', async () => {
    const rest = uri(fresh())
    return { sealer: await open(rest), again: () => open(rest, true) }
  })
} else test('pkcs11: the contract of roots', { skip: absent })

const says = (title: string, body: () => Promise<void>): void => void test(title, { skip: absent }, body)

says('the key is made in the token, and cannot be taken out of it', async () => {
  const object = fresh()
  const sealer = await open(uri(object))
  const session = await openSession(address)
  const keys = await session.keys(object)
  assert.equal(keys.length, 1)
  await session.close()
  await sealer.close()
})

says('another process opens what this one sealed, and sees what was activated', async () => {
  const rest = uri(fresh())
  const sealer = await open(rest)
  const next = await sealer.stage('rot_1')
  await sealer.activate(next)
  const { text } = await sealer.seal(secret, 'a')
  const script = `
    import { randomBytes } from 'node:crypto'
    import { pkcs11 } from ${JSON.stringify(new URL('./pkcs11.ts', import.meta.url).href)}
    const sealer = await pkcs11.open(${JSON.stringify(rest)}, { data: '/', hasSealed: true, randomBytes })
    const opened = await sealer.open(${JSON.stringify(text)}, 'a')
    process.stdout.write(await sealer.current() + ' ' + Buffer.from(opened.reveal()).toString('hex'))
    await sealer.close()
  `
  const out = await new Promise<string>((resolve, reject) => {
    const args = ['--conditions=writ-source', '--input-type=module', '-e', script]
    execFile(process.execPath, args, (error, stdout) => (error ? reject(error) : resolve(stdout)))
  })
  assert.equal(out, `${next} ${Buffer.from(secret.reveal()).toString('hex')}`)
  await sealer.close()
})

says('a token without the key is refused once something was sealed, and none is made', async () => {
  const object = fresh()
  await assert.rejects(open(uri(object), true), refusal('sealer_unusable', /holds no AES key/))
  await assert.rejects(open(uri(object), true), refusal('sealer_unusable', /holds no AES key/))
})

says('a token that is not there, or a module that is not, leaves the root away', async () => {
  await assert.rejects(open(uri(fresh(), { token: 'gone' })), refusal('sealer_away', /no token called gone/))
  const rest = uri(fresh()).replace(module, join(folder, 'no-module.so'))
  await assert.rejects(open(rest), refusal('sealer_away', /cannot be loaded/))
})

says('a wrong PIN is refused, and one that is not there waits to be brought', async () => {
  const wrong = join(folder, 'wrong-pin')
  writeFileSync(wrong, 'not the pin', { mode: 0o600 })
  const rest = uri(fresh(), { token: 'other', source: wrong })
  await assert.rejects(open(rest), refusal('sealer_unusable', /refuses the PIN/))
  const missing = uri(fresh(), { token: 'other', source: join(folder, 'no-pin') })
  await assert.rejects(open(missing), refusal('sealer_away', /bring it/))
  chmodSync(wrong, 0o640)
  await assert.rejects(open(rest), refusal('pkcs11_pin_exposed', /chmod 600/))
})

says('keys of one order under the same name are refused: nothing says which of them seals', async () => {
  const object = fresh()
  const session = await openSession(address)
  await session.generate(object, Buffer.from('01', 'hex'))
  const sealer = await open(uri(object), true)
  assert.ok(await sealer.current(), 'a key that an operator made is taken')
  await session.generate(object, Buffer.from('02', 'hex'))
  await assert.rejects(open(uri(object), true), refusal('sealer_unusable', /which of them seals/))
  await assert.rejects(sealer.seal(secret, 'a'), refusal('sealer_unusable', /which of them seals/))
  await session.close()
  await sealer.close()
})

says('a call that fails does not spoil the ones after it', async () => {
  const sealer = await open(uri(fresh()))
  const { text } = await sealer.seal(secret, 'a')
  const all = [sealer.open(text, 'b'), sealer.open(text, 'a'), sealer.open('x', 'a'), sealer.open(text, 'a')]
  const opened = await Promise.all(all)
  assert.deepEqual(opened.map(Boolean), [false, true, false, true])
  await sealer.close()
  assert.ok(await sealer.open(text, 'a'), 'a session that was closed is opened again')
  await sealer.close()
})

test('a setting that is no pkcs11 URI is refused, and a PIN in it too', async () => {
  const wrongs = ['', 'token=a', 'token=a;object=b', 'token=a;object=b?module-path=/m', 'token=%E0;object=b']
  const absolute = 'token=a;object=b?module-path=m.so&pin-source=/p'
  const twice = 'token=a;token=b;object=b?module-path=/m&pin-source=/p'
  const strange = 'token=a;object=b;slot-id=1?module-path=/m&pin-source=/p'
  for (const wrong of [...wrongs, absolute, twice, strange, 'token;object=b', 'token=a?b=c?d=e']) {
    await assert.rejects(open(wrong), refusal('sealer_setting', /./), wrong)
  }
  const told = 'token=a;object=b?module-path=/m&pin-value=1234'
  await assert.rejects(
    open(told),
    error => refusal('sealer_setting', /name a file/)(error) && !/1234/.test(String(error)),
  )
})
