// How a command that failed says so: one sentence, what to do next in it, and the request id where there is one.
import { type Code, type Fault, isFault } from '@writ/sdk/protocol/fault'
import { CommandFailure, exitCodes } from './command.ts'
import { codeOf } from './operator/network.ts'

export interface Ending {
  readonly say: string
  readonly exitCode: 1 | 2
}

export function endingOf(error: unknown): Ending {
  const exitCode = error instanceof CommandFailure ? error.exitCode : exitCodes.failed
  return { say: oneLine(sentenceOf(error)), exitCode }
}

/** What to do about a refusal that does not say so itself. */
const next: Readonly<Partial<Record<Code, string>>> = {
  invalid_client:
    'the key in the operator file is not accepted: restore the newest operator file, or use that of another operator',
  insufficient_scope: 'ask whoever may give it for a grant of that scope',
  invalid_scope: 'writ grant list --agent shows what is granted, writ resource show what there is',
  invalid_target: 'writ resource list shows the resources that are registered',
  access_denied: 'ask somebody with wider rights',
  not_found: 'look for its id with the list command',
  conflict: 'look at it again, then decide',
  rate_limited: 'wait a moment and try again',
  temporarily_unavailable: 'try again in a moment',
  server_error: "look for the request in the authority's log",
}

function sentenceOf(error: unknown): string {
  if (isFault(error)) return sentenceOfFault(error)
  if (!(error instanceof Error)) return String(error)
  const { code, syscall, path } = error as NodeJS.ErrnoException
  if (code === 'EADDRINUSE')
    return `${placeIn(error)} is taken; stop the other program, or choose another with --port`
  if (code === 'EACCES' || code === 'EPERM')
    return `not allowed (${error.message}); check who owns it and its mode`
  if (code === 'ENOSPC') return `there is no room left on the disk (${error.message}); make some`
  if (syscall === 'mkdir' && (code === 'EEXIST' || code === 'ENOTDIR'))
    return `${path} is not a folder; name one with --data`
  if (code === 'EADDRNOTAVAIL')
    return `${placeIn(error)} is no address of this machine; choose another with --host`
  if (error instanceof TypeError && error.message === 'fetch failed')
    return `the connection to the authority broke off (${codeOf(error) || 'no answer'}); try again`
  return error.message
}

function placeIn(error: NodeJS.ErrnoException): string {
  const { address, port } = error as { readonly address?: string; readonly port?: number }
  return `the port ${port ?? ''} of ${address ?? 'this machine'}`
}

function sentenceOfFault(error: Fault): string {
  const { code, message, why } = error
  if (why?.kind === 'store_unavailable') return sayNoDatabase(codeOf(error))
  const request = why?.['requestId'] ?? why?.['request']
  const said = message.replace(/^The issuer refused: /, '').replace(/\.$/, '')
  // What already names a remedy needs no second one.
  const remedy = /[;:] /.test(said) ? undefined : next[code]
  return `${said}${remedy === undefined ? '' : `; ${remedy}`}${typeof request === 'string' ? ` (request ${request})` : ''}`
}

function sayNoDatabase(code: string): string {
  return `the database cannot be used${code === '' ? '' : ` (${code})`}; check that it runs, and what --database or --data names`
}

/** One line, whatever others put into their sentences. */
function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ').replace(/\p{C}/gu, '�')
}
