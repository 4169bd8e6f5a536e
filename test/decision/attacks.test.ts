// Attacks on the decision point: another spelling, another tenant's agent, a proof shown twice, memory that lags.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api, expect, grant, newAgent, registerApi } from '../harness/agent.ts'
import { authority } from '../harness/authority.ts'
import { enforcementPoint } from './point.ts'
import { enforce } from './policies.ts'

test('no other spelling of a denied path, name or action passes by the rule that denies it', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const point = await enforcementPoint(writ)
  await enforce(
    writ,
    `@id("all") permit (principal is Writ::Subject, action, resource);
     @id("no.admin") forbid (principal, action == Writ::Action::"delete", resource == Writ::Object::"${api}#http:/admin");`,
  )
  const ask = async (action: string, type: string, id: string): Promise<boolean> =>
    expect(
      await point.ask('evaluation', {
        subject: { type: 'user', id: 'mallory' },
        action: { name: action },
        resource: { type, id },
      }),
      200,
    ).decision
  assert.equal(await ask('delete', 'http', `${api}#/admin`), false)
  assert.equal(await ask('delete', 'http', `${api}#/other`), true)
  const variants: readonly [string, string, string][] = [
    ['DELETE', 'http', `${api}#/admin`],
    ['Delete', 'http', `${api}#/admin`],
    ['delete', 'HTTP', `${api}#/admin`],
    ['delete', 'http', `${api}#//admin`],
    ['delete', 'http', `${api}#/x/../admin`],
    ['delete', 'http', `${api}#/%61dmin`],
    ['delete', 'http', `${api}#/admin%2f`],
    ['delete', 'http', `${api}#\\admin`],
    ['delete', 'http', `${api}/#/admin`],
    ['delete', 'http', `https://API.example#/admin`],
    ['delete', 'http', `https://api.example:443#/admin`],
    ['delete', 'http', `${api}#/admin#`],
    ['delete', 'http', `${api}#/admin?x`],
    ['delete', 'http', `${api}#/Admin`],
    ['delete', 'http', `${api}#/ADMIN/`],
    ['delete', 'http', `${api}#/admin/`],
    ['delete', 'http', `${api}#/ａdmin`],
    ['delete', 'http', `${api}#/%EF%BD%81dmin`],
  ]
  for (const variant of variants) assert.equal(await ask(...variant), false, variant.join(' '))
})

test('what policies name is forbidden in other letters, unless they name those as well', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const point = await enforcementPoint(writ)
  const agent = await newAgent(writ, { scopes: ['read', 'write'] })
  const tool = (name: string) => `Writ::Tool::"${api}#${name}"`
  await enforce(
    writ,
    `@id("none.other") permit (principal is Writ::Subject, action, resource);
     @id("not") forbid (principal is Writ::Agent, action, resource == ${tool('wipe')});
     @id("fly") forbid (principal, action == Writ::Action::"Fly.High", resource);
     @id("both") forbid (principal, action, resource) when { resource in [${tool('Copy')}, ${tool('copy')}] && context.risk > 90 };`,
    ['Fly.High'],
  )
  const ask = async (action: string, name: string, subject: object): Promise<string> => {
    const resource = { type: 'tool', id: `${api}#${name}` }
    const body = { subject, action: { name: action }, resource, options: { explain: true } }
    const { decision, context } = expect(await point.ask('evaluation', body), 200)
    return decision ? 'yes' : `${context.writ.refused_by} ${context.writ.rule}`
  }
  const own = { type: 'agent', id: agent.clientId }
  const user = { type: 'user', id: 'mallory' }
  assert.equal(await ask('read', 'wipe', own), 'policy not')
  assert.equal(await ask('read', 'Wipe', own), 'policy writ.spelling')
  assert.equal(await ask('read', 'wiper', own), 'yes')
  for (const name of ['Copy', 'copy']) assert.equal(await ask('read', name, own), 'yes')
  assert.equal(await ask('read', 'COPY', own), 'policy writ.spelling')
  assert.equal(await ask('fly.high', 'look', user), 'resource spelling')
  assert.equal(await ask('fly.low', 'look', user), 'yes')
})

