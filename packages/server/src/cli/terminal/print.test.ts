// What people see: columns that line up whatever the script, no escape of anybody's text, colour where it is wanted.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GlobalOptions } from '../command.ts'
import {
  type Column,
  columnsOf,
  instant,
  type Printer,
  printable,
  printerFor,
  state,
  wrapped,
} from './print.ts'

const esc = '\u001b'

interface Scene extends GlobalOptions {
  readonly isTTY?: boolean
  readonly environment?: Record<string, string>
}

function scene(
  show: (print: Printer) => void,
  { isTTY = false, environment = {}, ...options }: Scene = {},
): { readonly out: string; readonly err: string } {
  let out = ''
  let err = ''
  const write = {
    stdout: {
      isTTY,
      write: (text: string) => {
        out += text
      },
    },
    stderr: {
      write: (text: string) => {
        err += text
      },
    },
  }
  show(printerFor({ ...write, environment }, options))
  return { out, err }
}

interface Item {
  readonly name: string
  readonly status: string
}

const columns: readonly Column<Item>[] = [
  { head: 'name', of: ({ name }) => name, most: 12 },
  { head: 'status', of: ({ status }) => state(status) },
  { head: 'end', of: () => 'x' },
]

const items: readonly Item[] = [
  { name: 'reporter', status: 'active' },
  { name: '報告者', status: 'suspended' },
  { name: 'e\u0301te\u0301', status: 'retired' },
  { name: 'a very long name of an agent', status: 'active' },
]

test('lines columns up by the width that a terminal gives them, and ends no line with spaces', () => {
  const { out } = scene(print => print.table({ items }, columns, 'none'))
  assert.deepEqual(out.split('\n'), [
    'name          status     end',
    'reporter      active     x',
    '報告者        suspended  x',
    'e\u0301te\u0301           retired    x',
    'a very long…  active     x',
    '',
  ])
})

test('lets no text of others move the cursor, turn the line or write over another', () => {
  const hostile = '\u001b[2Jname\r\nnext\u202eeman\u0007'
  assert.equal(printable(hostile), '�[2Jname��next�eman�')
  const { out } = scene(print => {
    print.table({ items: [{ name: hostile, status: 'active' }] }, columns, 'none')
    print.object({}, { name: hostile })
  })
  assert.doesNotMatch(out.replaceAll('\n', ''), /\p{C}/u)
})

test('colours states on a terminal, and nowhere where it is not wanted', () => {
  const show = (print: Printer): void => print.table({ items: items.slice(0, 1) }, columns, 'none')
  assert.ok(scene(show, { isTTY: true }).out.includes(`${esc}[32mactive${esc}[39m  x`))
  for (const plain of [
    { isTTY: false },
    { isTTY: true, environment: { NO_COLOR: '1' } },
    { isTTY: true, environment: { TERM: 'dumb' } },
  ]) {
    assert.ok(!scene(show, plain).out.includes(esc))
  }
  assert.ok(scene(show, { isTTY: true, environment: { NO_COLOR: '' } }).out.includes(esc))
})

test('prints as JSON what was answered and nothing else', () => {
  const answer = { items, next: null }
  const show = (print: Printer): void => {
    print.table(answer, columns, 'none')
    print.hint('there is more')
  }
  const { out, err } = scene(show, { json: true, isTTY: true })
  assert.deepEqual(JSON.parse(out), answer)
  assert.equal(err, '')
})

test('says where there is nothing, beside the output', () => {
  const { out, err } = scene(print => print.table({ items: [] }, columns, 'no agents'))
  assert.equal(out, '')
  assert.equal(err, 'writ: no agents\n')
})

test('tells an instant as it is and how far it is away', () => {
  const nowMs = Date.parse('2026-11-24T20:00:00Z')
  const told = (text: string): string | null => instant(text, nowMs)
  assert.equal(told('2026-11-24T20:00:00.400Z'), '2026-11-24 20:00:00Z (now)')
  assert.equal(told('2026-11-24T19:59:01Z'), '2026-11-24 19:59:01Z (59 s ago)')
  assert.equal(told('2026-11-24T19:58:59Z'), '2026-11-24 19:58:59Z (1 min ago)')
  assert.equal(told('2026-11-24T22:59:59Z'), '2026-11-24 22:59:59Z (in 2 h)')
  assert.equal(told('2026-10-25T21:00:00+01:00'), '2026-10-25 20:00:00Z (30 d ago)')
  assert.equal(instant(null), null)
})

test('breaks a text at its spaces only, by the width that a terminal gives it', () => {
  assert.deepEqual(wrapped('one two  three', 8), ['one two', 'three'])
  assert.deepEqual(wrapped('one two three', 3, 9), ['one', 'two three'])
  assert.deepEqual(wrapped('a https://writ.example/api b', 5), ['a', 'https://writ.example/api', 'b'])
  assert.deepEqual(wrapped('一二 三四', 8), ['一二', '三四'])
  assert.deepEqual(wrapped('', 8), [''])
})

test('knows the columns of a terminal, and takes 80 where there is none and nobody says another number', () => {
  const columns = (stdout: { isTTY?: boolean; columns?: number }, COLUMNS?: string): number =>
    columnsOf({
      stdout: { ...stdout, write: () => {} },
      stderr: { write: () => {} },
      environment: { COLUMNS },
    })
  assert.equal(columns({ isTTY: true, columns: 132 }, '60'), 132)
  assert.equal(columns({}, '60'), 60)
  for (const odd of [undefined, '', '0', '-1', '1e3', 'wide']) assert.equal(columns({}, odd), 80)
})
