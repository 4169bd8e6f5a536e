// The root in a key file: the contract of roots, every file that must not be believed, and processes that share one.
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import { aesGcmSealer } from '../../keys/aes-gcm.ts'
import { rootSealerContract } from './contract.ts'
import { file } from './file.ts'
import type { RootSealer } from './sealer.ts'

const root = mkdtempSync(join(tmpdir(), 'writ-root-'))
after(() => rmSync(root, { recursive: true }))

let made = 0
const fresh = (): string => join(root, `node-${made++}`, 'seal.key')
const open = (path: string, hasSealed = false): Promise<RootSealer> =>
  file.open(path, { data: dirname(path), hasSealed, randomBytes })

rootSealerContract('key file', async () => {
  const path = fresh()
  return { sealer: await open(path), again: () => open(path, true) }
})

const refusal =
  (kind: string, path: string, remedy: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(isFault(error), String(error))
    assert.equal(error.why?.kind, kind.startsWith('sealer_') ? kind : `seal_key_${kind}`)
    assert.ok(error.message.includes(path), error.message)
    assert.match(error.message, remedy)
    return true
  }

const secret = new Secret<Uint8Array>(randomBytes(32))
const linesOf = (path: string): string[] => readFileSync(path, 'utf8').trimEnd().split('\n')

test('the file is made with mode 0600, whole, and with nothing left beside it', async () => {
  const path = fresh()
  await file.open('', { data: dirname(path), hasSealed: false, randomBytes })
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.match(readFileSync(path, 'utf8'), /^writ_seal_1_[A-Za-z0-9_-]{43}\n$/)
  assert.deepEqual(readdirSync(dirname(path)), ['seal.key'])
})

test('a rotation rewrites the file with mode 0600, the key that seals first, and nothing left beside it', async () => {
  const path = fresh()
  const sealer = await open(path)
  const [first] = linesOf(path)
  const next = await sealer.stage('rot_1')
  assert.match(linesOf(path)[1] ?? '', /^writ_seal_1_[A-Za-z0-9_-]{43} staged rot_1$/)
  await sealer.activate(next)
  assert.match(linesOf(path)[0] ?? '', /^writ_seal_1_[A-Za-z0-9_-]{43} since rot_1$/)
  assert.equal(linesOf(path)[1], first)
  assert.equal(await sealer.stage('rot_1'), next, 'a late repetition makes no third key')
  await sealer.retire(aesGcmIdOf(first))
  assert.equal(linesOf(path).length, 1)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.deepEqual(readdirSync(dirname(path)), ['seal.key'])
})

const aesGcmIdOf = (line = ''): string =>
  aesGcmSealer(new Secret<Uint8Array>(Buffer.from(line.slice('writ_seal_1_'.length, 55), 'base64url'))).id

test('what an earlier version sealed with a file of one line still opens', async () => {
  const path = fresh()
  mkdirSync(dirname(path), { recursive: true })
  const key = randomBytes(32)
  const before = aesGcmSealer(new Secret<Uint8Array>(key))
  const sealed = before.seal(secret, 'a')
  for (const end of ['\n', '']) {
    writeFileSync(path, `writ_seal_1_${key.toString('base64url')}${end}`, { mode: 0o600 })
    const sealer = await open(path, true)
    assert.equal(await sealer.current(), before.id)
    assert.deepEqual((await sealer.open(sealed, 'a'))?.reveal(), secret.reveal())
  }
})

test('a copy of the file on another node opens what the first sealed', async () => {
  const [path, copy] = [fresh(), fresh()]
  const { text } = await (await open(path)).seal(secret, 'a')
  mkdirSync(dirname(copy), { recursive: true })
  copyFileSync(path, copy)
  assert.deepEqual((await (await open(copy, true)).open(text, 'a'))?.reveal(), secret.reveal())
})

