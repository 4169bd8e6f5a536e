// What ends after it was let in: a token, contact to the issuer, a tool that is halted; looked at again, or waited for.
import { Fault } from '../../protocol/fault.ts'
import { subjectDigest, toolSubject } from '../../protocol/revocation.ts'
import type { Caller } from '../caller.ts'
import { unavailable } from '../tokens.ts'
import type { IssuerLink } from './link.ts'

export interface Ends {
  /** The Fault of a request that came now, where the caller's token has ended since it was verified. */
  of(caller: Caller): Fault | undefined
  /** Whether this tool of the resource is halted. */
  isHalted(tool: string): boolean
  /** Calls back once, within 250 ms and at once where the issuer says so. Returns how to stop that. */
  watch(waiting: Waiting): () => void
  close(): void
}

export interface Waiting {
  readonly caller: Caller
  /** The tool that is being called: its halt is an end as well. */
  readonly tool?: string | undefined
  readonly callback: (fault: Fault) => void
}

export const endedToken = (): Fault =>
  new Fault('invalid_token', 'The access token is not valid here.', { kind: 'ended' })

/** As dull as the refusal of a tool that is not listed; the log is told more. */
export const haltedTool = ({ agent }: Caller, tool: string): Fault =>
  new Fault('access_denied', 'This tool is not open to callers.', { kind: 'halted', agent, tool })

export function endsOver(link: IssuerLink, resource: string): Ends {
  const watched = new Set<() => void>()
  const sweep = (): void => {
    for (const check of watched) check()
  }
  link.revocations.onMove(sweep)
  const sweeping = setInterval(sweep, 250).unref()
  const of = (caller: Caller): Fault | undefined => {
    if (!link.isCurrent()) return unavailable('no_contact')
    return caller.holds() ? undefined : endedToken()
  }
  const isHalted = (tool: string): boolean =>
    link.revocations.isHalted(subjectDigest(toolSubject(resource, tool)))
  return {
    of,
    isHalted,
    watch({ caller, tool, callback }) {
      const check = (): void => {
        const isStopped = tool !== undefined && isHalted(tool)
        const fault = of(caller) ?? (isStopped ? haltedTool(caller, tool) : undefined)
        if (fault === undefined) return
        watched.delete(check)
        callback(fault)
      }
      watched.add(check)
      return () => void watched.delete(check)
    },
    close() {
      clearInterval(sweeping)
      sweep()
    },
  }
}
