// Ends that arrive, and silence that denies: a verifier against an issuer that pushes, stalls, lies, moves and returns.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { isFault } from '../../protocol/fault.ts'
import { generateKeyPair } from '../../protocol/jwk.ts'
import { type Narrowing, subjectDigest } from '../../protocol/revocation.ts'
import { type MovableClock, movableClock } from '../testing/clock.ts'
import {
  createHolder,
  type IssuerFixture,
  type IssuerOptions,
  kidOf,
  startIssuer,
  until,
} from '../testing/issuer.ts'
import { createVerifier, type Verifier, type VerifierOptions } from '../verifier.ts'

const resource = 'https://api.example'
const uri = `${resource}/x`
const holder = createHolder()
const opened: { close(): unknown }[] = []
after(async () => {
  for (const one of opened.reverse()) await one.close()
})

interface Scene {
  readonly issuer: IssuerFixture
  readonly clock: MovableClock
  readonly verifier: Verifier
  readonly troubles: string[]
  token(claims?: Record<string, unknown>): string
  /** The code and reason with which a call is refused, or `ok`. */
  attempt(token: string): Promise<string>
}

async function scene(options: Partial<VerifierOptions> = {}, at: IssuerOptions = {}): Promise<Scene> {
  const issuer = await startIssuer(at)
  const clock = movableClock()
  const troubles: string[] = []
  const onTrouble = (problem: unknown): void => void troubles.push(String(problem))
  const verifier = createVerifier({ issuer: issuer.url, resource, clock, onTrouble, ...options })
  opened.push(issuer, verifier)
  return {
    issuer,
    clock,
    verifier,
    troubles,
    token: (claims = {}) => issuer.issue({ cnf: { jkt: holder.jkt }, ...claims }),
    async attempt(token) {
      const nowSeconds = Math.floor(clock.wallMs() / 1000)
      const headers = new Headers(holder.headers(token, { uri, nowSeconds }))
      try {
        await verifier.verify({ method: 'GET', url: '/x', headers })
        return 'ok'
      } catch (error) {
        assert.ok(isFault(error), String(error))
        return `${error.code} ${error.why?.kind}`
      }
    },
  }
}

const denied = 'temporarily_unavailable no_contact'

test('denies before the first contact and admits after it', async () => {
  const { issuer, verifier, attempt, token } = await scene()
  issuer.silent = true
  assert.equal(await attempt(token()), denied)
  await assert.rejects(verifier.ready(0.05), /no contact to http/)
  issuer.silent = false
  issuer.dropListeners()
  await verifier.ready()
  assert.equal(await attempt(token()), 'ok')
})

test('refuses a cached token as soon as the stream says that something it rests on has ended', async () => {
  const { issuer, verifier, attempt, token, clock } = await scene()
  await verifier.ready()
  const subjects = ['agt_1', 'ins_1', 'grt_1', 'key:client-key', `key:${holder.jkt}`, resource]
  for (const subject of subjects) {
    const old = token()
    assert.equal(await attempt(old), 'ok', subject)
    const from = performance.now()
    issuer.narrow('somebody-else', subject)
    await until(async () => (await attempt(old)) === 'invalid_token ended')
    assert.ok(performance.now() - from < 2000)
    assert.equal(await attempt(old), 'invalid_token ended')
    // What is issued afterwards rests on what holds since.
    assert.equal(await attempt(token()), 'ok')
  }
  const one = token({ jti: 'the-one' })
  issuer.narrow('token:the-one')
  await until(async () => (await attempt(one)) === 'invalid_token ended')
  clock.pass(1)
  assert.equal(await attempt(one), 'invalid_token ended')
})

test('refuses a token on its first use when its end was in the snapshot', async () => {
  const { issuer, verifier, attempt, token } = await scene()
  const old = token()
  issuer.narrow('agt_1')
  await verifier.ready()
  assert.equal(await attempt(old), 'invalid_token ended')
  assert.equal(await attempt(token()), 'ok')
})

