// Prints what happens: numbered steps, aligned facts, a tick only where everything that the step says was seen.
import { styleText } from 'node:util'

export interface Say {
  /** One observation, under a label. */
  fact(label: string, text: string): void
  /** A line of something that another program printed. */
  line(text: string): void
}

export interface Narrator extends Say {
  title(text: string): void
  plain(text: string): void
  /** Runs one step of a chapter; its facts come first, its tick last, and only if it did not throw. */
  step<T>(number: number, title: string, run: (say: Say) => Promise<T>): Promise<T>
}

const labelWidth = 17

/** Colour only where a person looks on, and has not asked for none (NO_COLOR is honoured by `styleText`). */
export function createNarrator(out: NodeJS.WriteStream): Narrator {
  const style = (format: Parameters<typeof styleText>[0], text: string): string =>
    out.isTTY ? styleText(format, text, { stream: out }) : text
  const print = (text = ''): void => void out.write(`${text}\n`)
  const say: Say = {
    fact: (label, text) => print(`     ${style('dim', label.padEnd(labelWidth))}${text}`),
    line: text => print(`     ${style('dim', text)}`),
  }
  return {
    ...say,
    title: text => print(style('bold', text)),
    plain: text => print(text),
    async step(number, title, run) {
      print()
      print(style('bold', `${String(number).padStart(2)}  ${title}`))
      const startedAt = performance.now()
      const result = await run(say)
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
      print(` ${style('green', '✔')}   ${style('dim', `step ${number} did what it says, in ${seconds} s`)}`)
      return result
    },
  }
}

/** A thumbprint or key id, short enough for a line. */
export const short = (id: string): string => `${id.slice(0, 10)}…`
