// Why: what a running authority wrote about one token leads back to the person who answers for it, and to every grant.
import assert from 'node:assert/strict'
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createProof } from '@writ/sdk/protocol/dpop'
import { importPrivate, type PrivateJwk, type SignKey } from '@writ/sdk/protocol/jwk'
import { signJws } from '@writ/sdk/protocol/jws'
import { Secret } from '@writ/sdk/protocol/secret'
import type { Ctx } from '../context.ts'
import type { EntryDraft } from '../domain/audit-entry.ts'
import { defaultTenant } from '../domain/tenant.ts'
import { createServer } from '../index.ts'
import type { Store } from '../store/store.ts'
import { entryOfRequest, explain, type Why } from './why.ts'

const issuer = 'https://writ.example'
const api = `${issuer}/api/v1`

interface Who {
  readonly id: string
  readonly key: SignKey
}

interface Answered {
  readonly status: number
  readonly requestId: string
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at member by member
  readonly body: any
}

interface Site {
  readonly operator: Who
  readonly store: Store
  token(who: Who, resource: string, scope: string): Promise<Answered>
  manage(method: string, path: string, body?: unknown): Promise<Answered>
  enroll(invitation: { token: string; enroll_uri: string }): Promise<Who & { readonly instance: string }>
  why(id: string | { readonly requestId: string }): Promise<Why>
}

const newKey = (): PrivateJwk =>
  generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }) as unknown as PrivateJwk

