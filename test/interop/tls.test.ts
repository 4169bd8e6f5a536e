// TLS as `writ serve` has it in one flag: clients of others, none of their checks relaxed, with nothing but the
// certificate to trust.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect as connectPlain } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { connect, getCACertificates, setDefaultCACertificates } from 'node:tls'
import * as client from 'openid-client'
import { newFolder, serve } from '../cli/process.ts'
import { companyCertificates } from './certificates.ts'
import { cryptoKeyOf, type Holder } from './site.ts'

/** From here on everything in this process trusts this certificate besides those of the system. */
const trust = (certificate: string): void =>
  setDefaultCACertificates([...getCACertificates('default'), certificate])

async function served(t: TestContext, cwd: string, ...flags: readonly string[]): Promise<string> {
  const { issuer, end } = await serve(['--port', '0', ...flags], { cwd })
  t.after(() => end('SIGKILL'))
  assert.match(issuer, /^https:\/\/127\.0\.0\.1:\d+$/)
  return issuer
}

function operatorOf(cwd: string): Holder {
  const { client_id, jwk } = JSON.parse(readFileSync(join(cwd, '.writ/operator.json'), 'utf8'))
  return { clientId: client_id, jwk }
}

/** Discovers, obtains a bound token and calls the management API with it. */
async function administers(issuer: string, operator: Holder): Promise<void> {
  const auth = client.PrivateKeyJwt(await cryptoKeyOf(operator))
  const config = await client.discovery(new URL(issuer), operator.clientId, undefined, auth)
  const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair())
  const resource = `${issuer}/api/v1`
  const tokens = await client.clientCredentialsGrant(
    config,
    { resource, scope: 'writ:agents:read' },
    { DPoP },
  )
  const url = new URL(`${resource}/agents`)
  const answer = await client.fetchProtectedResource(
    config,
    tokens.access_token,
    url,
    'GET',
    undefined,
    undefined,
    { DPoP },
  )
  assert.equal(answer.status, 200)
}

test('a certificate made for trials is served, and convinces whoever was given it and nobody else', async t => {
  const cwd = newFolder(work => t.after(work))
  const issuer = await served(t, cwd, '--tls-self-signed')
  await assert.rejects(
    fetch(`${issuer}/jwks`),
    ({ cause }: Error) => (cause as { code?: string }).code === 'DEPTH_ZERO_SELF_SIGNED_CERT',
  )
  trust(readFileSync(join(cwd, '.writ/tls-cert.pem'), 'utf8'))
  await administers(issuer, operatorOf(cwd))
})

test('a certificate of a company is served with its chain, to whoever trusts the root', async t => {
  const cwd = newFolder(work => t.after(work))
  const { root, server } = companyCertificates()
  writeFileSync(join(cwd, 'cert.pem'), server.cert + root)
  writeFileSync(join(cwd, 'key.pem'), server.key)
  const issuer = await served(t, cwd, '--tls-cert', 'cert.pem', '--tls-key', 'key.pem')
  await assert.rejects(fetch(`${issuer}/jwks`), TypeError)
  trust(root)
  await administers(issuer, operatorOf(cwd))
  assert.equal((await fetch(`${issuer}/jwks`)).headers.get('strict-transport-security'), null)
})

test('the port of TLS answers nothing in clear, and nothing below TLS 1.2', async t => {
  const cwd = newFolder(work => t.after(work))
  const port = Number(new URL(await served(t, cwd, '--tls-self-signed')).port)
  const plain = connectPlain(port, '127.0.0.1')
  let said = ''
  plain.on('data', chunk => {
    said += chunk.toString('latin1')
  })
  plain.on('error', () => undefined)
  plain.write('GET /jwks HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n')
  await once(plain, 'close')
  assert.doesNotMatch(said, /HTTP|keys/)
  const ca = readFileSync(join(cwd, '.writ/tls-cert.pem'), 'utf8')
  // Willing to speak the old version, so that it is the server that refuses.
  const versions = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
  const [error] = await once(connect({ port, host: '127.0.0.1', ca, ...versions }), 'error')
  assert.equal(error.code, 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION')
  const modern = connect({ port, host: '127.0.0.1', ca })
  await once(modern, 'secureConnect')
  assert.equal(modern.getProtocol(), 'TLSv1.3')
  modern.destroy()
})