test('tells whoever waits for the end of a token, on revocation, expiry, silence and close', async () => {
  const { issuer, verifier, token, clock } = await scene()
  await verifier.ready()
  const ended: string[] = []
  const wait = async (name: string, claims: Record<string, unknown>): Promise<() => void> => {
    const nowSeconds = Math.floor(clock.wallMs() / 1000)
    const headers = new Headers(holder.headers(token(claims), { uri, nowSeconds }))
    const caller = await verifier.verify({ method: 'GET', url: '/x', headers })
    return verifier.onEnd(caller, () => ended.push(name))
  }
  const now = Math.floor(Date.now() / 1000)
  await wait('revoked', { writ: { epoch: 1, key: 'k', grants: ['grt_r'] } })
  await wait('expired', { exp: now + 30 })
  await wait('silent', {})
  const stop = await wait('stopped', {})
  stop()
  issuer.narrow('grt_r')
  await until(() => ended.includes('revoked'))
  assert.deepEqual(ended, ['revoked'])
  issuer.silent = true
  clock.pass(36)
  await until(() => ended.length === 3)
  issuer.silent = false
  issuer.dropListeners()
  await verifier.ready()
  await wait('closed', { exp: now + 300 })
  verifier.close()
  assert.deepEqual(ended.slice(-1), ['closed'])
  assert.equal(ended.includes('stopped'), false)
})

test('denies everything once the issuer has been silent for the bound on an open socket, and recovers by itself', async () => {
  const { issuer, clock, verifier, attempt, token, troubles } = await scene()
  await verifier.ready()
  const good = token()
  assert.equal(await attempt(good), 'ok')
  issuer.silent = true
  clock.pass(4)
  assert.equal(await attempt(good), 'ok', 'within the bound')
  clock.pass(2)
  assert.equal(await attempt(good), denied)
  await until(() => troubles.some(trouble => trouble.includes('fell silent')))
  issuer.silent = false
  issuer.dropListeners()
  await verifier.ready()
  assert.equal(await attempt(good), 'ok')
})

test('never waits longer than the issuer asks for, nor longer than the resource wants', async () => {
  const bySmaller = await scene({ stalenessSeconds: 60 }, { stalenessSeconds: 2 })
  await bySmaller.verifier.ready()
  const byResource = await scene({ stalenessSeconds: 2 }, { stalenessSeconds: 60 })
  await byResource.verifier.ready()
  for (const { issuer, clock, attempt, token, verifier } of [bySmaller, byResource]) {
    issuer.silent = true
    clock.pass(2.5)
    assert.equal(await attempt(token()), denied)
    assert.match(verifier.guarantees().revocation, /after 2 s without contact/)
  }
})

test('goes on by polling while the stream gives nothing, and learns ends that way', async () => {
  const { issuer, clock, verifier, attempt, token, troubles } = await scene()
  await verifier.ready()
  issuer.heartless = true
  const old = token()
  assert.equal(await attempt(old), 'ok')
  issuer.dropListeners()
  await until(() => troubles.length > 0)
  const polls = (): number => issuer.asked.get('/revocations') ?? 0
  for (let round = 0; round < 3; round += 1) {
    const before = polls()
    clock.pass(3)
    await until(() => polls() > before)
    await verifier.ready()
    assert.equal(await attempt(token()), 'ok')
  }
})

test('polls in time where heartbeats are rarer than the bound', async () => {
  const { issuer, clock, verifier, attempt, token } = await scene(
    {},
    { heartbeatSeconds: 5, stalenessSeconds: 4 },
  )
  await verifier.ready()
  const before = issuer.asked.get('/revocations') ?? 0
  clock.pass(2.5)
  await until(() => (issuer.asked.get('/revocations') ?? 0) > before)
  clock.pass(2)
  await until(async () => (await attempt(token())) === 'ok')
  assert.ok(issuer.listeners() > 0, 'the stream itself was not given up')
})

test('comes back when the stream is refused for a while', async () => {
  const { issuer, clock, verifier, attempt, token, troubles } = await scene()
  await verifier.ready()
  issuer.unavailable = true
  issuer.dropListeners()
  await until(() => troubles.some(trouble => trouble.includes('answered 503')))
  clock.pass(6)
  assert.equal(await attempt(token()), denied)
  issuer.narrow('grt_1')
  issuer.unavailable = false
  await verifier.ready()
  assert.equal(
    await attempt(token({ writ: { epoch: 1, key: 'k', grants: ['grt_1'] } })),
    'invalid_token ended',
  )
})

