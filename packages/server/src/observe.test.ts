// The log: whatever is handed to it, no secret and no token gets out (property 45), and it stays readable.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import fc from 'fast-check'
import { createObserver, type ProcessLog } from './observe.ts'

interface Sink {
  readonly observer: ProcessLog
  readonly lines: string[]
}

function sink(logLevel: 'silent' | 'error' | 'warn' | 'info' | 'debug' = 'debug'): Sink {
  const lines: string[] = []
  return { observer: createObserver({ logLevel }, { write: line => void lines.push(line) }), lines }
}

/** Every form in which a secret of these bytes may come. */
function formsOf(bytes: Uint8Array): string[] {
  const canary = Buffer.from(bytes)
  const hex = canary.toString('hex')
  return [
    canary.toString('base64url'),
    canary.toString('base64'),
    hex,
    hex.toUpperCase(),
    hex.replaceAll(/../g, pair => `%${pair}`),
    encodeURIComponent(canary.toString('base64')),
  ]
}

/** Hands the text to the log in every place where a text can be. */
function logEverywhere({ observer }: Sink, text: string): void {
  const asError = (error: Error): void => {
    observer.bug(error, text)
    observer.log('error', { loop: 'sweep' }, error)
  }
  observer.request({
    route: 'token',
    why: text,
    [text]: 'name',
    sentence: `token ${text}, or "${text}" it is`,
  })
  observer.request({ route: 'token', object: { deep: [text] }, list: [text], secret: new Secret(text) })
  observer.log('info', { loop: 'sweep', did: 1, what: `a=${text}&b=${text}` })
  asError(new Error(`not valid: ${text}`))
  asError(Object.assign(new TypeError(text), { code: text, detail: text, parameters: [text], query: text }))
  asError(new Error('outer', { cause: new Error(text, { cause: text }) }))
  asError(new Fault('server_error', `say ${text}`, { kind: 'bug', text }))
  observer.bug(text, 'request')
  observer.bug({ text }, 'request')
}

test('no form of a secret reaches the log, wherever it was put', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 64 }), bytes => {
      // Random bytes as real secrets are: texts of one repeated letter look like words, and are none.
      fc.pre(new Set(bytes).size >= 12)
      for (const form of formsOf(bytes)) {
        const log = sink()
        logEverywhere(log, form)
        const written = log.lines.join('')
        for (const other of formsOf(bytes)) assert.ok(!written.includes(other), `${other} in ${written}`)
      }
    }),
    { numRuns: 1000 },
  )
})

test('tokens of every kind that we know are gone, and what stands around them is left', () => {
  const token = `${Buffer.from('{"alg":"ES256","typ":"at+jwt"}').toString('base64url')}.eyJpc3MiOiJodHRwczovL3dyaXQu.c2lnbmF0dXJlLW9mLXNvbWV0aGluZw`
  const log = sink()
  log.observer.log('error', { loop: 'sweep' }, new Error(`Unexpected token in "DPoP ${token}" at 3`))
  log.observer.log('info', {
    loop: 'sweep',
    enrollment: 'enr_0123456789abcdefghjkmnpqrs',
    postgres: 'postgres://u:pw@host/db',
  })
  const written = log.lines.join('')
  assert.ok(!written.includes(token.slice(0, 20)))
  assert.ok(!written.includes('0123456789abcdefghjkmnpqrs'))
  assert.match(written, /Unexpected token in \\"DPoP \[redacted\]\.\[redacted\]\.\[redacted\]\\" at 3/)
})

test('a password in a database URL is gone too', () => {
  const log = sink()
  log.observer.log(
    'error',
    { loop: 'x' },
    new Error('connect postgres://writ:hunter2@db.example:5432/writ failed'),
  )
  assert.ok(!log.lines.join('').includes('hunter2'))
})

test('identifiers, request ids, codes and counts stay readable', () => {
  const log = sink()
  log.observer.request({
    route: 'token',
    method: 'POST',
    status: 400,
    ms: 1.25,
    request_id: '3f1c2c1e-9d5f-4a54-8a3e-8f2a1d0b7c11',
    code: 'invalid_authorization_details',
    caller: 'agt_0123456789abcdefghjkmnpqrs',
    kid: 'x'.repeat(10).padEnd(43, 'Ab1_'),
  })
  const line = JSON.parse(log.lines[0] ?? '')
  assert.equal(line.level, 'info')
  assert.equal(line.request_id, '3f1c2c1e-9d5f-4a54-8a3e-8f2a1d0b7c11')
  assert.equal(line.code, 'invalid_authorization_details')
  assert.equal(line.caller, 'agt_0123456789abcdefghjkmnpqrs')
  assert.deepEqual([line.status, line.ms], [400, 1.25])
  assert.equal(line.kid, 'xxxxxxxx…')
})

test('a bug is logged with its name, its place and the chain of its causes', () => {
  const log = sink()
  log.observer.bug(new TypeError('x is not a function', { cause: new Error('because') }), 'request-1')
  const { level, request_id, error } = JSON.parse(log.lines[0] ?? '')
  assert.deepEqual([level, request_id], ['error', 'request-1'])
  assert.deepEqual(
    [error.name, error.message, error.cause.message],
    ['TypeError', 'x is not a function', 'because'],
  )
  assert.match(error.stack[0], /observe\.test\.ts:\d+:\d+/)
})

test('a caller cannot begin a line of its own, nor make one that never ends', () => {
  const log = sink()
  log.observer.request({ route: 'token', why: `x\n{"level":"info"}\r\n${'y '.repeat(100_000)}` })
  assert.equal(log.lines.length, 1)
  assert.equal(log.lines[0]?.trimEnd().split('\n').length, 1)
  assert.ok((log.lines[0] ?? '').length < 1000)
})

test('each level keeps what is below it quiet', () => {
  const counts = (['silent', 'error', 'info'] as const).map(level => {
    const log = sink(level)
    log.observer.request({ route: 'token' })
    log.observer.log('info', { loop: 'sweep' })
    log.observer.bug(new Error('x'), 'r')
    return log.lines.length
  })
  assert.deepEqual(counts, [0, 1, 3])
})
