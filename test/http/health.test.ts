// Alive, ready, counted: what the probes say when all is well and when it is not, and who may read the numbers.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Authority, authority } from '../harness/authority.ts'

const from = (remoteAddress: string) => ({ incoming: { socket: { remoteAddress } } })

const local = 'http://127.0.0.1:8455'

async function metricsFrom(
  site: Authority,
  peer: string,
  { host = local, headers = {} }: { host?: string; headers?: Record<string, string> } = {},
): Promise<Response> {
  return site.server.fetch(new Request(`${host}/metrics`, { headers }), from(peer))
}

test('the probes are open, at the root of the host, and say that all is well', async t => {
  const site = await authority(t, { issuer: 'https://writ.example/team' })
  const alive = await site.fetch('https://writ.example/healthz')
  assert.deepEqual([alive.status, await alive.json()], [200, { alive: true }])
  const ready = await site.fetch('https://writ.example/readyz')
  assert.equal(ready.status, 200)
  assert.deepEqual(await ready.json(), { ready: true, open: true, keys: true, store: true })
  assert.equal((await site.fetch('https://writ.example/team/healthz')).status, 404)
})

test('a node without its store is alive and not ready, and says which part is missing', async t => {
  const site = await authority(t)
  await site.server.store.close()
  assert.equal((await site.fetch('/healthz')).status, 200)
  const ready = await site.fetch('/readyz')
  assert.equal(ready.status, 503)
  assert.deepEqual(await ready.json(), { ready: false, open: true, keys: true, store: false })
})

test('a node that is stopping takes no more work', async t => {
  const site = await authority(t)
  site.server.endLongAnswers()
  const ready = await site.fetch('/readyz')
  assert.equal(ready.status, 503)
  assert.equal(((await ready.json()) as { open: boolean }).open, false)
})

test('a loopback peer reads the numbers, and they count what happened', async t => {
  const site = await authority(t, { issuer: local })
  await site.operator.manage('GET', '/agents')
  await site.fetch('/nothing')
  const answer = await metricsFrom(site, '127.0.0.1')
  assert.equal(answer.status, 200)
  assert.equal(
    answer.headers.get('content-type'),
    'application/openmetrics-text; version=1.0.0; charset=utf-8',
  )
  const page = await answer.text()
  assert.match(page, /^writ_requests_total\{route="unknown",status="404"\} 1$/m)
  assert.match(page, /^writ_refusals_total\{code="not_found"\} 1$/m)
  assert.match(page, /^writ_decisions_total\{type="token.issued",outcome="allowed"\} 1$/m)
  assert.match(page, /^writ_issuer_keys\{tenant="default",state="active"\} 1$/m)
  assert.match(page, /^writ_commit_groups_total \d+$/m)
  assert.ok(page.endsWith('# EOF\n'))
  assert.equal((await metricsFrom(site, '::1', { host: 'http://[::1]:8455' })).status, 200)
  assert.equal((await metricsFrom(site, '::ffff:127.0.0.1', { host: 'http://localhost:8455' })).status, 200)
})

test('nobody else does: another machine, a proxy on this one, or a page whose name was made to lead here', async t => {
  const site = await authority(t, { issuer: local })
  const refused = async (answer: Response, how: string): Promise<void> => {
    assert.equal(answer.status, 403, how)
    assert.equal(((await answer.json()) as { code: string }).code, 'access_denied')
  }
  await refused(await metricsFrom(site, '192.0.2.1'), 'another machine')
  await refused(await site.fetch('/metrics'), 'no peer')
  await refused(
    await metricsFrom(site, '127.0.0.1', { host: 'http://rebound.example:8455' }),
    'DNS rebinding',
  )
  for (const name of ['x-forwarded-for', 'forwarded', 'via', 'x-real-ip']) {
    await refused(await metricsFrom(site, '127.0.0.1', { headers: { [name]: '127.0.0.1' } }), name)
  }
  const proxied = await authority(t, { issuer: local, trustedProxies: '127.0.0.1' })
  await refused(await metricsFrom(proxied, '127.0.0.1'), 'a proxy that is named')
  const unnamed = await authority(t, { issuer: 'https://writ.example' })
  await refused(await metricsFrom(unnamed, '127.0.0.1'), 'a proxy that nobody named')
})

test('with a token for it the numbers are read from anywhere, and the reading is an entry', async t => {
  const site = await authority(t)
  const read = async (scope: string) =>
    site.operator.call('GET', `${site.issuer}/metrics`, {
      token: await site.operator.token(`${site.issuer}/api/v1`, scope),
    })
  const allowed = await read('writ:events:read')
  assert.equal(allowed.status, 200)
  assert.match(allowed.body, /# EOF\n$/)
  const denied = await read('writ:agents:read')
  assert.equal(denied.status, 403)
  assert.equal(denied.body.code, 'insufficient_scope')
  for (const [answer, outcome] of [
    [allowed, 'allowed'],
    [denied, 'refused'],
  ] as const) {
    const events = await site.operator.manage(
      'GET',
      `/events?request_id=${answer.headers.get('x-request-id')}`,
    )
    const [entry] = events.body.items
    assert.deepEqual([entry.type, entry.outcome], ['metrics.read', outcome])
  }
})
