// The reference page of the management API names every scope, every object and every type of entry that there is.
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { access } from './access.ts'
import { readEvent } from './operation.ts'
import { operations } from './operations.ts'

const sources = join(import.meta.dirname, '..')
const page = readFileSync(join(sources, '../../../docs/reference/contract.md'), 'utf8')
const [, scopesPart = '', objectsPart = '', entriesPart = ''] =
  /## Who may call\n(.*)## Requests\n.*## Objects\n(.*)## Entries\n(.*)/s.exec(page) ?? []

test('every scope that an operation needs has its row, and no row is left over', () => {
  const shown = [...scopesPart.matchAll(/^\| (`.*?`) \|/gm)].flatMap(([, cell = '']) => {
    const [first = '', ...others] = [...cell.matchAll(/`(.*?)`/g)].map(([, name = '']) => name)
    return [first, ...others.map(kind => first.replace(/:[a-z]+$/, kind))]
  })
  // Asked for at endpoints that are no operations of this API.
  const elsewhere = ['writ:decisions:evaluate', 'writ:decisions:search', 'writ:tokens:read']
  const needed = new Set([...Object.values(access), ...elsewhere])
  assert.ok(needed.size > 30)
  assert.deepEqual([...shown].toSorted(), [...needed].toSorted())
})

test('every kind of object is spoken of', () => {
  const roots = new Set(operations.map(({ path }) => path.split('/')[1] ?? ''))
  assert.ok(roots.size > 15)
  // Those whose members a schema says whole.
  const plain = ['people', 'clients', 'agents', 'secrets', 'issuer']
  for (const root of roots)
    assert.ok(plain.includes(root) || objectsPart.includes(`/${root}`), `nothing is said of /${root}`)
})

test('every type of entry that the sources write is listed, and nothing else', () => {
  const table = entriesPart.slice(entriesPart.indexOf('| about | types |'))
  const listed = new Set([...table.matchAll(/`([a-z_-]+\.[a-z_-]+)`/g)].map(([, type = '']) => type))
  for (const { event } of operations)
    if (event !== readEvent) assert.ok(listed.has(event), `${event} is not listed`)
  const nouns = new Set([...listed].map(type => type.split('.')[0] ?? ''))
  // What has happened, as types say it; members of objects and names of files are no such words.
  const happened =
    /'([a-z_-]+)\.([a-z_-]*(?:ed|begun|given|told|read|left|swept|ending|active|live|back|glass|evaluations))'/g
  const files = globSync('**/*.ts', { cwd: sources }).filter(
    file => !/\.test\.ts$|(?:^|\/)(?:testing|contract|cli)\//.test(file),
  )
  const written = files.flatMap(file =>
    [...readFileSync(join(sources, file), 'utf8').matchAll(happened)]
      .filter(([, noun = '']) => nouns.has(noun))
      .map(([, noun, verb]) => `${noun}.${verb}`),
  )
  assert.ok(written.length > 100)
  for (const type of new Set(written)) assert.ok(listed.has(type), `${type} is not listed`)
  // The types of these are put together from a state.
  const madeUp = /^(?:rotation|issuer_key)\./
  const standing = new Set([...written, ...operations.map(({ event }) => event)])
  for (const type of listed) assert.ok(standing.has(type) || madeUp.test(type), `nothing writes ${type}`)
})
