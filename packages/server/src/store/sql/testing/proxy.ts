// A wire between a store and its database that can be cut, freeze, or lose exactly one answer.
import { connect as connectTo, createServer, type Server, type Socket } from 'node:net'

/** What to do with the next COMMIT that comes by: lose it, or let it through and lose what the server answers. */
export type Loss = 'commit' | 'answer'

interface Pair {
  readonly client: Socket
  readonly server: Socket
  listens: boolean
}

export interface Wire {
  /** The URL with the proxy's port in place of the database's. */
  readonly url: string
  loseNext(loss: Loss): void
  /** How many COMMITs were lost, or their answers. */
  lost(): number
  /** Ends every connection. */
  cut(): void
  /** From now on nothing passes, and nobody is told: all connections, or only those that listen for notifications. */
  freeze(which: 'all' | 'listeners'): void
  /** Lets everything pass again. */
  thaw(): void
  close(): Promise<void>
}

/** Puts a proxy before the database of this URL. */
export async function proxyTo(url: string): Promise<Wire> {
  const { hostname, port } = new URL(url)
  const pairs = new Set<Pair>()
  const state = {
    loss: undefined as Loss | undefined,
    lost: 0,
    frozen: undefined as 'all' | 'listeners' | undefined,
  }
  const isFrozen = (pair: Pair): boolean =>
    state.frozen === 'all' || (state.frozen === 'listeners' && pair.listens)
  const end = (pair: Pair): void => {
    pairs.delete(pair)
    pair.client.destroy()
    pair.server.destroy()
  }
  const server = createServer(client => {
    const pair: Pair = { client, server: connectTo(Number(port), hostname), listens: false }
    pairs.add(pair)
    for (const socket of [pair.client, pair.server]) {
      socket.setNoDelay(true)
      socket.on('error', () => end(pair))
      socket.on('close', () => end(pair))
    }
    let loses = false
    pair.client.on('data', chunk => {
      pair.listens ||= chunk.includes('listen ')
      if (isFrozen(pair)) return
      if (state.loss !== undefined && chunk.includes('commit\0')) {
        const loss = state.loss
        state.loss = undefined
        state.lost += 1
        if (loss === 'commit') return end(pair)
        loses = true
      }
      pair.server.write(chunk)
    })
    pair.server.on('data', chunk => {
      if (isFrozen(pair)) return
      if (!loses) pair.client.write(chunk)
      // The server has answered the COMMIT itself: it is done, and nobody hears of it.
      else if (chunk.includes('COMMIT\0')) end(pair)
    })
  })
  await listening(server)
  const near = new URL(url)
  near.port = String((server.address() as { port: number }).port)
  return {
    url: near.href,
    loseNext(loss) {
      state.loss = loss
    },
    lost: () => state.lost,
    cut() {
      for (const pair of pairs) end(pair)
    },
    freeze(which) {
      state.frozen = which
    },
    thaw() {
      state.frozen = undefined
    },
    close() {
      for (const pair of pairs) end(pair)
      return new Promise(resolve => server.close(() => resolve()))
    },
  }
}

const listening = (server: Server): Promise<void> =>
  new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve()))
