// `permit` on every framework and a real socket: no other spelling of a request reaches a route that was not decided.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, request as send } from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import { type TestContext, test } from 'node:test'
import { getRequestListener } from '@hono/node-server'
import { Agent } from '@writ/sdk/agent'
import { canonicalHtu } from '@writ/sdk/protocol/uri'
import * as forExpress from '@writ/sdk/resource/express'
import * as forFastify from '@writ/sdk/resource/fastify'
import * as forFetch from '@writ/sdk/resource/fetch'
import type { ProtectOptions } from '@writ/sdk/resource/guard'
import * as forHono from '@writ/sdk/resource/hono'
import type { Verifier } from '@writ/sdk/resource/verifier'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import { api, expect, grant, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { type Caller, gate, type Member, member } from './protected-site.ts'

interface Running {
  readonly port: number
  readonly verifier: Verifier
  close(): Promise<unknown>
}

/** `done` is called by each route that runs, with the decision that it rests on. */
type Start = (options: ProtectOptions, done: (decision: string | undefined) => void) => Promise<Running>

/** What a request is about to do: by the path as it came, for whatever route the framework finds for it. */
const actOf = (method: string, target: string) => ({
  action: method.toLowerCase(),
  object: { type: 'http', id: target.split('?', 1)[0] as string },
})

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

const pathOf = (request: Request): string => request.url.slice(new URL(request.url).origin.length)

const frameworks: Readonly<Record<string, Start>> = {
  fetch(options, done) {
    const guarded = forFetch.protect(options)
    const act = (request: Request) => actOf(request.method, pathOf(request))
    const route = forFetch.permit(act)((_, { permission }) => {
      done(permission?.decision)
      return Response.json({})
    })
    return listen(createServer(getRequestListener(guarded(route))), guarded.verifier)
  },
  hono(options, done) {
    const guarded = forHono.protect(options)
    const app = new Hono().use(guarded)
    app.all(
      '/invoices/:id',
      forHono.permit(c => actOf(c.req.method, pathOf(c.req.raw))),
      c => {
        done(c.var.permission.decision)
        return c.json({})
      },
    )
    return listen(createServer(getRequestListener(app.fetch)), guarded.verifier)
  },
  express(options, done) {
    const guarded = forExpress.protect(options)
    // As lax as it is by default: any case, a slash at the end, and the address of a header as the caller's.
    const app = express().set('trust proxy', true).use(guarded)
    app.all(
      '/invoices/:id',
      forExpress.permit(req => actOf(req.method, req.originalUrl)),
      (req, res) => {
        done(req.permission?.decision)
        res.json({})
      },
    )
    return listen(createServer(app), guarded.verifier)
  },
  async fastify(options, done) {
    const guarded = forFastify.protect(options)
    const app = fastify({ routerOptions: { caseSensitive: false, ignoreTrailingSlash: true } })
    await app.register(guarded)
    const preHandler = forFastify.permit(request => actOf(request.method, request.originalUrl))
    app.all('/invoices/:id', { preHandler }, async request => {
      done(request.permission?.decision)
      return {}
    })
    await app.listen({ host: '127.0.0.1', port: 0 })
    return {
      port: (app.server.address() as AddressInfo).port,
      verifier: guarded.verifier,
      close: () => app.close(),
    }
  },
}

interface Sent {
  readonly method?: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
}

/** The status of a request whose target goes out as it stands. */
async function call(port: number, { party, token }: Caller, { method = 'GET', path, headers }: Sent) {
  const uri = canonicalHtu(`${api}${path.split('?', 1)[0]}`) ?? `${api}/invoices/7`
  const proof = party.proof(uri, { method, accessToken: token })
  const request = send({
    host: '127.0.0.1',
    port,
    path,
    method,
    agent: false,
    headers: { authorization: `DPoP ${token}`, dpop: proof, ...headers },
  }).end()
  const [response] = await once(request, 'response')
  response.resume()
  await once(response, 'end')
  return response.statusCode as number
}

interface Scene {
  readonly writ: Authority
  readonly by: Member
  readonly reader: Caller
}

async function scene(t: TestContext, condition?: string): Promise<Scene> {
  const writ = await authority(t)
  await registerApi(writ)
  const [by, { id, party }] = [await gate(writ), await member(writ, 'reader')]
  const details = [{ type: 'http', host: 'api.example', methods: ['GET'], path: '/invoices/{id}' }]
  const members = condition === undefined ? {} : { condition }
  const body = { agent: id, resource: api, authorization_details: details, reason: 'test', ...members }
  expect(await writ.operator.manage('POST', '/grants', body), 201)
  return { writ, by, reader: { party, token: await party.token(api) } }
}

async function running(t: TestContext, start: Start, { writ, by }: Scene) {
  const wire = ((url: string | URL | Request, init?: RequestInit) =>
    writ.fetch(String(url), init)) as typeof fetch
  const agent = Agent.fromCredentials(by.credentials, { fetch: wire })
  const decisions: (string | undefined)[] = []
  const options = { issuer: writ.issuer, resource: api, fetch: wire, decisions: { agent } }
  const server = await start(options, decision => void decisions.push(decision))
  t.after(async () => {
    await server.close()
    agent.close()
  })
  await server.verifier.ready()
  return { port: server.port, decisions }
}

const others: readonly Sent[] = [
  { path: '/Invoices/7' },
  { path: '/INVOICES/7' },
  { path: '/invoices/7/' },
  { path: '//invoices/7' },
  { path: '/invoices//7' },
  { path: '/inv%6fices/7' },
  { path: '/inv%6Fices/7' },
  { path: '/invoices/%37' },
  { path: '/invoices/7%2f' },
  { path: '/invoices/7%2F..%2Fkeys' },
  { path: '/invoices/..%2fkeys' },
  { path: '/invoices/7%00' },
  { path: '/invoices/7%zz' },
  { path: '/invoices/7%252f' },
  { path: '/invoices/7;v=1/x' },
  { path: '/./invoices/7' },
  { path: '/x/../invoices/7' },
  { path: '/invoices\\7' },
  { path: '/invoices/7', method: 'HEAD' },
  { path: '/invoices/7', method: 'DELETE' },
  { path: '/invoices/7', method: 'POST', headers: { 'x-http-method-override': 'GET' } },
  { path: '/invoices/7?_method=GET', method: 'PUT' },
]

for (const [name, start] of Object.entries(frameworks)) {
  test(`${name}: what was granted runs on its decision, and no other spelling or method of it runs`, async t => {
    const here = await scene(t)
    const { port, decisions } = await running(t, start, here)
    assert.equal(await call(port, here.reader, { path: '/invoices/7' }), 200)
    assert.equal(await call(port, here.reader, { path: '/invoices/7?all=1' }), 200)
    assert.equal(decisions.length, 2)
    assert.ok(decisions.every(decision => typeof decision === 'string' && decision.length > 0))
    // Where a `Request` is made of it, the URL is resolved before anybody sees it: guard, act and route alike.
    const isResolved = name === 'fetch' || name === 'hono'
    for (const sent of others) {
      if (isResolved && sent.method === undefined && new URL(`${api}${sent.path}`).pathname === '/invoices/7')
        continue
      const status = await call(port, here.reader, sent)
      assert.ok(status >= 400 && status !== 500, `${sent.method ?? 'GET'} ${sent.path}: ${status}`)
      assert.equal(decisions.length, 2, `${sent.method ?? 'GET'} ${sent.path} ran`)
    }
    // The framework's own answer to a preflight is no run of the route.
    await call(port, here.reader, { path: '/invoices/7', method: 'OPTIONS' })
    assert.equal(decisions.length, 2)
  })
}

test('an address in a header satisfies no condition, whatever the framework believes of it', async t => {
  const here = await scene(t, 'context has peer && context.peer.isLoopback()')
  for (const [name, start] of Object.entries(frameworks)) {
    const { port, decisions } = await running(t, start, here)
    for (const header of ['x-forwarded-for', 'forwarded', 'x-real-ip', 'cf-connecting-ip', 'x-call']) {
      const value = header === 'forwarded' ? 'for=127.0.0.1' : '127.0.0.1'
      const status = await call(port, here.reader, { path: '/invoices/7', headers: { [header]: value } })
      assert.equal(status, 403, `${name} ${header}`)
    }
    assert.deepEqual(decisions, [])
  }
})

test('an act that fails to be described, and one that cannot be asked about, run nothing', async t => {
  const { writ, by } = await scene(t)
  const { id, party } = await member(writ, 'writer')
  await grant(writ, id, ['read'])
  const reader = { party, token: await party.token(api) }
  const broken: readonly (() => never | { action: string; arguments: Record<string, unknown> })[] = [
    () => {
      throw new Error('no such invoice')
    },
    () => ({ action: 'read', arguments: { amount: Number.NaN } }),
  ]
  for (const act of broken) {
    const start: Start = (options, done) => {
      const guarded = forExpress.protect(options)
      const app = express().use(guarded)
      app.get('/', forExpress.permit(act), (_, res) => {
        done('ran')
        res.json({})
      })
      app.use(((_error, _req, res, _next) => void res.sendStatus(500)) as express.ErrorRequestHandler)
      return listen(createServer(app), guarded.verifier)
    }
    const { port, decisions } = await running(t, start, { writ, by, reader })
    assert.deepEqual([await call(port, reader, { path: '/' }), decisions], [500, []])
  }
})
