// The way to the service that keeps the root: who is believed, and what an answer may not do.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { createServer as createPlain } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import { selfSigned } from '../../http/self-signed.ts'
import { openHttps } from './https-json.ts'

const certificate = selfSigned('vault.example')

const serve = async (listener: RequestListener, secure = false): Promise<URL> => {
  const server = secure ? createServer(certificate, listener) : createPlain(listener)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  after(() => {
    server.closeAllConnections()
    server.close()
  })
  return new URL(`http${secure ? 's' : ''}://127.0.0.1:${(server.address() as AddressInfo).port}`)
}

const away = (says: RegExp) => (error: unknown) => {
  assert.ok(isFault(error), String(error))
  assert.equal(error.code, 'temporarily_unavailable')
  assert.equal(error.why?.kind, 'sealer_away')
  assert.match(error.message, says)
  return true
}
const asking = { method: 'GET', path: '/v1/x', headers: { 'x-vault-token': 'hvs.secret' } } as const

test('a service whose certificate nobody vouches for is not asked, and one that the setting vouches for is', async () => {
  let asked = 0
  const origin = await serve((_, response) => {
    asked += 1
    response.end('{"data":{}}')
  }, true)
  const stranger = openHttps(origin, undefined)
  await assert.rejects(stranger.ask(asking), away(/cannot be reached \(\w*(SELF_SIGNED|UNABLE)\w*\)/))
  assert.equal(asked, 0)
  const known = openHttps(origin, certificate.cert)
  assert.deepEqual(await known.ask(asking), { status: 200, body: { data: {} } })
  const elsewhere = openHttps(origin, selfSigned('other.example').cert)
  await assert.rejects(elsewhere.ask(asking), away(/cannot be reached/))
  assert.equal(asked, 1)
  for (const each of [stranger, known, elsewhere]) each.close()
})

test('a redirect is not followed: the token goes nowhere else', async () => {
  let stolen = 0
  const thief = await serve((_, response) => {
    stolen += 1
    response.end('{}')
  })
  const origin = await serve((_, response) => response.writeHead(307, { location: thief.href }).end())
  const http = openHttps(origin, undefined)
  assert.equal((await http.ask(asking)).status, 307)
  assert.equal(stolen, 0)
  http.close()
})

test('an answer that does not come, does not end or never stops is given up', async () => {
  const silent = openHttps(await serve(() => undefined), undefined, 200)
  await assert.rejects(silent.ask(asking), away(/no answer in time/))
  const stuck = openHttps(await serve((_, response) => void response.write('{')), undefined, 200)
  await assert.rejects(stuck.ask(asking), away(/no answer in time/))
  const endless = openHttps(await serve((_, response) => void response.end('x'.repeat(100_000))), undefined)
  await assert.rejects(endless.ask(asking), away(/cannot be reached/))
  for (const each of [silent, stuck, endless]) each.close()
})

test('an answer that is no JSON object is an answer without a body', async () => {
  for (const text of ['', '<html>', '"text"', 'null', '{']) {
    const http = openHttps(await serve((_, response) => void response.end(text)), undefined)
    assert.deepEqual(await http.ask(asking), { status: 200, body: undefined }, text)
    http.close()
  }
})

test('no failure shows the token', async () => {
  const http = openHttps(await serve(request => void request.socket.destroy()), undefined)
  await assert.rejects(http.ask(asking), error => {
    away(/cannot be reached/)(error)
    assert.ok(!`${(error as Error).message}${JSON.stringify(error)}`.includes('hvs.secret'))
    return true
  })
  http.close()
})
