// What ended stays ended: nothing comes back to life because something of its name does (threats C21, C31; property 8).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api, expect, grant, newAgent, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { assertionType, type Party } from '../harness/party.ts'

/** Whether the operator is told that the token lives. */
async function isActive({ operator }: Authority, token: string): Promise<boolean> {
  const evidence = { client_assertion_type: assertionType, client_assertion: operator.assertion() }
  const answer = await operator.post('/introspect', { ...evidence, token })
  return expect(answer, 200).active
}

const mayHave = async (agent: Party, scope: string): Promise<boolean> => {
  const answer = await agent.tokenRequest({ resource: api, scope })
  if (answer.status !== 200) assert.equal(`${answer.status} ${answer.body.error}`, '400 invalid_scope')
  return answer.status === 200
}

const scope = (name: string, members: Record<string, unknown> = {}) => ({
  name,
  description: name,
  ...members,
})

const moved = async (writ: Authority, agent: Party, ...verbs: string[]): Promise<void> => {
  for (const verb of verbs) {
    const path = `/agents/${agent.clientId}/${verb}`
    expect(await writ.operator.manage('POST', path, { reason: 'test' }), 200)
  }
}

test('tokens from before a suspension stay dead when the agent is resumed, at once and again', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const agent = await newAgent(writ, { scopes: ['read'] })
  const admin = await newAgent(writ)
  const rights = { resource: `${writ.issuer}/api/v1`, scopes: ['writ:agents:read'] }
  await grant(writ, admin.clientId, rights.scopes, rights)
  const own = await admin.token(rights.resource)
  const url = `${rights.resource}/agents`
  expect(await admin.call('GET', url, { token: own }), 200)
  const tokens: string[] = []
  for (let round = 0; round < 3; round++) {
    tokens.push(await agent.token(api))
    assert.ok(await isActive(writ, tokens.at(-1) as string))
    await moved(writ, agent, 'suspend', 'resume')
    await moved(writ, admin, 'suspend', 'resume')
    for (const token of tokens) assert.ok(!(await isActive(writ, token)))
    assert.equal((await admin.call('GET', url, { token: own })).status, 401)
  }
  assert.ok(await isActive(writ, await agent.token(api)))
})

test('a grant that is given again does not revive the tokens of the one that was taken', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const agent = await newAgent(writ)
  const first = await grant(writ, agent.clientId, ['read'])
  const token = await agent.token(api)
  expect(await writ.operator.manage('DELETE', `/grants/${first}`), 204)
  const second = await grant(writ, agent.clientId, ['read'])
  assert.notEqual(first, second)
  assert.ok(!(await isActive(writ, token)))
  expect(await writ.operator.manage('DELETE', `/grants/${first}`), 204)
  assert.ok(await isActive(writ, await agent.token(api)))
})

test('a resource that is registered again starts without the grants and tokens of its namesake', async t => {
  const writ = await authority(t)
  const id = await registerApi(writ)
  const agent = await newAgent(writ, { scopes: ['read', 'erase'] })
  const token = await agent.token(api, 'read')
  expect(await writ.operator.manage('DELETE', `/resources/${id}`), 204)
  assert.ok(!(await isActive(writ, token)))
  assert.equal((await agent.tokenRequest({ resource: api })).body.error, 'invalid_target')
  const again = await registerApi(writ, { identifier: 'HTTPS://API.example:443/' })
  assert.notEqual(again, id)
  assert.ok(!(await isActive(writ, token)))
  assert.ok(!(await mayHave(agent, 'read')))
  const { items } = (await writ.operator.manage('GET', `/grants?agent=${agent.clientId}&status=active`)).body
  assert.deepEqual(items, [])
  await grant(writ, agent.clientId, ['read'])
  assert.ok(await mayHave(agent, 'read'))
  assert.ok(!(await isActive(writ, token)))
})

test('a scope that is defined again is a new one: grants of its namesake do not give it', async t => {
  const writ = await authority(t)
  const id = await registerApi(writ)
  const agent = await newAgent(writ, { scopes: ['read', 'erase'] })
  const only = await newAgent(writ, { scopes: ['erase'] })
  const bundled = await newAgent(writ, { scopes: ['all'] })
  const token = await agent.token(api, 'erase')
  const change = async (...scopes: unknown[]) =>
    expect(await writ.operator.manage('PATCH', `/resources/${id}`, { scopes }), 200)
  await change(scope('read'), scope('write'))
  assert.ok(!(await isActive(writ, token)))
  await change(scope('read'), scope('write'), scope('erase'), scope('all', { includes: ['erase'] }))
  for (const party of [agent, only, bundled]) assert.ok(!(await mayHave(party, 'erase')))
  assert.ok(!(await mayHave(bundled, 'all')))
  assert.ok(await mayHave(agent, 'read'))
  assert.ok(!(await isActive(writ, token)))
  const { items } = (await writ.operator.manage('GET', '/grants?status=active')).body
  const left = items.filter((one: { resource: string }) => one.resource === api)
  assert.deepEqual(
    left.map((one: { agent: string; scopes: string[] }) => [one.agent, one.scopes]),
    [[agent.clientId, ['read']]],
  )
  await grant(writ, only.clientId, ['erase'])
  assert.ok(await mayHave(only, 'erase'))
})

