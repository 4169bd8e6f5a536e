// Configurations that have let somebody in elsewhere: the server does not start on one, and says which key (C57, C70, C72).
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ConfigProblem, createServer, type ServerOptions } from '@writ/server'

function folder(t: TestContext): string {
  const data = mkdtempSync(join(tmpdir(), 'writ-config-'))
  t.after(() => rmSync(data, { recursive: true, force: true }))
  return data
}

/** The key that is named as the reason, or `starts`. */
async function refusal(options: ServerOptions): Promise<string> {
  try {
    const server = await createServer(options)
    await server.close()
    return 'starts'
  } catch (error) {
    assert.ok(error instanceof ConfigProblem, String(error))
    return error.key
  }
}

const open = { host: '0.0.0.0', issuer: 'https://writ.example' } as const

test('what others can reach is not served in clear, nor under a name that nobody knows', async t => {
  const data = folder(t)
  const cases: [ServerOptions, string][] = [
    [open, 'host'],
    [{ ...open, host: '::' }, 'host'],
    [{ ...open, host: '192.0.2.1' }, 'host'],
    [{ ...open, host: 'writ.example' }, 'host'],
    [{ ...open, host: '127.0.0.1.evil.example' }, 'host'],
    [{ ...open, host: 'localhost.evil.example' }, 'host'],
    [{ ...open, host: '0' }, 'host'],
    [{ ...open, host: '127.1' }, 'host'],
    [{ ...open, trustedProxies: ' ' }, 'host'],
    [{ ...open, trustedProxies: ',' }, 'host'],
    [{ host: '0.0.0.0', trustedProxies: '192.0.2.1' }, 'issuer'],
    [{ ...open, trustedProxies: '192.0.2.1', rateLimits: 'off' }, 'rateLimits'],
    [{ ...open, tlsCert: '/nowhere' }, 'tlsKey'],
    [{ ...open, tlsKey: '/nowhere' }, 'tlsCert'],
    [{ ...open, tlsCert: '/nowhere', tlsKey: '/nowhere', tlsSelfSigned: 'on' }, 'tlsSelfSigned'],
    [{ ...open, trustedProxies: '192.0.2.1' }, 'starts'],
  ]
  for (const [options, key] of cases)
    assert.equal(await refusal({ data, ...options }), key, JSON.stringify(options))
})

test('a trusted proxy is an address: no network, no name and no wildcard that would be believed or never match', async t => {
  const data = folder(t)
  for (const trustedProxies of [
    '*',
    'any',
    '10.0.0.0/8',
    '0.0.0.0/0',
    '::/0',
    'proxy.internal',
    'localhost',
    '127.0.0.1:8080',
    '192.0.2.1;192.0.2.2',
    '192.0.2.1 x',
    '192.0.2.256',
    '[::1]',
    '0x7f.1',
    '::ffff:192.0.2.1',
    '2001:DB8::1',
    '2001:db8:0:0::1',
  ]) {
    const options = { data, issuer: 'https://writ.example', trustedProxies }
    assert.equal(await refusal(options), 'trustedProxies', trustedProxies)
    assert.notEqual(await refusal({ ...open, data, trustedProxies }), 'starts', trustedProxies)
  }
  for (const trustedProxies of ['192.0.2.1', '192.0.2.1, 192.0.2.2', '2001:db8::1 ::1', '']) {
    assert.equal(
      await refusal({ data, issuer: 'https://writ.example', trustedProxies }),
      'starts',
      trustedProxies,
    )
  }
})

test('a number is decimal digits: what only looks like one, or is read as another, starts nothing', async t => {
  const data = folder(t)
  const given = (value: unknown) => ({ data, accessTokenSeconds: value }) as unknown as ServerOptions
  for (const value of [
    '',
    ' ',
    '60 ',
    '+60',
    '-60',
    '060',
    '0x40',
    '0b111100',
    '6e1',
    '60.0',
    '60s',
    '6_0',
    '\u0666\u0660',
    'Infinity',
    'null',
    '9'.repeat(40),
    null,
    true,
    [60],
    {},
    60.5,
    Number.NaN,
    '301x',
  ]) {
    assert.equal(await refusal(given(value)), 'accessTokenSeconds', JSON.stringify(value))
  }
  for (const value of ['60', 60, undefined]) assert.equal(await refusal(given(value)), 'starts')
})

