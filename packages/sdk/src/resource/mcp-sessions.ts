// Who opened which MCP session: its id is no credential and must not become one. MCP 2025-11-25, transports, session management.
import type { Caller } from './caller.ts'
import { type HeaderSource, headerLines } from './evidence.ts'

/** The answer of the server behind; a `Response` is one. */
export interface Answered {
  readonly status: number
  /** A `Headers` object, or node's `rawHeaders`; see `HeaderSource`. */
  readonly headers: HeaderSource
}

type Owner = Pick<Caller, 'agent' | 'instance' | 'subject'>

export interface McpSessions {
  /** Whether the session was handed out to this caller, and has not ended since. */
  isOf(session: string, owner: Owner): boolean
  /** Learns from the answer to a request of this caller, which carried `session` or none. */
  learn(owner: Owner, session: string | undefined, method: string, answered: Answered): void
}

/** Session ids are visible ASCII (MCP, session management no. 1); longer ones would let a server fill the memory. */
const acceptable = /^[\x21-\x7e]{1,1024}$/

/** Remembers in this process alone, at most `capacity` sessions. */
export function createSessions(capacity: number): McpSessions {
  // In order of use, so that the first one of an owner is the one that it has let rest longest.
  const owners = new Map<string, string>()

  const makeRoomFor = (owner: string): void => {
    if (owners.size < capacity) return
    // Whoever opens sessions without end pushes out its own, not those of others.
    for (const [session, other] of owners) {
      if (other === owner) return void owners.delete(session)
    }
    const [oldest] = owners.keys()
    if (oldest !== undefined) owners.delete(oldest)
  }

  return {
    isOf(session, caller) {
      const owner = ownerOf(caller)
      if (owners.get(session) !== owner) return false
      owners.delete(session)
      owners.set(session, owner)
      return true
    },
    learn(caller, session, method, { status, headers }) {
      // MCP, session management no. 4 and 5: the client ended it, or the server has.
      const isEnded = status === 404 || (method === 'DELETE' && status >= 200 && status < 300)
      if (session !== undefined && isEnded) return void owners.delete(session)
      const [given, ...more] = headerLines(headers, 'mcp-session-id')
      if (given === undefined || more.length > 0 || !acceptable.test(given)) return
      // An id that is somebody's stays theirs, whoever it is handed out to next.
      if (owners.has(given)) return
      const owner = ownerOf(caller)
      makeRoomFor(owner)
      owners.set(given, owner)
    },
  }
}

/**
 * The instance, since two instances of one agent share no session; and whom it acts for, since what it did for one
 * person is in the session (MCP, security best practices: session hijacking).
 */
const ownerOf = ({ agent, instance, subject }: Owner): string => JSON.stringify([agent, instance, subject])
