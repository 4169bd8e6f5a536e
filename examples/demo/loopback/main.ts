// Preloaded into a server of others that listens on every address of the machine: binds it to loopback, and says where.
import { type AddressInfo, Server } from 'node:net'

// `listen(3001, callback)` names no host and means all of them: whoever reaches the machine would reach the server
// past the proxy, without a token. The server itself stays as it was published.
const { listen } = Server.prototype
Server.prototype.listen = function (this: Server, ...given: unknown[]): Server {
  const namesNoHost = /^\d+$/.test(String(given[0])) && typeof given[1] !== 'string'
  if (namesNoHost) given.splice(1, 0, '127.0.0.1')
  this.once('listening', () => {
    const { address, port } = this.address() as AddressInfo
    console.log(`loopback: ready http://${address}:${port}`)
  })
  return Reflect.apply(listen, this, given)
} as typeof listen
