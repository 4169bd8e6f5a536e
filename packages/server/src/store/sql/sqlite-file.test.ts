// The SQLite file: one owner, private, whole after a kill in the middle of a write, and reads go on when it is full.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { isFault } from '@writ/sdk/protocol/fault'
import { defaultTenant } from '../../domain/tenant.ts'
import { agentOf, entry, sceneIn, start, unique } from '../contract/scene.ts'
import { openSqlite } from './engine/sqlite.ts'
import { openStore, storeOver } from './open.ts'

const home = mkdtempSync(join(tmpdir(), 'writ-file-'))
after(() => rmSync(home, { recursive: true }))
let count = 0
const newFile = (): string => join(home, `${++count}.db`)
const openFile = (file: string) => openStore({ kind: 'sqlite', file }, { randomBytes })

test('a second owner is refused with a sentence that says what to do, and the first goes on', async () => {
  const file = newFile()
  const store = await openFile(file)
  await assert.rejects(
    openFile(file),
    error => isFault(error) && /in use by another process/.test(error.message),
  )
  const { done } = await sceneIn(store)
  await done()
  await store.close()
  await (await openFile(file)).close()
})

test('every file of the database is readable by its owner alone', async () => {
  const file = newFile()
  const store = await openFile(file)
  await (await sceneIn(store)).done()
  const files = readdirSync(home).filter(name => name.startsWith(`${count}.db`))
  assert.ok(files.length >= 2, 'the database and its log')
  for (const name of files) assert.equal(statSync(join(home, name)).mode & 0o777, 0o600, name)
  await store.close()
})

test('a full disk refuses what it cannot hold, keeps all that was acknowledged, and heals without a restart', async () => {
  const file = newFile()
  const engine = openSqlite(file)
  const onError = () => {}
  const store = await storeOver({ database: { kind: 'sqlite', file }, engine, randomBytes, onError })
  const scene = await sceneIn(store)
  const agent = agentOf()
  await scene.done({ puts: [{ put: 'agent', value: agent, ifVersion: 0 }] })
  const { rows } = await engine.query('select page_count as pages from pragma_page_count()', [])
  await engine.query(`pragma max_page_count = ${Number(rows[0]?.['pages']) + 5}`, [])

  const claim = { key: unique(), until: start + 60 }
  const big = () => entry({ reason: 'x'.repeat(5000) })
  const outcomes = await Promise.allSettled(
    Array.from({ length: 40 }, () => scene.done({ entries: [big()] })),
  )
  assert.ok(
    outcomes.every(({ status }) => status === 'rejected'),
    'one group, too large for the disk',
  )
  const refused = scene.commit({
    claims: [claim],
    entries: [big(), big(), big(), big(), big(), big(), big(), big()],
  })
  await assert.rejects(refused, error => isFault(error) && error.code === 'temporarily_unavailable')

  assert.equal((await store.agents.get(scene, agent.id))?.id, agent.id)
  assert.equal((await store.facts.caller(scene, agent.id, { fresh: true }))?.agent?.id, agent.id)
  assert.equal(await store.log.size(scene), 1)
  await engine.query('pragma max_page_count = 1000000', [])
  const { first } = await scene.done({ claims: [claim], entries: [big()] })
  assert.equal(first.index, 1)
  await store.close()
})

const writer = fileURLToPath(new URL('./testing/writer.ts', import.meta.url))

/** Runs the writer until it has acknowledged something, kills it a moment later, and answers what it acknowledged. */
async function killedWriter(file: string, round: number): Promise<readonly [string, number, string][]> {
  const child = spawn(
    process.execPath,
    ['--conditions=source', '--disable-warning=ExperimentalWarning', writer, file, `${round}`],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  let said = ''
  child.stdout.on('data', chunk => {
    if (said === '') setTimeout(() => child.kill('SIGKILL'), randomInt(0, 60))
    said += chunk
  })
  await once(child, 'close')
  const lines = said.split('\n').slice(0, -1)
  assert.ok(lines.length > 0, 'the writer acknowledged something')
  return lines.map(line => {
    const [key = '', index = '', id = ''] = line.split(' ')
    return [key, Number(index), id]
  })
}

test('whatever was acknowledged before a kill is there after it, and nothing is half there, in 25 of 25 kills', async () => {
  const file = newFile()
  let total = 0
  for (let round = 0; round < 25; round++) {
    const acknowledged = await killedWriter(file, round)
    const store = await openFile(file)
    const scope = { tenant: defaultTenant }
    const size = await store.log.size(scope)
    const entries = await store.log.range(scope, total, size + 1)
    assert.deepEqual(
      entries.map(({ index, text }) => [index, JSON.parse(text).index]),
      Array.from({ length: size - total }, (_, at) => [total + at, total + at]),
    )
    assert.equal(await store.signals.head(scope), size)
    assert.equal((await store.log.hashes(scope, total, size)).length, (size - total) * 32)
    const now = Math.floor(Date.now() / 1000)
    for (const [key, index, id] of acknowledged) {
      assert.equal((await store.log.entry(scope, id))?.index, index)
      const again = await store.commit(
        { ...scope, now, nowMs: now * 1000 },
        { claims: [{ key, until: now }], entries: [entry()] },
      )
      assert.equal(again.kind, 'replayed')
    }
    assert.ok(size >= total + acknowledged.length)
    total = size
    await store.close()
  }
})
