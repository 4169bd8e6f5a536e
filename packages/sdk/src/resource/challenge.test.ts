// Challenges: complete, exact to RFC 6750, 9449 and 9728, readable by the official MCP client, and not to be broken.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { type Code, Fault } from '../protocol/fault.ts'
import { type Answer, anonymous, type Circumstances, refuse } from './challenge.ts'

const metadataUrl = 'https://api.example/.well-known/oauth-protected-resource/v1'
const keyed = { metadataUrl, algorithms: 'ES256 Ed25519', bearer: false }
const open = { ...keyed, bearer: true }
const fault = (code: Code, say = 'No.'): Fault => new Fault(code, say)
const header = (answer: Answer): string => answer.headers['www-authenticate'] ?? ''

test('tells somebody without credentials how to get them, with 401 and without an error', () => {
  const answer = refuse(new Fault('invalid_token', 'Say who you are.', { kind: anonymous }), keyed, {
    scopes: ['a', 'b'],
  })
  assert.equal(answer.status, 401)
  assert.equal(header(answer), `DPoP scope="a b", resource_metadata="${metadataUrl}", algs="ES256 Ed25519"`)
  assert.deepEqual(JSON.parse(answer.body), { error_description: 'Say who you are.' })
  assert.equal(answer.headers['cache-control'], 'no-store')
})

test('names every scope that the route needs, with 403', () => {
  const answer = refuse(fault('insufficient_scope'), keyed, { scopes: ['invoices:read', 'invoices:write'] })
  assert.equal(answer.status, 403)
  assert.equal(
    header(answer),
    `DPoP error="insufficient_scope", error_description="No.", scope="invoices:read invoices:write", resource_metadata="${metadataUrl}", algs="ES256 Ed25519"`,
  )
  assert.equal(JSON.parse(answer.body).scope, 'invoices:read invoices:write')
})

test('answers what is malformed with 400, what is invalid with 401, doubt with 503 and when to come back', () => {
  const rows: [Code, number, boolean][] = [
    ['invalid_request', 400, true],
    ['invalid_token', 401, true],
    ['invalid_dpop_proof', 401, true],
    ['use_dpop_nonce', 401, true],
    ['insufficient_scope', 403, true],
    ['access_denied', 403, false],
    ['temporarily_unavailable', 503, false],
  ]
  for (const [code, status, challenged] of rows) {
    const answer = refuse(fault(code), keyed, { nonce: 'n' })
    assert.equal(answer.status, status, code)
    assert.equal(header(answer).startsWith(`DPoP error="${code}", error_description="No."`), challenged, code)
    assert.equal(answer.headers['dpop-nonce'], 'n')
    assert.equal(answer.headers['retry-after'], status === 503 ? '1' : undefined)
  }
})

test('offers bearer only where the resource allows it, and blames the scheme that was tried', () => {
  const by = (circumstances: Circumstances): string =>
    header(refuse(fault('invalid_token'), open, circumstances))
  const where = `resource_metadata="${metadataUrl}"`
  const error = 'error="invalid_token", error_description="No."'
  assert.equal(by({ scheme: 'bearer' }), `Bearer ${error}, ${where}, DPoP ${where}, algs="ES256 Ed25519"`)
  assert.equal(by({ scheme: 'dpop' }), `DPoP ${error}, ${where}, algs="ES256 Ed25519", Bearer ${where}`)
  assert.doesNotMatch(header(refuse(fault('invalid_token'), keyed, { scheme: 'bearer' })), /Bearer/)
})

test('lets no text break out of the header', () => {
  const answer = refuse(fault('invalid_token', 'a"b\\c\r\nSet-Cookie: x=y\u2028é'), keyed)
  assert.match(header(answer), /error_description="a'b'c''Set-Cookie: x=y''", resource_metadata=/)
})

test('is read completely by the official MCP client', () => {
  const answer = refuse(fault('insufficient_scope'), keyed, { scopes: ['echo:call'] })
  // In a process of its own: our condition for running from source must not reach the packages of others.
  const script = `import { extractWWWAuthenticateParams as read } from '@modelcontextprotocol/client'
    console.log(JSON.stringify(read(new Response('', JSON.parse(process.argv[1])))))`
  const args = [
    '--input-type=module',
    '-e',
    script,
    JSON.stringify({ status: answer.status, headers: answer.headers }),
  ]
  const read = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }))
  assert.equal(read.resourceMetadataUrl, metadataUrl)
  assert.equal(read.scope, 'echo:call')
  assert.equal(read.error, 'insufficient_scope')
})