test('a name with wildcards is a name: it matches nothing but itself', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const point = await enforcementPoint(writ)
  const agent = await newAgent(writ, { scopes: ['read'] })
  const ask = async (subject: object, action: string, id: string): Promise<boolean> =>
    expect(
      await point.ask('evaluation', {
        subject,
        action: { name: action },
        resource: { type: 'resource', id },
      }),
      200,
    ).decision
  const own = { type: 'agent', id: agent.clientId }
  assert.equal(await ask(own, 'read', api), true)
  for (const action of ['*', 're*', 'read|write', 'read write', 'read,write', ''])
    if (action !== '') assert.equal(await ask(own, action, api), false, action)
  for (const id of ['*', 'agt_*', `${agent.clientId}*`, `${agent.clientId} OR 1=1`, '%'])
    assert.equal(await ask({ type: 'agent', id }, 'read', api), false, id)
  for (const id of ['https://*', `${api}*`, 'https://*.example', '*'])
    assert.equal(await ask(own, 'read', id), false, id)
})

test('an enforcement point without the leaf, with a used proof or of another authority learns nothing', async t => {
  const writ = await authority(t)
  const other = await authority(t, { issuer: 'https://other.example' })
  await registerApi(writ)
  const agent = await newAgent(writ, { scopes: ['read'] })
  const question = {
    subject: { type: 'agent', id: agent.clientId },
    action: { name: 'read' },
    resource: { type: 'resource', id: api },
  }
  const reader = await enforcementPoint(writ, ['writ:agents:read'])
  const refused = await reader.ask('evaluation', question)
  assert.deepEqual([refused.status, refused.body.code], [403, 'insufficient_scope'])
  const point = await enforcementPoint(writ)
  const path = '/access/v1/evaluation'
  const send = {
    method: 'POST',
    headers: {
      authorization: `DPoP ${point.token}`,
      dpop: point.party.proof(path, { accessToken: point.token }),
      'content-type': 'application/json',
    },
    body: JSON.stringify(question),
  }
  assert.equal((await writ.fetch(path, send)).status, 200)
  assert.equal((await writ.fetch(path, send)).status, 401, 'the same proof again')
  const stranger = await enforcementPoint(other)
  const foreign = await stranger.party.call('POST', `${writ.issuer}${path}`, {
    token: stranger.token,
    body: question,
  })
  assert.equal(foreign.status, 401)
  const own = await stranger.ask('evaluation', question)
  assert.equal(own.body.decision, false, 'an agent of another authority is nobody')
})

test('what is claimed is attested by nobody: no agent lifts a rule about itself by what is said of it', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const point = await enforcementPoint(writ)
  const agent = await newAgent(writ, { scopes: ['read'], members: { labels: { team: 'guests' } } })
  await enforce(
    writ,
    `@id("finance.only") forbid (principal is Writ::Agent, action == Writ::Action::"read", resource) unless {
       principal.hasTag("team") && principal.getTag("team").attested && principal.getTag("team").text == "finance"
     };`,
  )
  const ask = async (properties: object): Promise<boolean> =>
    expect(
      await point.ask('evaluation', {
        subject: { type: 'agent', id: agent.clientId, properties },
        action: { name: 'read' },
        resource: { type: 'resource', id: api },
      }),
      200,
    ).decision
  assert.equal(await ask({ team: 'finance' }), false)
  assert.equal(await ask({ team: 'finance', attested: true, source: 'registry' }), false)
  expect(
    await writ.operator.manage('PATCH', `/agents/${agent.clientId}`, { labels: { team: 'finance' } }),
    200,
  )
  assert.equal(await ask({}), true)
  assert.equal(await ask({ team: 'guests' }), true, 'the record has the last word')
})

test('a hundred questions at once while the grant is taken: no yes is told after it was', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const point = await enforcementPoint(writ)
  const agent = await newAgent(writ)
  const id = await grant(writ, agent.clientId, ['read'])
  const question = {
    subject: { type: 'agent', id: agent.clientId },
    action: { name: 'read' },
    resource: { type: 'resource', id: api },
  }
  let isTaken = false
  const late: boolean[] = []
  const asking = Array.from({ length: 100 }, async () => {
    const afterTaken = isTaken
    const { body } = await point.ask('evaluation', question)
    if (afterTaken) late.push(body.decision)
  })
  expect(await writ.operator.manage('DELETE', `/grants/${id}`), 204)
  isTaken = true
  await Promise.all(asking)
  const after = await Promise.all(Array.from({ length: 20 }, () => point.ask('evaluation', question)))
  assert.ok(after.every(({ body }) => body.decision === false))
  assert.ok(!late.includes(true))
})
