// A way to the database that can fall silent or be cut: what a broken network looks like to a node.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

/** `silent`: connections stay, new ones are accepted, and nothing gets through in either direction. */
export type Way = 'open' | 'silent' | 'cut'

export interface Proxy {
  /** The URL of the database by this way. */
  readonly url: string
  set(way: Way): void
}

export async function proxyTo(t: TestContext, databaseUrl: string): Promise<Proxy> {
  const target = new URL(databaseUrl)
  const pairs = new Set<readonly [near: Socket, far: Socket]>()
  let way: Way = 'open'
  const server = createServer(near => {
    if (way === 'cut') return void near.destroy()
    const far = connect(Number(target.port), target.hostname)
    const pair = [near, far] as const
    pairs.add(pair)
    const end = (): void => {
      pairs.delete(pair)
      near.destroy()
      far.destroy()
    }
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', chunk => {
        // What is said into the silence is lost, as on a network: a connection that lived through it is broken.
        if (way === 'open') to.write(chunk)
      })
      from.on('error', end)
      from.on('close', end)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = (): void => {
    for (const sockets of pairs) for (const socket of sockets) socket.destroy()
  }
  t.after(() => {
    cut()
    server.close()
  })
  const url = new URL(databaseUrl)
  url.port = String((server.address() as { port: number }).port)
  return {
    url: url.href,
    set(next) {
      way = next
      if (next === 'cut') cut()
    },
  }
}
