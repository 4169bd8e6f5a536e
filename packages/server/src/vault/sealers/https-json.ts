// One small JSON request to the service that keeps the root: bounded in time and size, following nothing.
import { Agent as HttpAgent, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { away } from './refusals.ts'

const patienceMs = 10_000
const longestAnswer = 65_536

export interface Asking {
  readonly method?: 'GET' | 'POST'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Readonly<Record<string, unknown>>
}

export interface Answer {
  readonly status: number
  /** Undefined where the answer is no JSON object. */
  readonly body: Readonly<Record<string, unknown>> | undefined
}

/**
 * Asks one origin, over connections that are kept. Throws `sealer_away` where it cannot be reached, is not who it should
 * be, is too slow or says too much. A redirect is an answer like any other: the token goes nowhere else.
 */
export function openHttps(
  origin: URL,
  ca: string | undefined,
  waitMs = patienceMs,
): { ask(asking: Asking): Promise<Answer>; close(): void } {
  const secure = origin.protocol === 'https:'
  const options = { keepAlive: true, maxSockets: 4 }
  const agent = secure
    ? new HttpsAgent({ ...options, minVersion: 'TLSv1.2', ...(ca && { ca }) })
    : new HttpAgent(options)
  const request = secure ? requestHttps : requestHttp
  const ask = ({ method = 'POST', path, headers, body }: Asking): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const signal = AbortSignal.timeout(waitMs)
      const unreached = (cause: Error): void => {
        const { code, name } = cause as NodeJS.ErrnoException
        const reason = signal.aborted ? 'no answer in time' : (code ?? name)
        const facts = { host: origin.host, error: reason }
        reject(away(`${origin.host} cannot be reached (${facts.error}).`, facts, cause))
      }
      const text = body === undefined ? undefined : JSON.stringify(body)
      const typed =
        text === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
      const sent = request(new URL(path, origin), {
        method,
        agent,
        signal,
        headers: { ...headers, ...typed },
      })
      sent.on('error', unreached)
      sent.on('response', response => {
        const parts: Buffer[] = []
        let length = 0
        response.on('error', unreached)
        response.on('data', (part: Buffer) => {
          length += part.length
          if (length > longestAnswer) response.destroy(new Error('the answer is too long'))
          else parts.push(part)
        })
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, body: parsed(Buffer.concat(parts).toString()) })
        })
      })
      sent.end(text)
    })
  return { ask, close: () => agent.destroy() }
}

function parsed(text: string): Answer['body'] {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch (cause) {
    if (cause instanceof SyntaxError) return undefined
    throw cause
  }
}
