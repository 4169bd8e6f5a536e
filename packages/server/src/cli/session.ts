// One command at work: who it is, what it was given, and how it prints. Lists are asked for page by page.
import type { Command } from 'commander'
import { type GlobalOptions, type Terminal, wholeNumber } from './command.ts'
import { type Connection, connect } from './operator/connect.ts'
import { type Column, type Printer, printerFor } from './terminal/print.ts'

export interface Session<O> extends Connection {
  readonly terminal: Terminal
  readonly options: O & GlobalOptions
  /** What stood after the command's name, without the options. */
  readonly args: readonly string[]
  readonly print: Printer
}

/** A commander action that works in the operator's name. */
export function acting<O = GlobalOptions>(
  terminal: Terminal,
  work: (session: Session<O>) => Promise<void>,
): (...given: unknown[]) => Promise<void> {
  return async (...given) => {
    const used = given.at(-1) as Command
    const options = used.optsWithGlobals<O & GlobalOptions>()
    const connection = await connect(terminal, options)
    await work({
      ...connection,
      terminal,
      options,
      args: used.args,
      print: printerFor(terminal, options),
    })
  }
}

export interface Paging {
  readonly limit?: number
  readonly after?: string
  readonly all?: true
}

/** The options of every list that has pages. */
export function paged(list: Command): Command {
  return list
    .option('--limit <n>', 'how many at most (default 50)', wholeNumber(1, mostPerPage))
    .option('--after <next>', 'go on where a page ended: its "next"')
    .option('--all', 'ask for page after page until the end')
}

/** The bound of the API (`max_page` of its limits). */
const mostPerPage = 200

export interface Page<T> {
  readonly items: readonly T[]
  readonly next: string | null
}

type Query = { readonly limit?: number; readonly after?: string }

/** Prints one page, or with `--all` every one of them as if it were one. */
export async function printPages<T>(
  { print, options }: Pick<Session<Paging>, 'print' | 'options'>,
  ask: (query: Query) => Promise<Page<T>>,
  columns: readonly Column<T>[],
  none: string,
): Promise<void> {
  let page = await ask(given({ limit: options.limit ?? (options.all && mostPerPage), after: options.after }))
  if (options.all) {
    const items = [...page.items]
    while (page.next !== null) {
      page = await ask({ limit: options.limit ?? mostPerPage, after: page.next })
      items.push(...page.items)
    }
    page = { items, next: null }
  }
  print.table(page, columns, none)
  if (page.next !== null) print.hint(`there are more; go on with --after ${page.next}, or see all with --all`)
}

/** Leaves out what was not given, so that an absent option is an absent member. */
export function given<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}
