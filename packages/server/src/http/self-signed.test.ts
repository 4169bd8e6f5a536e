// The certificate for trials as others read it: Node's parser, and a TLS client that trusts it and nothing else.
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { createServer, get } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { selfSigned } from './self-signed.ts'

test('is for the host and for loopback, for a month, and for servers only', () => {
  const certificate = new X509Certificate(selfSigned('writ.example').cert)
  for (const host of ['writ.example', 'localhost']) assert.equal(certificate.checkHost(host), host)
  for (const address of ['127.0.0.1', '::1']) assert.equal(certificate.checkIP(address), address)
  assert.equal(certificate.checkHost('other.example'), undefined)
  assert.equal(certificate.ca, false)
  assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.1'])
  assert.equal(certificate.verify(certificate.publicKey), true)
  const days = (Date.parse(certificate.validTo) - Date.now()) / 86_400_000
  assert.ok(days > 29 && days <= 30)
})

for (const [written, canonical] of [
  ['2001:db8::7:1', '2001:db8::7:1'],
  ['fe80::', 'fe80::'],
  ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
  ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
  ['192.0.2.1', '192.0.2.1'],
] as const) {
  test(`names the address ${written}`, () => {
    assert.equal(new X509Certificate(selfSigned(written).cert).checkIP(canonical), canonical)
  })
}

test('is never the same twice', () => {
  const [one, other] = [selfSigned('a.example'), selfSigned('a.example')].map(
    made => new X509Certificate(made.cert),
  )
  assert.notEqual(one?.serialNumber, other?.serialNumber)
  assert.notEqual(
    one?.publicKey.export({ type: 'spki', format: 'pem' }),
    other?.publicKey.export({ type: 'spki', format: 'pem' }),
  )
})

test('convinces a client that was given it, and no other', async t => {
  const made = selfSigned('127.0.0.1')
  const server = createServer(made, (_request, answer) => void answer.end('hello')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const ask = async (ca: string[]): Promise<string> => {
    const request = get({ host: '127.0.0.1', port, ca, agent: false })
    const [answer] = await once(request, 'response')
    return text(answer)
  }
  assert.equal(await ask([made.cert]), 'hello')
  await assert.rejects(ask([selfSigned('127.0.0.1').cert]), { code: /SELF_SIGNED|SIGNATURE|UNABLE/ })
})