test('a missing file leaves the root away, and is not replaced, once something was sealed', async () => {
  const path = fresh()
  await assert.rejects(open(path, true), refusal('sealer_away', path, /copy this file from the node/))
  assert.ok(!existsSync(path))
  const sealer = await open(path)
  const { text } = await sealer.seal(secret, 'a')
  const kept = readFileSync(path)
  rmSync(path)
  await assert.rejects(sealer.open(text, 'a'), refusal('sealer_away', path, /copy this file/))
  await assert.rejects(sealer.stage('rot_1'), refusal('sealer_away', path, /copy this file/))
  writeFileSync(path, kept, { mode: 0o600 })
  assert.ok(await sealer.open(text, 'a'), 'it follows the file that came back')
})

test('an older file that was put back opens what it holds, and nothing of the version it lacks', async () => {
  const path = fresh()
  const sealer = await open(path)
  const backup = readFileSync(path)
  const old = await sealer.seal(secret, 'a')
  await sealer.activate(await sealer.stage('rot_1'))
  const fresher = await sealer.seal(secret, 'a')
  writeFileSync(path, backup)
  const after = await open(path, true)
  assert.equal(await after.open(fresher.text, 'a'), undefined)
  assert.ok(await after.open(old.text, 'a'))
  await assert.rejects(after.activate(fresher.root), error => isFault(error) && error.message.includes(path))
})

test('a file that others may read is refused with the command that closes it', async () => {
  for (const mode of [0o640, 0o604, 0o660, 0o606, 0o610, 0o644]) {
    const path = fresh()
    const sealer = await open(path)
    chmodSync(path, mode)
    await assert.rejects(open(path), refusal('exposed', path, /chmod 600/))
    await assert.rejects(sealer.current(), refusal('exposed', path, /chmod 600/))
  }
})

test('a symbolic link is refused, even one to a good file', async () => {
  const [target, path] = [fresh(), fresh()]
  await open(target)
  mkdirSync(dirname(path), { recursive: true })
  symlinkSync(target, path)
  await assert.rejects(open(path), refusal('link', path, /put the file itself there/))
  const dangling = fresh()
  mkdirSync(dirname(dangling), { recursive: true })
  symlinkSync(join(root, 'nowhere'), dangling)
  await assert.rejects(open(dangling), refusal('link', dangling, /put the file itself there/))
  assert.ok(!existsSync(join(root, 'nowhere')))
})

test('what is not a regular file is refused, and a pipe does not make the start hang', async () => {
  const folder = fresh()
  mkdirSync(folder, { recursive: true })
  await assert.rejects(open(folder), refusal('not_a_file', folder, /put the file itself there/))
  const pipe = fresh()
  mkdirSync(dirname(pipe), { recursive: true })
  execFileSync('mkfifo', ['-m', '600', pipe])
  await assert.rejects(open(pipe), refusal('not_a_file', pipe, /put the file itself there/))
})

test('a file of another length, version, spelling or order is refused', async () => {
  const path = fresh()
  await open(path)
  const text = readFileSync(path, 'utf8')
  // Ends in a character whose last two bits are not zero: the same 32 bytes, spelt differently.
  const respelt = `writ_seal_1_${Buffer.alloc(32).toString('base64url').slice(0, -1)}B\n`
  const line = text.trimEnd()
  const wrongs = ['', text.slice(0, -2), `${text}\n`, `${text}x`, ` ${text}`, respelt, text + text]
  const marked = [`${line} staged rot_1\n`, `${line} waits rot_1\n`, `${line} since \n`, `${line}\r\n`]
  const others = [text.replace('_1_', '_2_'), randomBytes(32), 'x'.repeat(1_000_000)]
  for (const wrong of [...wrongs, ...marked, ...others]) {
    writeFileSync(path, wrong)
    await assert.rejects(open(path), refusal('malformed', path, /file/), JSON.stringify(wrong).slice(0, 80))
  }
  writeFileSync(path, line)
  assert.ok(await open(path))
})

