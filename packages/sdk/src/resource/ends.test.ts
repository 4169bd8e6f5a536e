// What ends after it was let in: while its body is waited for, while it runs, while a stream of it is open.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { subjectDigest, toolSubject } from '../protocol/revocation.ts'
import type { Answer } from './challenge.ts'
import { createGuard } from './guard.ts'
import { type McpDecision, type McpGuard, mcpGuard } from './mcp.ts'
import { createHolder, type IssuerFixture, startIssuer, until } from './testing/issuer.ts'

const resource = 'https://tools.example/mcp'
const holder = createHolder()
let issuer: IssuerFixture

before(async () => {
  issuer = await startIssuer({ stalenessSeconds: 1 })
})
after(() => issuer.close())

async function opened(t: { after(end: () => void): void }): Promise<McpGuard> {
  const guard = mcpGuard({ issuer: issuer.url, resource, tools: { burn: 'tools:call', echo: 'tools:call' } })
  t.after(() => guard.verifier.close())
  await guard.verifier.ready()
  return guard
}

const bound = (claims: Record<string, unknown> = {}): string =>
  issuer.issue({ aud: resource, scope: 'tools:call', cnf: { jkt: holder.jkt }, ...claims })

const callOf = (name: string): string =>
  JSON.stringify({ jsonrpc: '2.0', id: 5, method: 'tools/call', params: { name } })

/** A call whose body comes only when `release` is called. */
function slowly(guard: McpGuard, name: string, claims: Record<string, unknown> = {}) {
  let release = (): void => undefined
  const released = new Promise<void>(resolve => {
    release = resolve
  })
  let isRead = false
  const body = (async function* () {
    isRead = true
    await released
    yield Buffer.from(callOf(name))
  })()
  const proven = holder.headers(bound(claims), { uri: resource, method: 'POST' })
  const headers = new Headers({ ...proven, 'content-type': 'application/json' })
  const deciding = guard.decide({ method: 'POST', url: '/mcp', headers, body })
  return { deciding, release, isRead: () => isRead }
}

async function at(guard: McpGuard, name: string, claims: Record<string, unknown> = {}): Promise<McpDecision> {
  const { deciding, release } = slowly(guard, name, claims)
  release()
  return deciding
}

const statusOf = (decision: McpDecision): number =>
  decision.kind === 'answer' ? decision.answer.status : 200

const halt = (...tools: string[]): void => {
  issuer.epoch += 1
  const subjects = tools.map(tool => subjectDigest(toolSubject(resource, tool)))
  issuer.push({ type: 'narrowed', halted: { epoch: issuer.epoch, subjects } })
}

test('a token that ends while the body of its call is on the way opens nothing any more', async t => {
  const guard = await opened(t)
  const slow = { client_id: 'agt_slow', sub: 'agt_slow' }
  const old = { epoch: issuer.epoch, key: 'client-key', grants: ['grt_1'] }
  const call = slowly(guard, 'echo', slow)
  await until(call.isRead)
  issuer.narrow('agt_slow')
  // Another of its tokens, from before: once it is refused, the guard has heard.
  await until(async () => statusOf(await at(guard, 'echo', { ...slow, writ: old })) === 401)
  call.release()
  const decision = await call.deciding
  assert.equal(statusOf(decision), 401)
  assert.ok(decision.kind === 'answer')
  assert.match(decision.answer.headers['www-authenticate'] ?? '', /^DPoP error="invalid_token"/)
})

test('a tool that is halted while the body of its call is on the way is not called, and another one is', async t => {
  const guard = await opened(t)
  const [burn, echo] = [slowly(guard, 'burn'), slowly(guard, 'echo')]
  await until(() => burn.isRead() && echo.isRead())
  halt('burn')
  await until(() => guard.verifier.isHalted('burn'))
  burn.release()
  echo.release()
  assert.deepEqual([statusOf(await burn.deciding), statusOf(await echo.deciding)], [403, 200])
  halt()
  await until(async () => statusOf(await at(guard, 'burn')) === 200)
})

test('the answer of a running call ends with the halt of its tool, and no other answer does', async t => {
  const guard = await opened(t)
  const [burn, echo] = [await at(guard, 'burn'), await at(guard, 'echo')]
  assert.ok(burn.kind === 'forward' && echo.kind === 'forward')
  const ended: [string, Answer][] = []
  burn.onEnd(refusal => void ended.push(['burn', refusal]))
  const stop = echo.onEnd(refusal => void ended.push(['echo', refusal]))
  halt('burn')
  await until(() => ended.length > 0)
  const [[name, answer] = []] = ended
  assert.deepEqual([name, answer?.status], ['burn', 403])
  assert.equal(JSON.parse(answer?.body ?? '{}').error.data.error, 'access_denied')
  halt()
  await until(async () => statusOf(await at(guard, 'burn')) === 200)
  assert.equal(ended.length, 1)
  stop()
})

test('a halt says no more to the caller than that the tool is not open', async t => {
  const guard = await opened(t)
  halt('burn')
  await until(() => guard.verifier.isHalted('burn'))
  const [halted, unlisted] = [await at(guard, 'burn'), await at(guard, 'none')]
  assert.ok(halted.kind === 'answer' && unlisted.kind === 'answer')
  assert.deepEqual(halted.answer, unlisted.answer)
  halt()
})

test('what was admitted is refused by the next demand once its token has ended, or nobody knows whether it has', async t => {
  const guard = createGuard({ issuer: issuer.url, resource, stalenessSeconds: 1 })
  t.after(() => guard.verifier.close())
  await guard.verifier.ready()
  const admitted = async (claims: Record<string, unknown>) => {
    const headers = new Headers(holder.headers(bound(claims), { uri: resource }))
    const admission = await guard.admit({ method: 'GET', url: '/mcp', headers })
    assert.ok(admission.kind === 'admitted')
    return admission.caller
  }
  const caller = await admitted({ client_id: 'agt_gone', sub: 'agt_gone' })
  const other = await admitted({})
  assert.equal(guard.demand(caller, ['tools:call']), undefined)
  issuer.narrow('agt_gone')
  await until(() => !caller.holds())
  assert.equal(guard.demand(caller, ['tools:call'])?.status, 401)
  assert.equal(guard.demand(caller, [])?.status, 401)
  assert.equal(guard.demand(other, ['tools:call']), undefined)
  issuer.silent = true
  // Of a caller of whom nothing is known any more a handler that asks hears no.
  await until(() => !other.holds())
  assert.equal(guard.demand(other, ['tools:call'])?.status, 503)
  issuer.silent = false
})