test('an issuer has one text, over TLS or on this machine', async t => {
  const data = folder(t)
  for (const issuer of [
    '',
    'writ.example',
    '//writ.example',
    'http://writ.example',
    'http://127.0.0.1.evil.example',
    'http://localhost.evil.example',
    'http://127.0.0.1@evil.example',
    'ftp://writ.example',
    'https://writ.example/',
    'https://writ.example//',
    'https://writ.example/a/',
    'https://writ.example/a/../b',
    'https://writ.example/./a',
    'https://writ.example/%61',
    'https://WRIT.example',
    'HTTPS://writ.example',
    'https://writ.example:443',
    'https://writ.example?',
    'https://writ.example?x=y',
    'https://writ.example#',
    'https://writ.example#x',
    'https://user@writ.example',
    'https://user:pass@writ.example',
    'https://writ.example ',
    ' https://writ.example',
    'https://writ.example\n',
    'https://wr\u0131t.example',
    'https://writ.example\\a',
    'https:writ.example',
    `https://${'a'.repeat(600)}.example`,
    'javascript:alert(1)',
  ]) {
    assert.equal(await refusal({ data, issuer }), 'issuer', issuer)
  }
})

test('data that belongs to another issuer is not served under this one', async t => {
  const data = folder(t)
  assert.equal(await refusal({ data, issuer: 'https://writ.example' }), 'starts')
  for (const issuer of [
    'https://evil.example',
    'https://writ.example/a',
    'https://writ.example:8443',
    'http://127.0.0.1:1',
  ]) {
    assert.equal(await refusal({ data, issuer }), 'issuer', issuer)
  }
  assert.equal(await refusal({ data, issuer: 'https://writ.example' }), 'starts')
})

test('numbers that would leave a gap are refused by their name', async t => {
  const data = folder(t)
  const cases: [Record<string, unknown>, string][] = [
    [{ accessTokenSeconds: 901 }, 'accessTokenSeconds'],
    [{ accessTokenSeconds: 0 }, 'accessTokenSeconds'],
    [{ accessTokenSeconds: -1 }, 'accessTokenSeconds'],
    [{ accessTokenSeconds: 1.5 }, 'accessTokenSeconds'],
    [{ accessTokenSeconds: Number.NaN }, 'accessTokenSeconds'],
    [{ accessTokenSeconds: Number.POSITIVE_INFINITY }, 'accessTokenSeconds'],
    [{ accessTokenSeconds: 'never' }, 'accessTokenSeconds'],
    [{ clockSkewSeconds: 3600 }, 'clockSkewSeconds'],
    [{ assertionSeconds: 86_400 }, 'assertionSeconds'],
    [{ dpopProofSeconds: 86_400 }, 'dpopProofSeconds'],
    [{ dpopNonce: 'off' }, 'dpopNonce'],
    [{ rateLimits: 'false' }, 'rateLimits'],
    [{ maxBodyBytes: 1e9 }, 'maxBodyBytes'],
    [{ issuerKeyPublishSeconds: 10, jwksCacheSeconds: 60 }, 'issuerKeyPublishSeconds'],
    [{ stalenessSeconds: 2, revocationHeartbeatSeconds: 5 }, 'stalenessSeconds'],
    [{ stalenessSeconds: 3600 }, 'stalenessSeconds'],
    [{ checkpointSeconds: 3600 }, 'checkpointSeconds'],
    [{ port: 70_000 }, 'port'],
    [{ data: '' }, 'data'],
  ]
  for (const [options, key] of cases) {
    const given = { data, issuer: 'https://writ.example', ...options } as ServerOptions
    assert.equal(await refusal(given), key, JSON.stringify(options))
  }
})
