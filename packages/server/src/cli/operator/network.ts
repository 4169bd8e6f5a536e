// The way to the authority: a fetch that says why nobody answered, and trusts the trial certificate of its own folder.
import { existsSync, readFileSync } from 'node:fs'
import tls from 'node:tls'
import { operatorFile, trialCertificateFile } from '../../compose/places.ts'
import { CommandFailure } from '../command.ts'

export interface Place {
  readonly data: string
  readonly issuer: string
}

/**
 * A `fetch` whose failures are sentences. What may succeed a moment later is left as fetch throws it, so that the SDK
 * tries again.
 */
export function carefulFetch(place: Place): typeof fetch {
  trustTrialCertificate(place)
  return async (input, init) => {
    try {
      return await fetch(input, init)
    } catch (error) {
      const say = sayNoAnswer(place, codeOf(error))
      if (say === undefined) throw error
      throw new CommandFailure(say, 1, { cause: error })
    }
  }
}

/** The code of what made fetch fail, such as ECONNREFUSED; happy eyeballs wraps one error per address. */
export function codeOf(error: unknown): string {
  const cause = (error as { readonly cause?: unknown }).cause ?? error
  const first = cause instanceof AggregateError ? cause.errors[0] : cause
  return String((first as { readonly code?: unknown } | undefined)?.code ?? '')
}

const untrusted = /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|CERT_UNTRUSTED)/

function sayNoAnswer({ data, issuer }: Place, code: string): string | undefined {
  if (code === 'ECONNREFUSED')
    return `nobody answers at ${issuer}; start the authority with "writ serve --data ${data}"`
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return `the name in ${issuer} is not known to this machine (${code}); check the network, or the file ${operatorFile(data)}`
  if (untrusted.test(code))
    return (
      `the certificate of ${issuer} is not trusted here (${code}); ` +
      'give the certificate of its authority in NODE_EXTRA_CA_CERTS'
    )
  if (/^(?:ERR_TLS_CERT_ALTNAME_INVALID|CERT_HAS_EXPIRED|CERT_NOT_YET_VALID)$/.test(code))
    return `the certificate of ${issuer} does not hold (${code}); give the server a certificate for that name and time`
  return undefined
}

let isTrusted = false

/**
 * The folder that tells us who we are and whom to ask may also tell us its certificate: whoever can write there can
 * exchange the operator file as well. It vouches for nothing else, for it is no certificate authority.
 */
function trustTrialCertificate({ data, issuer }: Place): void {
  const path = trialCertificateFile(data)
  if (isTrusted || !issuer.startsWith('https:') || !existsSync(path)) return
  isTrusted = true
  // Node 24.5 and later; before that NODE_EXTRA_CA_CERTS has to do.
  tls.setDefaultCACertificates?.([...tls.getCACertificates('default'), readFileSync(path, 'utf8')])
}