test('whoever races the end of what a token rests on has a token from before it, or none', async t => {
  const writ = await authority(t)
  const id = await registerApi(writ)
  for (const end of ['grant', 'agent', 'key', 'scope', 'resource'] as const) {
    const agent = await newAgent(writ)
    const given = await grant(writ, agent.clientId, ['read'])
    await agent.nonce()
    const ends = {
      grant: () => writ.operator.manage('DELETE', `/grants/${given}`),
      agent: () => writ.operator.manage('POST', `/agents/${agent.clientId}/suspend`, { reason: 'x' }),
      key: () =>
        writ.operator.manage('POST', `/agents/${agent.clientId}/keys/${agent.key.jkt}/revoke`, {
          reason: 'x',
        }),
      scope: () =>
        writ.operator.manage('PATCH', `/resources/${id}`, { scopes: [scope('read'), scope('write')] }),
      resource: () => writ.operator.manage('DELETE', `/resources/${id}`),
    }
    const asking = Array.from({ length: 12 }, () => agent.tokenRequest({ resource: api, scope: 'read' }))
    const [ended, ...answers] = await Promise.all([ends[end](), ...asking])
    assert.ok((ended?.status ?? 500) < 300, end)
    for (const { status, body } of answers) {
      assert.ok([200, 400, 401, 503].includes(status), `${end} ${status}`)
      if (status === 200 && end !== 'scope') assert.ok(!(await isActive(writ, body.access_token)), end)
    }
  }
})

test('nothing that is over is extended: not by a later end, not by a new owner, not by a second move', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const { operator } = writ
  const agent = await newAgent(writ, { scopes: ['read'] })
  const at = (seconds: number): string => new Date(writ.nowMs() + seconds * 1000).toISOString()
  const path = `/agents/${agent.clientId}`
  expect(await operator.manage('PATCH', path, { expires_at: at(100) }), 200)
  const token = await agent.token(api)
  writ.advance(101)
  assert.equal((await agent.tokenRequest({ resource: api })).status, 401)
  assert.ok(!(await isActive(writ, token)))
  expect(await operator.manage('PATCH', path, { expires_at: at(1000) }), 200)
  assert.ok(!(await isActive(writ, token)))
  await moved(writ, agent, 'retire')
  for (const verb of ['resume', 'suspend', 'retire']) {
    assert.equal((await operator.manage('POST', `${path}/${verb}`, { reason: 'x' })).status, 409)
  }
  for (const change of [{ expires_at: null }, { owner: operator.clientId }, { name: 'back' }]) {
    assert.equal((await operator.manage('PATCH', path, change)).status, 409)
  }
  assert.equal((await operator.manage('POST', `${path}/enrollments`)).status, 409)
  const given = { agent: agent.clientId, resource: api, scopes: ['read'], reason: 'x' }
  assert.equal((await operator.manage('POST', '/grants', given)).status, 422)
})

test('a node that remembers a grant gives nothing from it for what came back under the name of its resource or scope', async t => {
  let remembered: ((id: string) => Promise<unknown>) | undefined
  const writ = await authority(t, {
    around: {
      wrapStore: store => {
        const kept = new Map<string, Awaited<ReturnType<typeof store.facts.caller>>>()
        remembered = async id =>
          kept.set(id, await store.facts.caller({ tenant: 'default', now: 0 } as never, id))
        return {
          ...store,
          facts: {
            ...store.facts,
            caller: async (ctx, id, options) => {
              const old = options?.fresh ? undefined : kept.get(id)
              kept.delete(id)
              return old ?? store.facts.caller(ctx, id, options)
            },
          },
        }
      },
    },
  })
  const scopes = [scope('read'), scope('erase')]
  const register = async (): Promise<string> => {
    const made = { identifier: api, name: 'API', scopes }
    return expect(await writ.operator.manage('POST', '/resources', made), 201).id
  }
  const comebacks: Record<string, (id: string) => Promise<void>> = {
    resource: async id => {
      expect(await writ.operator.manage('DELETE', `/resources/${id}`), 204)
      await register()
    },
    scope: async id => {
      const path = `/resources/${id}`
      expect(await writ.operator.manage('PATCH', path, { scopes: [scope('read')] }), 200)
      expect(await writ.operator.manage('PATCH', path, { scopes }), 200)
    },
  }
  let id = await register()
  for (const [name, comeBack] of Object.entries(comebacks)) {
    const agent = await newAgent(writ, { scopes: ['erase'] })
    await agent.token(api, 'erase')
    await agent.nonce()
    await remembered?.(agent.clientId)
    await comeBack(id)
    assert.ok(!(await mayHave(agent, 'erase')), name)
    id = (await writ.operator.manage('GET', '/resources')).body.items.at(-1).id
  }
})

test('a key that is dead for long shows who holds it: each attempt with it is an entry about that agent', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const agent = await newAgent(writ, { scopes: ['read'] })
  assert.equal((await agent.tokenRequest({ resource: api })).status, 200)
  const path = `/agents/${agent.clientId}/keys/${agent.key.jkt}/revoke`
  assert.equal((await writ.operator.manage('POST', path, { reason: 'leaked' })).status, 200)
  for (let attempt = 0; attempt < 3; attempt++) {
    const { status, body } = await agent.tokenRequest({ resource: api })
    assert.deepEqual([status, body.error], [401, 'invalid_client'])
  }
  const { items } = (await writ.operator.manage('GET', `/events?agent=${agent.clientId}`)).body
  const refused = items.filter((item: { outcome: string }) => item.outcome === 'refused')
  assert.deepEqual(
    refused.map((item: { decision: { rule: string } }) => item.decision.rule),
    ['key_revoked', 'key_revoked', 'key_revoked'],
  )
})