test('a file of another user is refused', async t => {
  const path = fresh()
  await open(path)
  if (process.geteuid?.() !== 0) return t.diagnostic('only root can give a file away to see it refused')
  chownSync(path, 4242, 4242)
  await assert.rejects(open(path), refusal('foreign', path, /belong to the user/))
})

test('a folder that cannot be made is refused with a sentence', async () => {
  const path = join(fresh(), 'seal.key')
  mkdirSync(dirname(dirname(path)), { recursive: true })
  writeFileSync(dirname(path), 'a file where a folder should be')
  await assert.rejects(open(path), refusal('unreadable', path, /ENOTDIR/))
})

const inProcess = (path: string, body: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const script = `
      import { randomBytes } from 'node:crypto'
      import { file } from ${JSON.stringify(new URL('./file.ts', import.meta.url).href)}
      const sealer = await file.open(${JSON.stringify(path)}, { data: '/', hasSealed: false, randomBytes })
      ${body}
    `
    const args = ['--conditions=writ-source', '--input-type=module', '-e', script]
    execFile(process.execPath, args, (error, stdout) => (error ? reject(error) : resolve(stdout)))
  })

test('processes that start together on one folder agree on one key', async () => {
  const path = fresh()
  mkdirSync(dirname(path), { recursive: true })
  const start = (): Promise<string> => inProcess(path, 'process.stdout.write(await sealer.current())')
  const ids = await Promise.all(Array.from({ length: 4 }, start))
  assert.equal(new Set(ids).size, 1, ids.join(' '))
  assert.deepEqual(readdirSync(dirname(path)), ['seal.key'])
})

test('processes that rotate at once lose no key: what each of them sealed opens in the end', async () => {
  const path = fresh()
  await open(path)
  const body = `
    import { Secret } from '@writ/sdk/protocol/secret'
    const texts = []
    for (let at = 0; at < 4; at += 1) {
      const persist = async run => {
        for (;;) try { return await run() } catch (error) { if (error.why?.kind !== 'seal_key_busy') throw error }
      }
      const next = await persist(() => sealer.stage(process.pid + '-' + at))
      await persist(() => sealer.activate(next))
      texts.push((await sealer.seal(new Secret(new Uint8Array(8)), 'a')).text)
    }
    process.stdout.write(texts.join(' '))
  `
  const out = await Promise.all(Array.from({ length: 3 }, () => inProcess(path, body)))
  const sealer = await open(path, true)
  for (const text of out.join(' ').split(' ')) assert.ok(await sealer.open(text, 'a'))
})

test('a lock is respected while it is fresh, and taken over once its holder was killed', async () => {
  const path = fresh()
  const sealer = await open(path)
  const lock = `${path}.lock`
  writeFileSync(lock, '')
  await assert.rejects(
    sealer.stage('rot_1'),
    error =>
      isFault(error) && error.code === 'temporarily_unavailable' && error.why?.kind === 'seal_key_busy',
  )
  assert.equal(linesOf(path).length, 1)
  const before = Date.now() / 1000 - 120
  utimesSync(lock, before, before)
  await sealer.stage('rot_1')
  assert.deepEqual(readdirSync(dirname(path)), ['seal.key'])
})

test('what a killed process left of its draft goes with the next change', async () => {
  const path = fresh()
  const sealer = await open(path)
  const before = await sealer.current()
  await sealer.activate(await sealer.stage('rot_1'))
  copyFileSync(path, `${path}.next`)
  await sealer.retire(before)
  assert.deepEqual(readdirSync(dirname(path)), ['seal.key'])
  assert.equal(linesOf(path).length, 1)
})

test('no message shows the key', async () => {
  const path = fresh()
  await open(path)
  const text = readFileSync(path, 'utf8')
  writeFileSync(path, `${text}x`)
  await assert.rejects(open(path), error => {
    assert.ok(isFault(error))
    assert.ok(!`${error.stack}${JSON.stringify(error.why)}`.includes(text.slice(12, 30)))
    return true
  })
})
