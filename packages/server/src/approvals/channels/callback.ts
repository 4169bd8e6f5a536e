// One notice to a callback endpoint (RFC 9110; AuthZEN access request profile, "Callback Completion"): guarded and bounded.
import { lookup } from 'node:dns'
import { request as overHttp } from 'node:http'
import { request as overHttps } from 'node:https'
import type { LookupFunction } from 'node:net'
import { isLoopbackHost, isPublicAddress } from '../callback-target.ts'

export interface Notice {
  readonly endpoint: string
  readonly authorization: string
  readonly body: string
}

const timeoutMs = 5000

/**
 * Whether it was taken: any answer of 2xx, whose body nobody reads. Redirects are not followed, for they could lead
 * inside. Never throws: no answer in time, a broken one or a forbidden address is the same as a refusal.
 */
export function postNotice({ endpoint, authorization, body }: Notice, signal: AbortSignal): Promise<boolean> {
  const url = new URL(endpoint)
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  const open = url.protocol === 'https:' ? overHttps : overHttp
  return new Promise(resolve => {
    const request = open(url, {
      method: 'POST',
      headers: {
        'user-agent': 'writ',
        authorization,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
      },
      agent: false,
      signal: deadline,
      ...(isLoopbackHost(url.hostname) ? {} : { lookup: publicLookup }),
    })
    request.on('error', () => resolve(false))
    request.once('response', answer => {
      const status = answer.statusCode ?? 0
      answer.on('error', () => {})
      answer.destroy()
      resolve(status >= 200 && status < 300)
    })
    request.end(body)
  })
}

/**
 * The addresses of a name, all of them public. The connection goes to what was judged here: a name that answers
 * differently the second time (DNS rebinding) is not asked a second time.
 */
const publicLookup: LookupFunction = (hostname, options, done) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return done(error, [])
    const isInside = addresses.some(({ address }) => !isPublicAddress(address))
    const [first] = addresses
    if (isInside || first === undefined) return done(new Error('the name leads to a private address'), [])
    if (options.all === true) return done(null, addresses)
    return done(null, first.address, first.family)
  })
}
