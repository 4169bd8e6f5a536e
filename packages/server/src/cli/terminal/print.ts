// What people see: tables without borders, fields, times both ways, colour where it helps and is wanted.
import { styleText } from 'node:util'
import type { GlobalOptions, Terminal } from '../command.ts'

/** How a cell is coloured. */
type Tone = 'green' | 'yellow' | 'red' | 'dim'

export interface Cell {
  readonly text: string
  readonly tone?: Tone | undefined
}

type Value = string | number | boolean | null | undefined | Cell

/** A column of a table: its head, and what stands below it. */
export interface Column<T> {
  readonly head: string
  of(item: T): Value
  /** Longer texts are cut, with an ellipsis; the whole is in `show` and in the JSON. */
  readonly most?: number
}

export interface Printer {
  /** One object: what the API answered as JSON, or its fields. */
  object(answer: unknown, fields: Readonly<Record<string, Value>>): void
  /** A list: what the API answered as JSON, or a table; `none` where there is nothing to list. */
  table<T>(list: { readonly items: readonly T[] }, columns: readonly Column<T>[], none: string): void
  line(text: string): void
  /** Beside the output, for people only: never part of what a script reads. */
  hint(text: string): void
}

export function printerFor(terminal: Terminal, options: GlobalOptions): Printer {
  const isColoured = colours(terminal)
  const out = (text: string): void => void terminal.stdout.write(`${text}\n`)
  const json = (answer: unknown): void => out(JSON.stringify(answer, null, 2))
  return {
    object(answer, fields) {
      if (options.json) return json(answer)
      const rows = Object.entries(fields).map(([name, value]) => [
        { text: name, tone: 'dim' as const },
        cellOf(value),
      ])
      for (const line of aligned(rows, isColoured)) out(line)
    },
    table(list, columns, none) {
      if (options.json) return json(list)
      if (list.items.length === 0) return void terminal.stderr.write(`writ: ${none}\n`)
      const heads = columns.map(({ head }): Cell => ({ text: head, tone: 'dim' }))
      const rows = list.items.map(item => columns.map(({ of, most }) => shortened(cellOf(of(item)), most)))
      for (const line of aligned([heads, ...rows], isColoured)) out(line)
    },
    line: out,
    hint: text => void (options.json || terminal.stderr.write(`writ: ${text}\n`)),
  }
}

/** https://no-color.org: any value but the empty one. */
function colours({ stdout, environment }: Terminal): boolean {
  return stdout.isTTY === true && !environment['NO_COLOR'] && environment['TERM'] !== 'dumb'
}

function cellOf(value: Value): Cell {
  if (typeof value === 'object' && value !== null) return { ...value, text: printable(value.text) }
  return { text: value === null || value === undefined || value === '' ? '-' : printable(String(value)) }
}

function shortened(cell: Cell, most = Number.POSITIVE_INFINITY): Cell {
  const letters = [...cell.text]
  return letters.length <= most ? cell : { ...cell, text: `${letters.slice(0, most - 1).join('')}…` }
}

/** Names and reasons are others' texts: no control character of theirs moves the cursor or turns the line. */
export function printable(text: string): string {
  return text.replace(/\p{C}/gu, '�')
}

/** The lines of a table: two spaces between columns, none at the end. */
function aligned(rows: readonly (readonly Cell[])[], isColoured: boolean): string[] {
  const widths: number[] = []
  for (const row of rows) {
    for (const [at, { text }] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, widthOf(text))
  }
  return rows.map(row =>
    row
      .map(({ text, tone }, at) => {
        const shown =
          isColoured && tone !== undefined ? styleText(tone, text, { validateStream: false }) : text
        const isLast = at === row.length - 1
        return isLast ? shown : shown + ' '.repeat((widths[at] ?? 0) - widthOf(text) + 2)
      })
      .join('')
      .trimEnd(),
  )
}

/** Columns of lines for people: the terminal's; else what `COLUMNS` says, else 80. */
export function columnsOf({ stdout, environment }: Terminal): number {
  if (stdout.isTTY === true && stdout.columns) return stdout.columns
  const told = environment['COLUMNS'] ?? ''
  return /^[1-9]\d{0,3}$/.test(told) ? Number(told) : 80
}

/** The lines of a text, broken at its spaces only: an id or an address stays whole, to be copied, however long. */
export function wrapped(text: string, first: number, further = first): string[] {
  const lines: string[] = []
  let line = ''
  for (const part of text.split(/(?<= )(?=[^ ])/)) {
    const isFull = widthOf((line + part).trimEnd()) > (lines.length === 0 ? first : further)
    if (isFull && line !== '') {
      lines.push(line.trimEnd())
      line = ''
    }
    line += part
  }
  return [...lines, line.trimEnd()]
}

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' })
// Scripts whose letters take two columns of a terminal, and pictures (Unicode Standard Annex 11).
const wide =
  /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\u3000-\u303f\uff01-\uff60]/u

/** Columns that a text takes in a terminal. */
function widthOf(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length
  let width = 0
  for (const { segment } of graphemes.segment(text)) width += wide.test(segment) ? 2 : 1
  return width
}

const tones: Readonly<Record<string, Tone>> = {
  active: 'green',
  allowed: 'green',
  staged: 'yellow',
  suspended: 'yellow',
  retiring: 'yellow',
  refused: 'red',
  failed: 'red',
  blocked: 'red',
  revoked: 'red',
  retired: 'dim',
  expired: 'dim',
}

/** A state or an outcome, in its colour. */
export function state(text: string): Cell {
  return { text, tone: tones[text] }
}

const units: readonly (readonly [string, number])[] = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
]

/** `2026-11-24 20:36:45Z (3 min ago)`; null where there is no such instant. */
export function instant(rfc3339: string | null, nowMs: number = Date.now()): string | null {
  if (rfc3339 === null) return null
  const atMs = Date.parse(rfc3339)
  if (Number.isNaN(atMs)) return rfc3339
  return `${new Date(atMs).toISOString().slice(0, 19).replace('T', ' ')}Z (${distance(atMs - nowMs)})`
}

function distance(ms: number): string {
  const seconds = Math.round(Math.abs(ms) / 1000)
  if (seconds === 0) return 'now'
  const [unit, size] = units.find(([, each]) => seconds >= each) ?? ['s', 1]
  const amount = `${Math.floor(seconds / size)} ${unit}`
  return ms < 0 ? `${amount} ago` : `in ${amount}`
}
