// The engine of Cedar as it is loaded. One that ran out of its stack is broken for good, and is replaced by a fresh one.
import { createRequire } from 'node:module'

type Cedar = typeof import('@cedar-policy/cedar-wasm/nodejs')

let standing = load()

function load(): Cedar {
  // A `require` of its own each time: it holds what it has loaded, and a broken engine must be let go.
  const require = createRequire(import.meta.url)
  const path = require.resolve('@cedar-policy/cedar-wasm/nodejs')
  const loaded = require(path) as Cedar
  delete require.cache[path]
  return loaded
}

/** The engine that is in use now. It keeps what it has parsed by name, so nobody holds it for longer than one call. */
export const engine = (): Cedar => standing

/** Whether it was the engine that broke, and not what it was given that was wrong. */
export function isBroken(error: unknown): boolean {
  return error instanceof RangeError || error instanceof WebAssembly.RuntimeError
}

/** A fresh one, which knows no names. Some tenths of a second: better once than no decision ever after. */
export function replaceEngine(): void {
  standing = load()
}
