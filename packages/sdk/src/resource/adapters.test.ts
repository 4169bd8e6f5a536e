// Every adapter on its real framework and a real socket, held to one list of expectations.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, request as send } from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { getRequestListener } from '@hono/node-server'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import type { Caller } from './caller.ts'
import * as forExpress from './express.ts'
import * as forFastify from './fastify.ts'
import * as forFetch from './fetch.ts'
import type { ProtectOptions } from './guard.ts'
import * as forHono from './hono.ts'
import { createHolder, type IssuerFixture, startIssuer } from './testing/issuer.ts'
import type { Verifier } from './verifier.ts'

const resource = 'https://api.example/v1'
const holder = createHolder()
const metadata = '/.well-known/oauth-protected-resource/v1'

interface Running {
  readonly port: number
  readonly verifier: Verifier
  close(): Promise<unknown>
}

/** Starts a server that answers `/v1/who` with its caller and `/v1/write` only to those who may write and erase. */
type Start = (options: ProtectOptions) => Promise<Running>

const facts = (caller: Caller | null | undefined) => ({ agent: caller?.agent, scopes: caller?.scopes })

async function listen(server: Server, verifier: Verifier): Promise<Running> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = async (): Promise<void> => {
    verifier.close()
    server.close()
    await once(server, 'close')
  }
  return { port: (server.address() as AddressInfo).port, verifier, close }
}

const adapters: Record<string, Start> = {
  fetch(options) {
    const guarded = forFetch.protect(options)
    const write = forFetch.require('write', 'erase')((_, { caller }) => Response.json(facts(caller)))
    const fetch = guarded((request, access) =>
      new URL(request.url).pathname === '/v1/write'
        ? write(request, access)
        : Response.json(facts(access.caller)),
    )
    return listen(createServer(getRequestListener(fetch)), guarded.verifier)
  },
  hono(options) {
    const guarded = forHono.protect(options)
    const app = new Hono().use(guarded)
    app.get('/v1/who', forHono.require('read'), c => c.json(facts(c.var.caller)))
    app.get('/v1/write', forHono.require('write', 'erase'), c => c.json(facts(c.var.caller)))
    return listen(createServer(getRequestListener(app.fetch)), guarded.verifier)
  },
  express(options) {
    const guarded = forExpress.protect(options)
    const app = express().use(guarded)
    const router = express.Router()
    router.get('/who', forExpress.require('read'), (req, res) => void res.json(facts(req.caller)))
    router.get('/write', forExpress.require('write', 'erase'), (req, res) => void res.json(facts(req.caller)))
    app.use('/v1', router)
    return listen(createServer(app), guarded.verifier)
  },
  async fastify(options) {
    const guarded = forFastify.protect(options)
    const app = fastify()
    await app.register(guarded)
    app.get('/v1/who', { onRequest: forFastify.require('read') }, async request => facts(request.caller))
    app.get('/v1/write', { onRequest: forFastify.require('write', 'erase') }, async request =>
      facts(request.caller),
    )
    await app.listen({ host: '127.0.0.1', port: 0 })
    return {
      port: (app.server.address() as AddressInfo).port,
      verifier: guarded.verifier,
      close: () => app.close(),
    }
  },
}

