// Fault F7: the disk of the only node fills up under load. Writes are told to come again, the rest goes on, nothing is lost.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { freePort } from '../cli/process.ts'
import { payloadOf } from '../harness/agent.ts'
import { until } from '../harness/deadline.ts'
import { isAway } from './answers.ts'
import { historyOf } from './history.ts'
import { startLoad } from './load.ts'
import { askAt, folderOf, operatorAt, type Reach, type ServeOptions, type Serving, serve } from './process.ts'

/** A place to keep data where space can be taken away and given back. */
interface Space {
  /** How the server has to be started to keep its data there. */
  readonly through: readonly string[]
  /** The data folder as this process sees it. */
  folder(node: Serving): string
  fill(node: Serving): void
  free(node: Serving): void
}

const megabytes = 24

/** A file system of its own that only the server sees, so that it goes with the server whatever happens. */
const smallDisk = (data: string, unshare: readonly string[]): Space => {
  const mount = `mount -t tmpfs -o size=${megabytes}m tmpfs "$0" && exec "$@"`
  const folder = ({ pid }: Serving): string => `/proc/${pid}/root${data}`
  return {
    through: ['unshare', ...unshare, 'sh', '-c', mount, data],
    folder,
    fill(node) {
      // First most of it, then whatever is left to the last page.
      for (const size of [megabytes << 20, 1 << 16, 4096]) {
        for (let at = 0; ; at++) {
          try {
            writeFileSync(join(folder(node), `fill-${size}-${at}`), Buffer.alloc(size))
          } catch (error) {
            if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
            break
          }
        }
      }
    },
    free(node) {
      for (const name of readdirSync(folder(node)))
        if (name.startsWith('fill-')) rmSync(join(folder(node), name))
    },
  }
}

/** Files that may not grow: what an unprivileged process can do to another one of its user. */
const fixedFiles = (data: string): Space => {
  const limit = (node: Serving, bytes: string): void =>
    void execFileSync('prlimit', ['--pid', String(node.pid), `--fsize=${bytes}:`])
  return {
    through: [],
    folder: () => data,
    fill(node) {
      const sizes = ['writ.db', 'writ.db-wal'].map(name => join(data, name))
      const present = sizes.filter(path => existsSync(path)).map(path => statSync(path).size)
      limit(node, String(Math.min(...present)))
    },
    free: node => limit(node, 'unlimited'),
  }
}

const works = (command: string, ...args: string[]): boolean => {
  try {
    execFileSync(command, args, { stdio: 'ignore' })
    return true
  } catch (error) {
    assert.ok(error instanceof Error)
    return false
  }
}

/** As root, or as anybody where user namespaces are to be had. */
const ownMounts = [['--mount'], ['--user', '--map-root-user', '--mount']].find(flags =>
  works('unshare', ...flags, 'sh', '-c', 'mount -t tmpfs tmpfs /mnt'),
)

const env = { WRIT_CHECKPOINT_SECONDS: '1' }
const published = ['/jwks', '/.well-known/oauth-authorization-server', '/.well-known/writ-configuration']
const alive = [
  ...published,
  '/healthz',
  '/audit/checkpoint',
  '/audit/key',
  '/revocations',
  '/api/v1/openapi.json',
]

async function fillAndFree(t: TestContext, spaceOn: (data: string) => Space): Promise<void> {
  const port = await freePort()
  const data = folderOf(t)
  const space = spaceOn(data)
  const options: ServeOptions = { data, port, env, through: space.through }
  const reach: Reach = { origin: `http://127.0.0.1:${port}`, issuer: `http://127.0.0.1:${port}` }
  const fetch = askAt(reach)
  const node = await serve(t, options)
  const operator = operatorAt(reach, space.folder(node))
  const history = historyOf(reach.issuer)
  const load = await startLoad(t, reach, operator)
  await until('a first checkpoint', 20, async () => (await history.look(fetch)) > 0)
  const spell = load.run(4)
  await spell.answered(20)
  space.fill(node)
  // A log that was written through begins anew in the room it has: that much still goes in.
  await until('a write that has no room', 60, async () => spell.soFar().away >= 20)
  for (const path of alive) assert.equal((await fetch(path)).status, 200, path)
  const refused = await operator.manage('POST', '/issuer/keys/rotate')
  assert.ok(isAway(refused), `${refused.status} ${JSON.stringify(refused.body)}`)
  await history.look(fetch)
  space.free(node)
  const before = load.count()
  const freedAt = performance.now()
  await until('tokens again', 10, async () => load.count() > before)
  const healedMs = performance.now() - freedAt
  const { tokens, acknowledged, away, lost } = await spell.stop()
  assert.equal(lost, 0, 'a connection was lost')

  await history.read(operator)
  for (const token of tokens) assert.ok(history.hasToken(String(payloadOf(token)['jti'])))
  for (const requestId of acknowledged) assert.equal(history.countOf(requestId), 1)
  const size = await history.look(fetch)
  await until(
    'a newer checkpoint',
    20,
    async () => (await history.look(fetch)) > size || size > tokens.length,
  )
  await history.read(operator)
  const checkpoints = await history.prove(fetch)
  t.diagnostic(
    `${tokens.length} tokens, ${away} requests told to come again, served again ${Math.round(healedMs)} ms after there was room, ${checkpoints} checkpoints proven`,
  )
  assert.equal(await node.stop(), 0, node.said())
}

test(
  'a full disk is answered by 503 where something has to be written, and heals without a restart',
  { skip: ownMounts === undefined && 'no file system of its own can be mounted here (unshare, mount)' },
  t => fillAndFree(t, data => smallDisk(data, ownMounts ?? [])),
)

test(
  'files that may not grow are answered by 503 as well, and heal without a restart',
  { skip: !works('prlimit', '--version') && 'there is no prlimit here' },
  t => fillAndFree(t, fixedFiles),
)

test('a server that is killed while there is no room starts again once there is, and has kept every word', {
  skip: !works('prlimit', '--version') && 'there is no prlimit here',
}, async t => {
  const port = await freePort()
  const data = folderOf(t)
  const reach: Reach = { origin: `http://127.0.0.1:${port}`, issuer: `http://127.0.0.1:${port}` }
  const first = await serve(t, { data, port, env })
  const history = historyOf(reach.issuer)
  const spell = (await startLoad(t, reach, operatorAt(reach, data))).run(4)
  await spell.answered(20)
  fixedFiles(data).fill(first)
  await until('a write that has no room', 60, async () => spell.soFar().away >= 20)
  await first.kill()
  const { tokens, acknowledged } = await spell.stop()
  const second = await serve(t, { data, port, env })
  await history.read(operatorAt(reach, data))
  for (const token of tokens) assert.ok(history.hasToken(String(payloadOf(token)['jti'])))
  for (const requestId of acknowledged) assert.equal(history.countOf(requestId), 1)
  assert.equal(await second.stop(), 0)
})
