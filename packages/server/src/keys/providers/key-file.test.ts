// The sealing key in a file: the contract of sealers, and every file that must not be believed.
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
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import { sealerContract } from '../contract.ts'
import type { Sealer } from '../sealer.ts'
import { openKeyFile } from './key-file.ts'

const root = mkdtempSync(join(tmpdir(), 'writ-seal-'))
after(() => rmSync(root, { recursive: true }))

let made = 0
const fresh = (): string => join(root, `node-${made++}`, 'seal.key')
const paths = new Map<Sealer, string>()
const open = (path = fresh(), sealed: readonly string[] = []): Sealer => {
  const sealer = openKeyFile({ path, sealed })
  paths.set(sealer, path)
  return sealer
}

sealerContract('key file', { open: () => open(), again: sealer => open(paths.get(sealer)) })

const refusal =
  (kind: string, path: string, remedy: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(isFault(error), String(error))
    assert.equal(error.why?.kind, `seal_key_${kind}`)
    assert.ok(error.message.includes(path), error.message)
    assert.match(error.message, remedy)
    return true
  }

const secret = new Secret<Uint8Array>(randomBytes(32))

test('the file is made with mode 0600, whole, and with nothing left beside it', () => {
  const path = fresh()
  open(path)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.match(readFileSync(path, 'utf8'), /^writ_seal_1_[A-Za-z0-9_-]{43}\n$/)
  assert.deepEqual(readdirSync(join(path, '..')), ['seal.key'])
})

test('a file that stands is never written again', () => {
  const path = fresh()
  const first = open(path)
  const text = readFileSync(path, 'utf8')
  assert.equal(open(path).id, first.id)
  assert.equal(readFileSync(path, 'utf8'), text)
})

test('a copy of the file on another node opens what the first sealed', () => {
  const [path, copy] = [fresh(), fresh()]
  const sealed = open(path).seal(secret, 'a')
  mkdirSync(join(copy, '..'), { recursive: true })
  copyFileSync(path, copy)
  assert.deepEqual(open(copy, [sealed]).open(sealed, 'a')?.reveal(), secret.reveal())
})

test('a missing file is refused, and not replaced, once the database holds sealed keys', () => {
  const sealed = open().seal(secret, 'a')
  const path = fresh()
  assert.throws(() => open(path, [sealed]), refusal('missing', path, /copy this file from the node/))
  assert.ok(!existsSync(path))
})

test('the file of another database is refused', () => {
  const sealed = open().seal(secret, 'a')
  const path = fresh()
  const own = open(path).seal(secret, 'a')
  assert.throws(() => open(path, [sealed]), refusal('other', path, /copy this file from the node/))
  assert.throws(() => open(path, [own, sealed]), refusal('other', path, /copy this file from the node/))
  assert.throws(() => open(path, ['not sealed at all']), refusal('other', path, /copy/))
  assert.ok(open(path, [own]))
})

test('a file that others may read is refused with the command that closes it', () => {
  for (const mode of [0o640, 0o604, 0o660, 0o606, 0o610, 0o644]) {
    const path = fresh()
    open(path)
    chmodSync(path, mode)
    assert.throws(() => open(path), refusal('exposed', path, /chmod 600/))
  }
})

test('a symbolic link is refused, even one to a good file', () => {
  const [target, path] = [fresh(), fresh()]
  open(target)
  mkdirSync(join(path, '..'), { recursive: true })
  symlinkSync(target, path)
  assert.throws(() => open(path), refusal('link', path, /put the file itself there/))
  const dangling = fresh()
  mkdirSync(join(dangling, '..'), { recursive: true })
  symlinkSync(join(root, 'nowhere'), dangling)
  assert.throws(() => open(dangling), refusal('link', dangling, /put the file itself there/))
  assert.ok(!existsSync(join(root, 'nowhere')))
})

test('what is not a regular file is refused, and a pipe does not make the start hang', () => {
  const folder = fresh()
  mkdirSync(folder, { recursive: true })
  assert.throws(() => open(folder), refusal('not_a_file', folder, /put the file itself there/))
  const pipe = fresh()
  mkdirSync(join(pipe, '..'), { recursive: true })
  execFileSync('mkfifo', ['-m', '600', pipe])
  assert.throws(() => open(pipe), refusal('not_a_file', pipe, /put the file itself there/))
})

test('a file of another length, version or spelling is refused', () => {
  const path = fresh()
  open(path)
  const text = readFileSync(path, 'utf8')
  // Ends in a character whose last two bits are not zero: the same 32 bytes, spelt differently.
  const respelt = `writ_seal_1_${Buffer.alloc(32).toString('base64url').slice(0, -1)}B\n`
  for (const wrong of ['', text.slice(0, -2), `${text}\n`, `${text}x`, ` ${text}`, respelt]) {
    writeFileSync(path, wrong)
    assert.throws(() => open(path), refusal('malformed', path, /copy this file/), JSON.stringify(wrong))
  }
  for (const wrong of [text.replace('_1_', '_2_'), randomBytes(32), 'x'.repeat(1_000_000)]) {
    writeFileSync(path, wrong)
    assert.throws(() => open(path), refusal('malformed', path, /copy this file/))
  }
  writeFileSync(path, text.trimEnd())
  assert.ok(open(path))
})

test('a file of another user is refused', t => {
  const path = fresh()
  open(path)
  if (process.geteuid?.() !== 0) return t.diagnostic('only root can give a file away to see it refused')
  chownSync(path, 4242, 4242)
  assert.throws(() => open(path), refusal('foreign', path, /belong to the user/))
})

test('a folder that cannot be made is refused with a sentence', () => {
  const path = join(fresh(), 'seal.key')
  mkdirSync(join(path, '../..'), { recursive: true })
  writeFileSync(join(path, '..'), 'a file where a folder should be')
  assert.throws(() => open(path), refusal('unreadable', path, /ENOTDIR/))
})

test('processes that start together on one folder agree on one key', async () => {
  const path = fresh()
  mkdirSync(join(path, '..'), { recursive: true })
  const script = `
    import { openKeyFile } from ${JSON.stringify(new URL('./key-file.ts', import.meta.url).href)}
    process.stdout.write(openKeyFile({ path: ${JSON.stringify(path)}, sealed: [] }).id)
  `
  const start = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const args = ['--conditions=source', '--input-type=module', '-e', script]
      execFile(process.execPath, args, (error, stdout) => (error ? reject(error) : resolve(stdout)))
    })
  const ids = await Promise.all(Array.from({ length: 4 }, start))
  assert.equal(new Set(ids).size, 1, ids.join(' '))
  assert.deepEqual(readdirSync(join(path, '..')), ['seal.key'])
})

test('no message shows the key', () => {
  const path = fresh()
  const sealed = open().seal(secret, 'a')
  open(path)
  const text = readFileSync(path, 'utf8').slice(12, 30)
  try {
    open(path, [sealed])
    assert.fail('was opened')
  } catch (error) {
    assert.ok(isFault(error))
    assert.ok(!`${error.stack}${JSON.stringify(error.why)}`.includes(text))
  }
})
