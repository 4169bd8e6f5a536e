// The keystore in a directory: the contract, then who must not read it, and what a crash must not leave behind.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
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
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { isFault } from '../../protocol/fault.ts'
import { keystoreContract } from './contract.ts'
import { fileKeystore } from './file.ts'
import { withFileLock } from './file-lock.ts'
import type { Keystore } from './keystore.ts'

const root = mkdtempSync(join(tmpdir(), 'writ-keystore-'))
after(() => rmSync(root, { recursive: true }))
const freshDirectory = (): string => join(mkdtempSync(join(root, 'at-')), 'keystore')

const directories = new WeakMap<Keystore, string>()
const openAt = (directory: string): Keystore => {
  const store = fileKeystore({ directory })
  directories.set(store, directory)
  return store
}
keystoreContract('file keystore', {
  open: () => openAt(freshDirectory()),
  again: store => fileKeystore({ directory: directories.get(store) as string }),
})

const unsafe = (kind: string) => (error: unknown) =>
  isFault(error) && error.code === 'invalid_key' && error.why?.kind === kind
const acceptance = {
  issuer: 'https://issuer.example',
  clientId: 'agt_1',
  instance: 'ins_1',
  enrollment: 'digest',
  kid: 'k1',
  notBefore: 1000,
  expiresAt: null,
}

test('refuses a keystore that group or others can read, to read as to write', async () => {
  for (const mode of [0o640, 0o604, 0o620, 0o644]) {
    const directory = freshDirectory()
    const store = openAt(directory)
    await store.stage('first')
    chmodSync(join(directory, 'keystore.json'), mode)
    await assert.rejects(store.read(), unsafe('file_readable'))
    await assert.rejects(store.stage('second'), unsafe('file_readable'))
  }
})

test('refuses a directory in which others could exchange the keystore', async () => {
  const directory = freshDirectory()
  mkdirSync(directory)
  for (const mode of [0o770, 0o702, 0o777]) {
    chmodSync(directory, mode)
    await assert.rejects(openAt(directory).stage('first'), unsafe('directory_writable'))
  }
})

test('does not follow a link to a file of somebody else', async () => {
  const directory = freshDirectory()
  mkdirSync(directory, { mode: 0o700 })
  writeFileSync(join(root, 'planted.json'), '{}', { mode: 0o600 })
  symlinkSync(join(root, 'planted.json'), join(directory, 'keystore.json'))
  await assert.rejects(openAt(directory).read(), unsafe('a_link'))
})

test('refuses a damaged, foreign or newer keystore instead of starting over', async () => {
  const good = { version: 1, member: null, active: null, staged: null }
  const contents = [
    '',
    '{',
    '[]',
    JSON.stringify({ ...good, version: 2 }),
    JSON.stringify({ ...good, staged: { purpose: 'first', jwk: {} } }),
    JSON.stringify({ ...good, member: { issuer: 'https://issuer.example' } }),
    '{"version":1,"version":1,"member":null,"active":null,"staged":null}',
  ]
  for (const content of contents) {
    const directory = freshDirectory()
    mkdirSync(directory, { mode: 0o700 })
    writeFileSync(join(directory, 'keystore.json'), content, { mode: 0o600 })
    const store = openAt(directory)
    await assert.rejects(store.read(), error => isFault(error) && error.code === 'invalid_key', content)
    await assert.rejects(
      store.stage('first'),
      error => isFault(error) && error.code === 'invalid_key',
      content,
    )
    assert.equal(readFileSync(join(directory, 'keystore.json'), 'utf8'), content)
  }
})

test('makes directory and file for their owner alone, and leaves nothing beside them', async () => {
  const directory = join(freshDirectory(), 'nested', 'deeper')
  const store = openAt(directory)
  const key = await store.stage('first')
  await store.activate(key.jkt, acceptance)
  assert.equal(statSync(directory).mode & 0o777, 0o700)
  assert.equal(statSync(join(directory, 'keystore.json')).mode & 0o777, 0o600)
  assert.deepEqual(readdirSync(directory), ['keystore.json'])
})

test('goes on after a process that ended while it wrote the file', async () => {
  const directory = freshDirectory()
  const store = openAt(directory)
  const key = await store.stage('first')
  writeFileSync(join(directory, 'keystore.json.new'), '{"half', { mode: 0o600 })
  await store.activate(key.jkt, acceptance)
  assert.equal((await openAt(directory).read()).active?.key.jkt, key.jkt)
})

test('takes over the lock of a process that is gone, also where that one had our number', async () => {
  for (const pid of [2 ** 30, process.pid]) {
    const directory = freshDirectory()
    const store = openAt(directory)
    await store.stage('first')
    writeFileSync(
      join(directory, 'turn.lock'),
      JSON.stringify({ host: hostname(), pid, token: 'of another run' }),
    )
    assert.equal(await store.alone(async () => 'in'), 'in')
  }
})

test('waits for a lock that is held, and says so when its turn does not come', async () => {
  const path = join(root, 'held.lock')
  await withFileLock(path, 1_000, async () => {
    await assert.rejects(
      withFileLock(path, 60, async () => assert.fail('two holders')),
      error => isFault(error) && error.code === 'temporarily_unavailable',
    )
    assert.equal(existsSync(path), true)
  })
  assert.equal(existsSync(path), false)
})

// A process that rotates its keystore as fast as it can, and reports each step once it is durable.
const writer = `
import { fileKeystore } from ${JSON.stringify(join(import.meta.dirname, 'file.ts'))}
const store = fileKeystore({ directory: process.argv[1] })
const { active } = await store.read()
for (let step = Number(active?.kid ?? 0) + 1; ; step += 1) {
  const key = await store.stage('step ' + step)
  await store.activate(key.jkt, { ...${JSON.stringify(acceptance)}, kid: String(step) })
  process.send(step)
}`

test('a process killed at any moment leaves the whole of the old state or of the new one', async () => {
  const directory = freshDirectory()
  let told = 0
  for (let round = 0; round < 6; round += 1) {
    const args = [
      ...process.execArgv.filter(flag => !flag.startsWith('--test')),
      '--input-type=module-typescript',
      '-e',
      writer,
    ]
    const child = spawn(process.execPath, [...args, directory], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    const goal = told + 2 + round
    child.on('message', message => {
      told = Number(message)
    })
    while (told < goal) await once(child, 'message')
    child.kill('SIGKILL')
    await Promise.all([once(child, 'exit'), once(child, 'disconnect')])
    const { member, active, staged } = await openAt(directory).read()
    assert.equal(member?.clientId, 'agt_1')
    assert.ok(Number(active?.kid) >= told, `step ${told} was reported as durable, ${active?.kid} is there`)
    assert.ok(staged === undefined || staged.purpose === `step ${Number(active?.kid) + 1}`)
    told = Number(active?.kid)
  }
})
