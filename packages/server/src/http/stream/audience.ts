// Who listens to the revocation stream of one node: counted, shared out among networks, and sent home together.
import { Fault } from '@writ/sdk/protocol/fault'

/** Most listeners of one node; each costs a socket. */
const mostListeners = 4096
/** Most of one network: the stream is open to all, and one address must not take it from everybody else. */
const mostOfNetwork = 512

export interface Audience {
  /**
   * Takes a place; the answered function gives it back. `end` is called when the server stops. Throws `rate_limited`
   * where this network has its share, `temporarily_unavailable` where all places are taken or the server stops.
   */
  join(network: string, end: () => void): () => void
}

export function createAudience(closing: AbortSignal): Audience {
  const members = new Set<() => void>()
  const places = new Map<string, number>()
  // One for all: a signal looks through all of its listeners whenever one is added.
  closing.addEventListener('abort', () => [...members].forEach(end => void end()), { once: true })
  return {
    join(network, end) {
      if (closing.aborted || members.size >= mostListeners) {
        throw new Fault('temporarily_unavailable', 'Too many listeners; ask another node.', {
          kind: 'listeners',
        })
      }
      const taken = places.get(network) ?? 0
      if (taken >= mostOfNetwork) {
        throw new Fault('rate_limited', 'Too many listeners of this address.', {
          kind: 'listeners_of_network',
        })
      }
      members.add(end)
      places.set(network, taken + 1)
      return () => {
        if (!members.delete(end)) return
        const left = (places.get(network) ?? 1) - 1
        if (left === 0) places.delete(network)
        else places.set(network, left)
      }
    },
  }
}
