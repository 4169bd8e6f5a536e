// The log of the process: one line of JSON for each request, run and bug, on stderr; redacted here, whoever wrote what.
import { type DestinationStream, destination, pino } from 'pino'
import type { Config } from './config.ts'
import type { Note } from './context.ts'
import type { Observer } from './http/app.ts'
import { redactError, redactFacts } from './observe/redact.ts'

export interface ProcessLog extends Observer {
  /** A line of a background loop. */
  log(level: 'info' | 'error', facts: Note, error?: unknown): void
  /** Writes out what is still held back. The log may be lost; what must not be is in the audit log. */
  flush(): void
}

/**
 * Logs to stderr, never to stdout, which belongs to whoever started the process. `sink` takes the lines instead.
 * Nothing reaches it that was not redacted: no Secret, no token, no members of errors beside name, code and message.
 */
export function createObserver(config: Pick<Config, 'logLevel'>, sink?: DestinationStream): ProcessLog {
  const stderr = sink === undefined ? destination({ fd: 2, sync: false }) : undefined
  const logger = pino(
    {
      level: config.logLevel,
      base: null,
      timestamp: () => `,"time":"${new Date(Date.now()).toISOString()}"`,
      formatters: { level: label => ({ level: label }) },
    },
    sink ?? stderr ?? destination(2),
  )
  return {
    request: line => {
      if (logger.isLevelEnabled('info')) logger.info(redactFacts(line))
    },
    bug: (error, requestId) =>
      logger.error({ ...redactFacts({ request_id: requestId }), error: redactError(error) }, 'bug'),
    log: (level, facts, error) =>
      logger[level]({ ...redactFacts(facts), ...(error === undefined ? {} : { error: redactError(error) }) }),
    flush: () => stderr?.flushSync(),
  }
}