async function site(t: TestContext): Promise<Site> {
  const data = mkdtempSync(join(tmpdir(), 'writ-why-'))
  const server = await createServer({ data, issuer, rateLimits: 'off', dpopNonce: 'optional' })
  t.after(async () => {
    await server.close()
    rmSync(data, { recursive: true })
  })
  const send = async (url: string, init: RequestInit): Promise<Answered> => {
    const answer = await server.fetch(new Request(url, init))
    const text = await answer.text()
    const requestId = answer.headers.get('x-request-id') ?? ''
    return { status: answer.status, requestId, body: text === '' ? undefined : JSON.parse(text) }
  }
  const file = JSON.parse(readFileSync(join(data, 'operator.json'), 'utf8'))
  const operator: Who = { id: file.client_id, key: importPrivate(new Secret(file.jwk as PrivateJwk)) }
  const now = (): number => Math.floor(Date.now() / 1000)
  const token: Site['token'] = (who, resource, scope) => {
    const claims = { iss: who.id, sub: who.id, aud: issuer, jti: randomUUID(), iat: now(), exp: now() + 60 }
    const header = { typ: 'client-authentication+jwt', kid: who.key.jwk.kid ?? who.key.jkt }
    const form = {
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: signJws(header, claims, who.key),
      resource,
      scope,
    }
    const dpop = createProof({ key: who.key, method: 'POST', uri: `${issuer}/token`, nowSeconds: now() })
    const headers = { dpop, 'content-type': 'application/x-www-form-urlencoded' }
    return send(`${issuer}/token`, { method: 'POST', headers, body: new URLSearchParams(form).toString() })
  }
  const own = (await token(operator, api, 'writ:*')).body.access_token as string
  const ctx: Ctx = {
    tenant: defaultTenant,
    issuer,
    now: now(),
    nowMs: Date.now(),
    requestId: 'why',
    traceId: undefined,
    peer: undefined,
    note: () => {},
  }
  return {
    operator,
    store: server.store,
    token,
    manage(method, path, body) {
      const uri = api + path
      const dpop = createProof({ key: operator.key, method, uri, nowSeconds: now(), accessToken: own })
      const headers = { authorization: `DPoP ${own}`, dpop, 'content-type': 'application/json' }
      return send(uri, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
    },
    async enroll(invitation) {
      const jwk = newKey()
      const key = importPrivate(new Secret(jwk))
      const dpop = createProof({ key, method: 'POST', uri: invitation.enroll_uri, nowSeconds: now() })
      const body = JSON.stringify({ token: invitation.token, jwk: key.jwk })
      const headers = { dpop, 'content-type': 'application/json' }
      const answer = await send(invitation.enroll_uri, { method: 'POST', headers, body })
      assert.equal(answer.status, 201)
      return { id: answer.body.client_id, instance: answer.body.instance, key }
    },
    async why(id) {
      const entry = typeof id === 'string' ? id : await entryOfRequest(ctx, server, id.requestId)
      const why = entry === undefined ? undefined : await explain(ctx, server, entry)
      assert.ok(why)
      return why
    },
  }
}

const typesOf = (entries: readonly { readonly type: string }[]): string[] => entries.map(({ type }) => type)

test('a token leads to the person, the agent, its instance and key, and the grants with who gave them', async t => {
  const { operator, token, manage, enroll, why } = await site(t)
  const person = await manage('POST', '/people', { login: 'ada', name: 'Ada' })
  await manage('POST', '/agents', { name: 'other', owner: 'ada', purpose: 'Is somebody else' })
  const agent = await manage('POST', '/agents', { name: 'courier', owner: 'ada', purpose: 'Carries parcels' })
  const resource = 'https://parcels.example'
  const scopes = ['read', 'send'].map(name => ({ name: `parcels:${name}`, description: name }))
  await manage('POST', '/resources', { identifier: resource, name: 'Parcels', scopes })
  const give = (scope: string, reason: string) =>
    manage('POST', '/grants', { agent: agent.body.id, resource, scopes: [scope], reason })
  const reading = await give('parcels:read', 'It looks for parcels')
  await give('parcels:send', 'Not needed for this')
  const invitation = await manage('POST', `/agents/${agent.body.id}/enrollments`)
  const courier = await enroll(invitation.body)
  const issued = await token(courier, resource, 'parcels:read')
  assert.equal(issued.status, 200)

  const { entry, path, decision, related, checkpoint } = await why({ requestId: issued.requestId })
  assert.deepEqual(
    [entry.type, entry.outcome, entry.request_id],
    ['token.issued', 'allowed', issued.requestId],
  )
  assert.deepEqual(
    path.map(({ kind, id, name }) => [kind, id, name]),
    [
      ['person', person.body.id, 'Ada'],
      ['agent', agent.body.id, 'courier'],
      ['instance', courier.instance, null],
      ['key', courier.key.jkt, null],
    ],
  )
  assert.match(path[1]?.says ?? '', /^Carries parcels; it is active$/)
  assert.deepEqual(
    path.map(({ entries }) => typesOf(entries)),
    [
      ['person.created'],
      ['agent.created'],
      ['enrollment.created', 'instance.enrolled'],
      ['instance.enrolled'],
    ],
  )
  assert.deepEqual(path[0]?.entries[0]?.by[0], operator.id)
  assert.equal(decision.rule, 'client_credentials')
  assert.equal(decision.grants.length, 1)
  const [right] = decision.grants
  assert.deepEqual(
    [right?.id, right?.scopes, right?.reason, right?.state, right?.by],
    [
      reading.body.id,
      ['parcels:read'],
      'It looks for parcels',
      'active',
      { id: operator.id, name: 'operator' },
    ],
  )
  assert.deepEqual(typesOf(right?.entries ?? []), ['grant.created'])
  assert.deepEqual(related, [])
  assert.equal(checkpoint, null)
})

test('what changed since then is told beside it: a grant that was taken, an agent that was stopped, a key that ended', async t => {
  const { token, manage, enroll, why } = await site(t)
  const agent = await manage('POST', '/agents', {
    name: 'courier',
    owner: (await operatorId(manage)) ?? '',
    purpose: 'Carries',
  })
  const resource = 'https://parcels.example'
  await manage('POST', '/resources', {
    identifier: resource,
    name: 'P',
    scopes: [{ name: 'read', description: 'Read' }],
  })
  const grant = await manage('POST', '/grants', {
    agent: agent.body.id,
    resource,
    scopes: ['read'],
    reason: 'Needs it',
  })
  const courier = await enroll((await manage('POST', `/agents/${agent.body.id}/enrollments`)).body)
  const issued = await token(courier, resource, 'read')
  await manage('DELETE', `/grants/${grant.body.id}`)
  await manage('POST', `/agents/${agent.body.id}/keys/${courier.key.jkt}/revoke`, { reason: 'Lost' })
  await manage('POST', `/agents/${agent.body.id}/suspend`, { reason: 'Looks wrong' })

  const { path, decision } = await why({ requestId: issued.requestId })
  const [owner, step, , key] = path
  assert.deepEqual([owner?.kind, owner?.name], ['operator', 'operator'])
  assert.equal(step?.says, 'Carries; it is suspended (Looks wrong)')
  assert.deepEqual(typesOf(step?.entries ?? []), ['agent.created', 'agent.suspended'])
  assert.match(key?.says ?? '', /revoked \(Lost\) now$/)
  assert.deepEqual(typesOf(key?.entries ?? []), ['instance.enrolled', 'key.revoked'])
  assert.deepEqual(
    [decision.grants[0]?.state, typesOf(decision.grants[0]?.entries ?? [])],
    ['revoked', ['grant.created', 'grant.revoked']],
  )
})

test('a good key of an agent that was suspended or retired is said to prove nothing now', async t => {
  const { operator, token, manage, enroll, why } = await site(t)
  const agent = await manage('POST', '/agents', { name: 'courier', owner: operator.id, purpose: 'Carries' })
  const courier = await enroll((await manage('POST', `/agents/${agent.body.id}/enrollments`)).body)
  const { requestId } = await token(courier, api, 'writ:events:read')
  const sayKey = async (): Promise<string | undefined> => (await why({ requestId })).path.at(-1)?.says
  assert.equal(await sayKey(), 'proved the caller; Ed25519, active now')
  await manage('POST', `/agents/${agent.body.id}/suspend`, { reason: 'Looks wrong' })
  const barred = 'proved the caller; Ed25519, active now, but proves nothing: its agent is'
  assert.equal(await sayKey(), `${barred} suspended`)
  await manage('POST', `/agents/${agent.body.id}/retire`, { reason: 'Done' })
  assert.equal(await sayKey(), `${barred} retired`)
})

test('the instance that an entry names stands in its path, also where its chain leaves it out', async t => {
  const { operator, store, manage, enroll, why } = await site(t)
  const agent = await manage('POST', '/agents', { name: 'courier', owner: operator.id, purpose: 'Carries' })
  const courier = await enroll((await manage('POST', `/agents/${agent.body.id}/enrollments`)).body)
  const entry = {
    type: 'token.issued',
    outcome: 'refused',
    agent: courier.id,
    instance: courier.instance,
    key: courier.key.jkt,
    chain: [{ sub: courier.id, kind: 'agent' }],
    requestId: 'earlier',
  } as unknown as EntryDraft
  const scope = { tenant: defaultTenant, now: Math.floor(Date.now() / 1000), nowMs: Date.now() }
  assert.equal((await store.commit(scope, { entries: [entry] })).kind, 'done')
  const { path } = await why({ requestId: 'earlier' })
  assert.deepEqual(
    path.map(({ kind, id }) => [kind, id]),
    [
      ['operator', operator.id],
      ['agent', courier.id],
      ['instance', courier.instance],
      ['key', courier.key.jkt],
    ],
  )
})

async function operatorId(manage: Site['manage']): Promise<string | undefined> {
  const agents = await manage('GET', '/agents?name=operator')
  return agents.body.items[0]?.id
}

test('a refusal says what was missing, and an act of the operator leads to the operator', async t => {
  const { operator, token, manage, enroll, why } = await site(t)
  const agent = await manage('POST', '/agents', { name: 'courier', owner: operator.id, purpose: 'Carries' })
  const courier = await enroll((await manage('POST', `/agents/${agent.body.id}/enrollments`)).body)
  const refused = await token(courier, api, 'writ:events:read')
  assert.equal(refused.status, 400)
  const no = await why({ requestId: refused.requestId })
  assert.deepEqual([no.entry.outcome, no.decision.outcome, no.decision.grants], ['refused', 'refused', []])
  assert.equal(no.decision.says, no.entry.reason)
  assert.deepEqual(
    no.path.map(({ kind }) => kind),
    ['operator', 'agent', 'instance', 'key'],
  )
  assert.equal(no.path[2]?.id, courier.instance)

  const yes = await why({ requestId: agent.requestId })
  assert.equal(yes.entry.type, 'agent.created')
  assert.deepEqual(yes.path.map(({ kind, id }) => [kind, id]).slice(0, 1), [['operator', operator.id]])
  assert.deepEqual(typesOf(yes.path.at(-1)?.entries ?? []), ['key.registered'])
  assert.equal(yes.decision.says, 'The access token of the caller holds the scope that this takes.')
  assert.deepEqual(yes.decision.grants[0]?.scopes, ['writ:*'])
})

test('what the authority did by itself has no path, and what is not in the log is not explained', async t => {
  const { manage, why } = await site(t)
  const events = await manage('GET', '/events?type=issuer_key.staged')
  const { path, decision } = await why(events.body.items[0].id)
  assert.deepEqual([path, decision.rule], [[], null])
  assert.equal(decision.says, 'The authority did this by itself, on its own clock.')
  await assert.rejects(why('evt_00000000000000000000000000'))
  await assert.rejects(why({ requestId: 'nobody asked this' }))
})