test('does not believe a stream that goes back, is no message, or never ends one', async () => {
  const { issuer, verifier, attempt, token, troubles } = await scene()
  await verifier.ready()
  const old = token()
  issuer.narrow('grt_1')
  await until(async () => (await attempt(old)) === 'invalid_token ended')
  const lies: [() => void, RegExp][] = [
    [() => issuer.push({ type: 'snapshot', epoch: 0, narrowed: [] }), /contradicts itself at epoch 0/],
    [() => issuer.push({ type: 'heartbeat', epoch: 1 }), /contradicts itself at epoch 1/],
    [
      () => issuer.push({ type: 'narrowed', epoch: 5, narrowed: [[9, 'x']] }),
      /contradicts itself at epoch 5/,
    ],
    [() => issuer.pushRaw('data: {"type":"everything is fine"}\n\n'), /not a message/],
    [() => issuer.pushRaw('data: nonsense\n\n'), /JSON/],
  ]
  for (const [lie, problem] of lies) {
    const before = troubles.length
    await until(() => {
      lie()
      return troubles.slice(before).some(trouble => problem.test(trouble))
    })
    await verifier.ready()
    assert.equal(await attempt(old), 'invalid_token ended', 'what is dead stays dead')
  }
})

test('fills a gap that a heartbeat reveals', async () => {
  const { issuer, verifier, attempt, token } = await scene()
  await verifier.ready()
  const old = token()
  assert.equal(await attempt(old), 'ok')
  await until(() => issuer.listeners() > 0)
  // The node behind the stream has lost an end that its store holds: polls know it, and heartbeats are ahead.
  issuer.silent = true
  issuer.narrow('grt_1')
  issuer.silent = false
  await until(async () => (await attempt(old)) === 'invalid_token ended')
})

test('holds 100,000 ends, finds the one that matters, and decides no slower', async () => {
  const { issuer, verifier, attempt, token } = await scene()
  await verifier.ready()
  const old = token()
  assert.equal(await attempt(old), 'ok')
  await until(() => issuer.listeners() > 0)
  for (let batch = 0; batch < 10; batch += 1) {
    issuer.epoch += 10_000
    const narrowed = Array.from(
      { length: 10_000 },
      (_, at): Narrowing => [issuer.epoch - at, subjectDigest(`${batch}/${at}`)],
    )
    issuer.push({ type: 'narrowed', narrowed })
  }
  issuer.narrow('agt_1')
  await until(async () => (await attempt(old)) === 'invalid_token ended')
  assert.equal(await attempt(token()), 'ok')
})

test('lets go of an issuer key that leaves the set, and of one that is swapped under its name', async () => {
  const { issuer, verifier, attempt, token, clock } = await scene()
  await verifier.ready()
  const old = token()
  assert.equal(await attempt(old), 'ok')
  const swapped = generateKeyPair('ES256')
  issuer.published = [{ kid: kidOf(issuer.signer), key: swapped }]
  clock.pass(61)
  await until(async () => (await attempt(old)) === 'invalid_token ended')
  await until(async () => (await attempt(token())) === 'invalid_token signature')
  const forged = issuer.issue({ cnf: { jkt: holder.jkt } }, { key: swapped, kid: kidOf(issuer.signer) })
  assert.equal(await attempt(forged), 'ok', 'what the issuer publishes now is what counts')
})

test('goes through a rotation of the issuer key without refusing anybody', async () => {
  const { issuer, verifier, attempt, token } = await scene({}, { keysCacheSeconds: 1 })
  await verifier.ready()
  const byOld = token()
  assert.equal(await attempt(byOld), 'ok')
  const next = generateKeyPair('ES256')
  issuer.published = [...issuer.published, { kid: kidOf(next), key: next }]
  issuer.signer = next
  // A key change ends nothing by itself: the issuer says so on the same stream.
  issuer.narrow(`issuer-key:${issuer.published[0]?.kid}`)
  assert.equal(await attempt(token()), 'ok')
  assert.equal(await attempt(byOld), 'ok')
})