interface Answered {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A request whose header lines go out exactly as given. */
async function call(port: number, path: string, lines: readonly string[], method = 'GET'): Promise<Answered> {
  const headers = ['Host', `127.0.0.1:${port}`, ...lines]
  const request = send({ host: '127.0.0.1', port, path, method, headers, agent: false }).end()
  const [response] = await once(request, 'response')
  let body = ''
  for await (const chunk of response) body += chunk
  return { status: response.statusCode, headers: response.headers, body }
}

let issuer: IssuerFixture
before(async () => {
  issuer = await startIssuer()
})
after(() => issuer.close())

const token = (scope?: string): string => issuer.issue({ aud: resource, scope, cnf: { jkt: holder.jkt } })
const lines = (text: string, path = '/who', over: { nonce?: string; method?: string } = {}): string[] => {
  const { authorization = '', dpop = '' } = holder.headers(text, { uri: `${resource}${path}`, ...over })
  return ['Authorization', authorization, 'DPoP', dpop]
}
const metadataParameter = `resource_metadata="https://api.example${metadata}", algs="ES256 Ed25519"`

for (const [name, start] of Object.entries(adapters)) {
  describe(name, () => {
    let running: Running
    const refusals: string[] = []
    before(async () => {
      const onRefusal: ProtectOptions['onRefusal'] = fault =>
        refusals.push(`${fault.code} ${fault.why?.kind}`)
      running = await start({
        issuer: issuer.url,
        resource,
        scopes: ['read', 'write', 'erase'],
        name: 'Books',
        onRefusal,
      })
      await running.verifier.ready()
    })
    after(() => running.close())

    test('publishes what it is at the inserted well-known address, to everybody', async () => {
      const answer = await call(running.port, metadata, ['Origin', 'https://app.example'])
      assert.equal(answer.status, 200)
      assert.match(answer.headers['content-type'] ?? '', /^application\/json/)
      assert.equal(answer.headers['access-control-allow-origin'], '*')
      assert.deepEqual(JSON.parse(answer.body), {
        resource,
        authorization_servers: [issuer.url],
        scopes_supported: ['read', 'write', 'erase'],
        bearer_methods_supported: ['header'],
        resource_name: 'Books',
        dpop_signing_alg_values_supported: ['ES256', 'Ed25519'],
        dpop_bound_access_tokens_required: true,
      })
      assert.equal((await call(running.port, metadata, [], 'POST')).status, 405)
      assert.equal((await call(running.port, `${metadata}/x`, [])).status, 401)
      assert.equal((await call(running.port, '/.well-known/oauth-protected-resource', [])).status, 401)
    })

    test('lets a caller with the scope through, and the route see who it is', async () => {
      const answer = await call(running.port, '/v1/who?x=1', lines(token('read')))
      assert.equal(answer.status, 200, answer.body)
      assert.deepEqual(JSON.parse(answer.body), { agent: 'agt_1', scopes: ['read'] })
    })

    test('tells a stranger how to get a token, and names no error', async () => {
      const answer = await call(running.port, '/v1/who', [])
      assert.equal(answer.status, 401)
      assert.equal(answer.headers['www-authenticate'], `DPoP ${metadataParameter}`)
      assert.equal(answer.headers['cache-control'], 'no-store')
    })

    test('names every scope of a route to a caller who lacks one', async () => {
      const answer = await call(running.port, '/v1/write', lines(token('read write'), '/write'))
      assert.equal(answer.status, 403)
      assert.match(
        answer.headers['www-authenticate'] ?? '',
        /^DPoP error="insufficient_scope", .*scope="write erase", /,
      )
      assert.equal(JSON.parse(answer.body).error, 'insufficient_scope')
      assert.equal((await call(running.port, '/v1/write', lines(token('erase write'), '/write'))).status, 200)
    })

    test('refuses a second Authorization header, a second proof, a replay and a downgrade', async () => {
      const good = lines(token('read'))
      const [, authorization = '', , dpop = ''] = good
      const twice = await call(running.port, '/v1/who', [...good, 'Authorization', 'DPoP x'])
      assert.equal(twice.status, 400)
      assert.match(twice.headers['www-authenticate'] ?? '', /^DPoP error="invalid_request"/)
      const reversed = await call(running.port, '/v1/who', ['Authorization', 'DPoP x', ...good])
      assert.equal(reversed.status, 400)
      const proofs = await call(running.port, '/v1/who', [...good, 'dpop', dpop])
      assert.equal(proofs.status, 401)
      assert.match(proofs.headers['www-authenticate'] ?? '', /^DPoP error="invalid_dpop_proof"/)
      const bearer = ['Authorization', authorization.replace('DPoP', 'Bearer'), 'DPoP', dpop]
      assert.equal((await call(running.port, '/v1/who', bearer)).status, 401)
      assert.equal((await call(running.port, '/v1/who', good)).status, 200)
      const replay = await call(running.port, '/v1/who', good)
      assert.equal(replay.status, 401)
      assert.match(replay.headers['www-authenticate'] ?? '', /^DPoP error="invalid_dpop_proof"/)
      assert.ok(refusals.includes('invalid_dpop_proof proof_replayed'))
    })

    test('guards what has no route as well, and says 404 outside the resource', async () => {
      assert.equal((await call(running.port, '/v1/nothing', [])).status, 401)
      assert.equal((await call(running.port, '/else', lines(token('read')))).status, 404)
      assert.equal((await call(running.port, '/V1/who', lines(token('read')))).status, 404)
    })

    test('hands out nonces where they are required, and renews them with every answer', async () => {
      const strict = await start({ issuer: issuer.url, resource, nonce: 'required' })
      await strict.verifier.ready()
      const first = await call(strict.port, '/v1/who', lines(token('read')))
      assert.equal(first.status, 401)
      assert.match(first.headers['www-authenticate'] ?? '', /^DPoP error="use_dpop_nonce"/)
      const nonce = first.headers['dpop-nonce']
      assert.ok(typeof nonce === 'string')
      const second = await call(strict.port, '/v1/who', lines(token('read'), '/who', { nonce }))
      assert.equal(second.status, 200)
      assert.equal(typeof second.headers['dpop-nonce'], 'string')
      await strict.close()
    })

    test('denies while it has no contact to the issuer, and says when to come back', async () => {
      const lost = await start({ issuer: 'http://127.0.0.1:9', resource })
      const answer = await call(lost.port, '/v1/who', lines(token('read')))
      assert.equal(answer.status, 503)
      assert.equal(answer.headers['retry-after'], '1')
      assert.equal(answer.headers['www-authenticate'], undefined)
      await lost.close()
    })
  })
}

test('require without protect before it lets nobody through', async () => {
  const hono = new Hono().get('/', forHono.require('read'), c => c.text('open'))
  hono.onError((_, c) => c.text('failed', 500))
  assert.equal((await hono.request('/')).status, 500)
  const app = fastify().get('/', { onRequest: forFastify.require('read') }, async () => 'open')
  assert.equal((await app.inject('/')).statusCode, 500)
  const bare = express().get('/', forExpress.require('read'), (_, res) => void res.send('open'))
  bare.use(((_error, _req, res, _next) => void res.status(500).end()) as express.ErrorRequestHandler)
  const server = createServer(bare).listen(0, '127.0.0.1')
  await once(server, 'listening')
  assert.equal((await call((server.address() as AddressInfo).port, '/', [])).status, 500)
  server.close()
  for (const { require } of [forHono, forExpress, forFastify, forFetch])
    assert.throws(() => require(), RangeError)
})
