// A wire to an upstream that can be cut: it forwards TCP, loses what is sent or answered, hangs, or is not there.
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

/** Which way something is lost: before the upstream has it, or after it did what it was asked. */
export type Lost = 'request' | 'answer'

export interface Wire {
  readonly port: number
  /** Whether what `cut` asked for has happened. */
  readonly wasCut: boolean
  /** Loses the piece of that number, counted from now and from 1, with its connection; what follows is whole again. */
  cut(lost: Lost, nth: number): void
  /** Connections are taken and nothing is forwarded, until `mend`. */
  hang(): void
  /** Nobody listens, and every connection ends, until `mend`. */
  leave(): Promise<void>
  mend(): Promise<void>
  close(): Promise<void>
}

/** Stretches a wire to a port of this machine. */
export async function stretch(to: number): Promise<Wire> {
  const sockets = new Set<Socket>()
  let order: { readonly lost: Lost; left: number } | undefined
  let wasCut = false
  let hangs = false

  const carry = (from: Socket, into: Socket, way: Lost): void => {
    from.on('data', piece => {
      if (hangs) return
      if (order?.lost === way && --order.left === 0) {
        order = undefined
        wasCut = true
        from.destroy()
        into.destroy()
      } else into.write(piece)
    })
    from.on('error', () => into.destroy())
    from.on('close', () => into.destroy())
    sockets.add(from)
    from.once('close', () => sockets.delete(from))
  }
  const listen = async (port: number): Promise<Server> => {
    const server = createServer(near => {
      const far = connect(to, '127.0.0.1')
      carry(near, far, 'request')
      carry(far, near, 'answer')
    }).listen(port, '127.0.0.1')
    await once(server, 'listening')
    return server
  }
  const leave = async (): Promise<void> => {
    if (!server.listening) return
    server.close()
    for (const socket of sockets) socket.destroy()
    await once(server, 'close')
  }

  let server = await listen(0)
  const { port } = server.address() as { port: number }
  return {
    port,
    get wasCut() {
      return wasCut
    },
    cut(lost, nth) {
      order = { lost, left: nth }
      wasCut = false
    },
    hang() {
      hangs = true
    },
    leave,
    async mend() {
      order = undefined
      // What hung has missed a piece: it can only end.
      if (hangs) for (const socket of sockets) socket.destroy()
      hangs = false
      if (!server.listening) server = await listen(port)
    },
    close: leave,
  }
}