test('reads the keys anew when it hears that one has stopped signing', async () => {
  const { issuer, verifier } = await scene({}, { keysCacheSeconds: 2 })
  await verifier.ready()
  await until(() => issuer.listeners() > 0)
  const reads = issuer.asked.get('/jwks') ?? 0
  issuer.narrow(`issuer-key:${kidOf(issuer.signer)}`)
  await until(() => (issuer.asked.get('/jwks') ?? 0) > reads)
})

test('lets go of a key that was cut, whatever epoch its tokens carry and whatever a cache still holds', async () => {
  const { issuer, verifier, attempt, token } = await scene({}, { keysCacheSeconds: 2 })
  await verifier.ready()
  await until(() => issuer.listeners() > 0)
  const thief = issuer.signer
  // Whoever holds the key can write any epoch into a token.
  const writ = { epoch: issuer.epoch + 1000, key: 'client-key', grants: ['grt_1'] }
  const forged = (): string => issuer.issue({ cnf: { jkt: holder.jkt }, writ }, { key: thief })
  assert.equal(await attempt(forged()), 'ok')
  // The JWK Set goes on to publish it, as a cache would.
  issuer.signer = generateKeyPair('ES256')
  issuer.published = [...issuer.published, { kid: kidOf(issuer.signer), key: issuer.signer }]
  issuer.narrow(`issuer-key-cut:${kidOf(thief)}`)
  assert.equal(await attempt(token()), 'ok')
  assert.notEqual(await attempt(forged()), 'ok')
})

test('asks for unknown keys at its own pace, not at that of whoever sends tokens', async () => {
  const { issuer, verifier, attempt } = await scene({}, { keysCacheSeconds: 1 })
  await verifier.ready()
  const reads = issuer.asked.get('/jwks') ?? 0
  const forged = Array.from({ length: 50 }, (_, at) =>
    issuer.issue({ cnf: { jkt: holder.jkt } }, { kid: `made-up-${at}` }),
  )
  const results = await Promise.all(forged.map(attempt))
  assert.deepEqual([...new Set(results)], ['invalid_token unknown_key'])
  assert.ok((issuer.asked.get('/jwks') ?? 0) - reads <= 2)
})

test('does not follow discovery documents of another issuer, to insecure places, or through redirects', async () => {
  const wrong: [string, Record<string, unknown>, RegExp][] = [
    ['oauth-authorization-server', { issuer: 'https://evil.example' }, /names another issuer/],
    ['writ-configuration', { issuer: undefined }, /names another issuer/],
    [
      'oauth-authorization-server',
      { jwks_uri: 'http://evil.example/jwks' },
      /jwks_uri .* not an https address/,
    ],
    [
      'writ-configuration',
      { revocation_stream: 'http://evil.example/' },
      /revocation_stream .* not an https/,
    ],
  ]
  for (const [name, members, problem] of wrong) {
    const { issuer, verifier, troubles, attempt, token } = await scene()
    issuer.documents[name] = members
    await until(() => troubles.some(trouble => problem.test(trouble)))
    assert.equal(await attempt(token()), denied)
    delete issuer.documents[name]
    await verifier.ready()
  }
  const redirecting: typeof fetch = async (input, init) => {
    assert.equal(init?.redirect, 'error')
    return fetch(input, init)
  }
  const { verifier } = await scene({ fetch: redirecting })
  await verifier.ready()
})

test('follows an issuer whose identifier has a path', async () => {
  const { verifier, attempt, token, issuer } = await scene({}, { path: '/tenant1' })
  await verifier.ready()
  assert.equal(await attempt(token()), 'ok')
  assert.equal(issuer.asked.get('/.well-known/oauth-authorization-server/tenant1'), 1)
})

test('does not keep a process alive after close', async () => {
  const { issuer } = await scene()
  const script = `import { createVerifier } from ${JSON.stringify(new URL('../verifier.ts', import.meta.url).href)}
    const verifier = createVerifier({ issuer: process.argv[1], resource: 'https://api.example' })
    await verifier.ready()
    verifier.close()
    await verifier.ready().catch(error => console.log(error.message))`
  const args = ['--conditions=writ-source', '--input-type=module', '-e', script, issuer.url]
  const cwd = fileURLToPath(new URL('.', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 10_000, cwd })
  assert.equal(stdout.trim(), 'the verifier is closed')
})
