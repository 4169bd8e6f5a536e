// The rotator of OAuth clients, against registrars that behave and misbehave, and against oidc-provider.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { createRequire } from 'node:module'
import { type TestContext, test } from 'node:test'
import { type Code, isFault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import { oauthClient } from './oauth-client.ts'
import type { Held, RotatorContext } from './rotator.ts'
import { clientId, type Habits, type Registrar, startRegistrar } from './testing/registrar.ts'
import { stretch } from './wire.ts'

type Context = RotatorContext<ReturnType<typeof oauthClient.options.parse>>

function contextOf(tokenEndpoint: string, value: string, more: Partial<Context> = {}): Context {
  const current = { value: new Secret(value), handle: null, number: 1 }
  return {
    options: oauthClient.options.parse({ tokenEndpoint, timeoutSeconds: 5 }),
    rotation: 'rot_1',
    secretName: 'gate-client',
    current,
    next: { value: new Secret(''), handle: null, number: 2 },
    secret: async name => assert.fail(`asks for ${name}`),
    now: 1_800_000_000,
    signal: new AbortController().signal,
    ...more,
  }
}

const proposed = async (context: Context): Promise<Context> => ({
  ...context,
  next: { ...(await oauthClient.propose(context)), number: 2 },
})

const staged = async (context: Context): Promise<Context> => ({
  ...context,
  next: { ...context.next, ...(await oauthClient.stage(context)) },
})

const membersOf = ({ value }: Pick<Held, 'value'>): Record<string, string> => JSON.parse(value.reveal())

const started = async (t: TestContext, habits: Habits = {}): Promise<Registrar> => {
  const registrar = await startRegistrar(habits)
  t.after(() => registrar.close())
  return registrar
}

const refuses =
  (code: Code, pattern: RegExp, ...secrets: (string | undefined)[]) =>
  (error: unknown): boolean => {
    assert.ok(isFault(error), String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, pattern)
    const shown = `${error.message} ${JSON.stringify(error.why)} ${error.cause ?? ''} ${error.stack}`
    for (const secret of secrets) assert.ok(secret && !shown.includes(secret), shown)
    return true
  }

test('options that send the secret in clear, or elsewhere than they say, are refused', () => {
  const good = { tokenEndpoint: 'https://as.example/token' }
  assert.ok(oauthClient.options.safeParse(good).success)
  const wrong = [
    ...[
      'http://as.example/token',
      'https://as.example@evil.example',
      'https://as.example\\@evil',
      'as.example',
    ],
    ...['http://127.0.0.1.evil.example/token', 'https://as.example/token#x', ''],
  ].map(tokenEndpoint => ({ tokenEndpoint }))
  const parameters = ['grant_type', 'client_id', 'client_secret', 'client_assertion', 'A', 'a b', '']
  for (const options of [
    ...wrong,
    ...parameters.map(name => ({ ...good, parameters: { [name]: 'x' } })),
    { ...good, parameters: { scope: 'a\r\nb' } },
    { ...good, unknown: 1 },
    { ...good, timeoutSeconds: 0 },
  ])
    assert.ok(!oauthClient.options.safeParse(options).success, JSON.stringify(options))
})

test('a value that is no whole credential gives nothing to anybody, and is not shown', async () => {
  const good = {
    client_id: 'c',
    client_secret: 'canary-secret',
    registration_access_token: 'canary-token',
    registration_client_uri: 'https://as.example/register/c',
  }
  const wrong = [
    'canary-secret',
    '["canary-secret"]',
    JSON.stringify({ ...good, client_secret: undefined }),
    JSON.stringify({ ...good, client_secret: 1 }),
    JSON.stringify({ ...good, registration_access_token: 'canary-token\r\nHost: evil' }),
    JSON.stringify({ ...good, registration_client_uri: 'http://as.example/register/c' }),
    JSON.stringify({ ...good, registration_client_uri: 'https://as.example@evil.example/' }),
    `${JSON.stringify(good).slice(0, -1)},"client_secret":"canary-second"}`,
  ]
  for (const value of wrong) {
    const isRefused = refuses('conflict', /no JSON object with client_id/, 'canary')
    assert.throws(() => oauthClient.given?.(new Secret(value)), isRefused, value)
    await assert.rejects(oauthClient.propose(contextOf('https://as.example/token', value)), isRefused, value)
  }
  const given = oauthClient.given?.(new Secret(JSON.stringify({ ...good, grant_types: [] })))
  // The token by which the client itself could be changed stays in the vault.
  assert.deepEqual(JSON.parse(given?.reveal() ?? ''), { client_id: 'c', client_secret: 'canary-secret' })
})

test('there is no first version without a person', async () => {
  const context = contextOf('https://as.example/token', '{}', { current: null })
  await assert.rejects(oauthClient.propose(context), refuses('conflict', /Register the client/))
})

test('a new secret is taken from an update that leaves the rest of the registration as it was', async t => {
  const registrar = await started(t, { replacesToken: true })
  let context = contextOf(registrar.tokenEndpoint, registrar.registration())
  for (const _ of [1, 2, 3]) {
    const former = context.current as Held
    const next = await staged(await proposed(context))
    assert.deepEqual(await oauthClient.stage(next), {}, 'what was stored is not made again')
    await oauthClient.verify(next)
    await oauthClient.promote(next)
    assert.equal(membersOf(next.next)['client_secret'], registrar.secrets.at(-1))
    assert.equal(membersOf(former)['client_secret'], registrar.secrets.at(-2), 'both work')
    await oauthClient.verify({ ...context, current: null, next: former })
    await oauthClient.retire({ ...context, current: next.next, next: former })
    const put = JSON.parse(registrar.seen.findLast(({ method }) => method === 'PUT')?.body ?? '')
    assert.deepEqual(put, {
      client_name: 'gate',
      redirect_uris: ['https://gate.example/cb'],
      client_id: clientId,
      client_secret: membersOf(former)['client_secret'],
    })
    context = { ...context, current: next.next }
  }
})

test('an update whose request or answer is lost is made again, and leaves no third secret', async t => {
  for (const lost of ['request', 'answer'] as const)
    for (let nth = 1, wasCut = true; wasCut; nth += 1) {
      const registrar = await started(t)
      const wire = await stretch(registrar.port)
      t.after(() => wire.close())
      const context = await proposed(contextOf(registrar.tokenEndpoint, registrar.registration(wire.port)))
      wire.cut(lost, nth)
      const first = await staged(context).catch(error => {
        assert.ok(refuses('temporarily_unavailable', /no answer/, registrar.secrets[0])(error))
        return undefined
      })
      ;({ wasCut } = wire)
      await wire.mend()
      const next = first ?? (await staged(context))
      await oauthClient.verify(next)
      assert.equal(registrar.secrets.length, 2)
      assert.equal(membersOf(next.next)['client_secret'], registrar.secrets[1])
      assert.equal(membersOf(context.current as Held)['client_secret'], registrar.secrets[0])
    }
})

test('a server that tells the secret when it is read is not asked for one more after a lost answer', async t => {
  const registrar = await started(t, { tellsSecret: true })
  const context = await proposed(contextOf(registrar.tokenEndpoint, registrar.registration()))
  // As if the answer had been lost: staged, and not stored.
  await oauthClient.stage(context)
  const next = await staged(context)
  assert.equal(registrar.seen.filter(({ method }) => method === 'PUT').length, 1)
  assert.equal(membersOf(next.next)['client_secret'], registrar.secrets[1])
  await oauthClient.verify(next)
})

test('a server that keeps the secret but replaces its token ends in a refusal, and the token is not lost', async t => {
  const registrar = await started(t, { keepsSecret: true, replacesToken: true })
  const context = await proposed(contextOf(registrar.tokenEndpoint, registrar.registration()))
  const next = await staged(context)
  const { registration_access_token: token } = membersOf(next.next)
  assert.notEqual(token, membersOf(context.next)['registration_access_token'])
  assert.deepEqual(await oauthClient.stage(next), {})
  await assert.rejects(oauthClient.verify(next), refuses('conflict', /returns the old secret/, token))
})

test('an answer cannot send the token to another host, or take the place of another client', async t => {
  const stranger = await started(t)
  const evil = `http://127.0.0.1:${stranger.port}/register/1`
  const registrar = await started(t, { answers: { registration_client_uri: evil } })
  const context = await proposed(contextOf(registrar.tokenEndpoint, registrar.registration()))
  const moved = {
    ...membersOf(context.next),
    registration_client_uri: `http://127.0.0.1:${registrar.port}/register/1`,
  }
  const own = contextOf(registrar.tokenEndpoint, JSON.stringify(moved))
  const next = await staged(await proposed(own))
  assert.equal(membersOf(next.next)['registration_client_uri'], moved.registration_client_uri)
  assert.deepEqual(stranger.seen, [])
  registrar.habits = { answers: { client_id: 'another' } }
  await assert.rejects(staged(await proposed(own)), refuses('conflict', /something else than this client/))
})

test('a refusal repeats nothing of what the server says', async t => {
  const registrar = await started(t)
  const context = await proposed(contextOf(registrar.tokenEndpoint, registrar.registration()))
  const { client_secret: secret, registration_access_token: token } = membersOf(context.next)
  const cases: [number, Code, RegExp][] = [
    [400, 'conflict', /refuses to update it \(400\)/],
    [401, 'conflict', /does not take the registration access token/],
    [403, 'conflict', /refuses to update it/],
    [409, 'temporarily_unavailable', /two secrets in use/],
    [307, 'conflict', /redirect/],
    [503, 'temporarily_unavailable', /cannot update it now/],
  ]
  for (const [updateStatus, code, pattern] of cases) {
    registrar.habits = { updateStatus }
    await assert.rejects(oauthClient.stage(context), refuses(code, pattern, secret, token))
  }
  registrar.habits = {}
  const wrong = {
    ...membersOf(context.next),
    client_secret: 'never issued',
    registration_access_token: 'gone',
  }
  const value = new Secret(JSON.stringify(wrong))
  const stale = { ...context, next: { ...context.next, value } }
  await assert.rejects(oauthClient.stage(stale), refuses('conflict', /does not take the registration/, token))
  await assert.rejects(
    oauthClient.verify(stale),
    refuses('conflict', /refuses to take the new client secret/),
  )
})

test('whoever is told what this client may not do is authenticated; any other error proves nothing', async t => {
  const registrar = await started(t)
  const next = await staged(await proposed(contextOf(registrar.tokenEndpoint, registrar.registration())))
  registrar.habits = { tokenAnswer: { status: 400, body: { error: 'unauthorized_client' } } }
  await oauthClient.verify(next)
  for (const [status, error] of [
    [400, 'invalid_client'],
    [400, 'invalid_request'],
    [401, 'unauthorized_client'],
    [302, 'unauthorized_client'],
  ] as const) {
    registrar.habits = { tokenAnswer: { status, body: { error } } }
    await assert.rejects(oauthClient.verify(next), refuses('conflict', /take the new client secret/))
  }
})

// Its types need others that do not compile; what is used of it is little.
const require = createRequire(import.meta.url)
const { Provider } = require('oidc-provider') as {
  readonly Provider: new (issuer: string, settings: object) => { callback(): RequestListener }
}

/** A real oidc-provider with a client that it registered; answers the registration. */
async function withProvider(t: TestContext, rotates: boolean) {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as { port: number }
  const issuer = `http://127.0.0.1:${port}`
  const provider = new Provider(issuer, {
    features: {
      registration: { enabled: true },
      registrationManagement: { enabled: true, rotateRegistrationAccessToken: rotates },
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
    },
  })
  server.on('request', provider.callback())
  const answer = await fetch(`${issuer}/reg`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: 'client_secret_basic',
    }),
  })
  assert.equal(answer.status, 201)
  return { tokenEndpoint: `${issuer}/token`, registration: await answer.text() }
}

test('oidc-provider returns the old secret: the rotation is refused, and the client works as before', async t => {
  const { tokenEndpoint, registration } = await withProvider(t, false)
  const context = await proposed(contextOf(tokenEndpoint, registration))
  const { client_secret: secret } = membersOf(context.next)
  for (const _ of [1, 2])
    await assert.rejects(oauthClient.stage(context), refuses('conflict', /returns the old secret/, secret))
  await oauthClient.verify({ ...context, current: null })
  await oauthClient.retire(context)
})

test('oidc-provider may replace the registration access token with it: the new one is kept', async t => {
  const { tokenEndpoint, registration } = await withProvider(t, true)
  const next = await staged(await proposed(contextOf(tokenEndpoint, registration)))
  await assert.rejects(oauthClient.verify(next), refuses('conflict', /returns the old secret/))
  const again = await staged({ ...next, next: { ...next.next, handle: null } })
  assert.notEqual(
    membersOf(again.next)['registration_access_token'],
    membersOf(next.next)['registration_access_token'],
  )
})
