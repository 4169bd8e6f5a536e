// A balancer in front of the nodes: connections in turn, so that every agent meets both of them.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface Balancer {
  readonly port: number
  /** From now on connections go to these ports in turn. */
  between(ports: readonly number[]): void
  close(): Promise<void>
}

export function openBalancer(): Promise<Balancer> {
  let targets: readonly number[] = []
  let turn = 0
  const open = new Set<Socket>()
  const server = createServer(client => {
    const port = targets[turn++ % targets.length]
    const node = connect(port ?? 0, '127.0.0.1')
    for (const socket of [client, node]) {
      open.add(socket)
      socket.setNoDelay(true)
      socket.once('close', () => open.delete(socket))
    }
    client.pipe(node).pipe(client)
    client.on('error', () => node.destroy())
    node.on('error', () => client.destroy())
  })
  return new Promise(resolve =>
    server.listen(0, '127.0.0.1', () =>
      resolve({
        port: (server.address() as AddressInfo).port,
        between: ports => {
          targets = ports
        },
        close: () =>
          new Promise(done => {
            for (const socket of open) socket.destroy()
            server.close(() => done())
          }),
      }),
    ),
  )
}
