// Decisions about activations that race with what ends them: whoever comes first, nothing is open that should not be.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { enforcementPoint } from '../decision/point.ts'
import { api, expect, grant, newAgent } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import type { Party } from '../harness/party.ts'
import { activate, administrator, as, eligibility, own, scene, scopesNow } from './scene.ts'

const write = 'writ:approvals:write'
const reason = { reason: 'test' }

const liveGrants = async (writ: Authority, agent: Party): Promise<readonly { readonly id: string }[]> =>
  expect(await writ.operator.manage('GET', `/grants?agent=${agent.clientId}&status=active&limit=200`), 200)
    .items

test('of twenty that approve at once one opens one grant', async t => {
  const writ = await authority(t)
  const { agent, approver } = await scene(writ)
  const others = await Promise.all(Array.from({ length: 3 }, () => administrator(writ, ['writ:approvals'])))
  const who = [approver, ...others]
  const { activation } = expect(await activate(writ, agent, await eligibility(writ, agent)), 201)
  const path = `/approvals/${activation}/approve`
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, at) => as(who[at % who.length] as Party, write, ['POST', path, {}])),
  )
  assert.equal(answers.filter(({ status }) => status === 200).length, 1)
  assert.equal(answers.filter(({ status }) => status === 409).length, 19)
  assert.equal((await liveGrants(writ, agent)).length, 1)
})

test('whatever an approval races with, nothing is open once what it raced with was done', async t => {
  const writ = await authority(t)
  const { agent, approver } = await scene(writ)
  for (let round = 0; round < 8; round += 1) {
    const of = await eligibility(writ, agent)
    const { activation } = expect(await activate(writ, agent, of), 201)
    const approve = ['POST', `/approvals/${activation}/approve`, {}] as [string, string, unknown]
    const ends = [
      () => own(writ, agent, `/activations/${activation}/cancel`, reason),
      () => writ.operator.manage('POST', `/approvals/${activation}/cancel`, reason),
      () => as(approver, write, ['POST', `/approvals/${activation}/deny`, reason]),
      () => writ.operator.manage('POST', `/eligibilities/${of}/revoke`, reason),
    ]
    const [ended, approved] = await Promise.all([
      (ends[round % ends.length] as (typeof ends)[number])(),
      as(approver, write, approve),
    ])
    const open = await liveGrants(writ, agent)
    // Denying what was approved a moment before is no move; each other one ends it, whichever came first.
    const isTooLate = ended.status === 409 && approved.status === 200
    assert.equal(open.length, isTooLate ? 1 : 0, `${round}: ${ended.status} ${approved.status}`)
    if (isTooLate) expect(await writ.operator.manage('POST', `/eligibilities/${of}/revoke`, reason), 200)
    assert.equal(await scopesNow(agent), '')
  }
})

test('a revoked eligibility leaves nothing open, though an agent has raced to open more than it may have', async t => {
  const writ = await authority(t)
  const { agent } = await scene(writ)
  for (let at = 0; at < 60; at += 1) await grant(writ, agent.clientId, ['erase'])
  const eligibilities = await Promise.all(
    Array.from({ length: 12 }, () => eligibility(writ, agent, { approval: 'none', scopes: ['read'] })),
  )
  await Promise.all(eligibilities.map(of => activate(writ, agent, of)))
  assert.equal((await liveGrants(writ, agent)).length, 72)
  for (const of of eligibilities.toReversed())
    expect(await writ.operator.manage('POST', `/eligibilities/${of}/revoke`, reason), 200)
  assert.equal(await scopesNow(agent, 'read'), '')
})

test('an activation counts to the last second before its end, also for answers that are kept, and not in the next', async t => {
  const writ = await authority(t)
  const { agent } = await scene(writ)
  const of = await eligibility(writ, agent, { approval: 'none' })
  const pep = await enforcementPoint(writ, ['writ:decisions:evaluate', 'writ:decisions:explain'])
  const opened = expect(await activate(writ, agent, of, { seconds: 100 }), 201)
  const endMs = Date.parse(opened.ends_at)
  const ask = async () =>
    expect(
      await pep.ask('evaluation', {
        subject: { type: 'agent', id: agent.clientId },
        action: { name: 'read' },
        resource: { type: 'resource', id: api },
        options: { cache: true, explain: true },
      }),
      200,
    )
  const token = await agent.tokenRequest({ resource: api, scope: 'read' })
  assert.ok(writ.nowMs() + token.body.expires_in * 1000 <= endMs + 1000)
  const early = await ask()
  assert.equal(early.decision, true)
  assert.ok(Date.parse(early.context.cache.until) <= endMs || early.context.cache.until * 1000 <= endMs)
  writ.advance((endMs - writ.nowMs() - 400) / 1000)
  assert.equal((await ask()).decision, true)
  writ.advance((endMs - writ.nowMs()) / 1000)
  const late = await ask()
  assert.deepEqual([late.decision, late.context.writ.refused_by], [false, 'grant'])
})

test('a stopped agent opens and keeps nothing: suspended, halted or retired', async t => {
  const writ = await authority(t)
  await scene(writ)
  const halt = (agent: Party) => ({ kind: 'agent', target: agent.clientId, reason: 'odd' })
  const stops = {
    suspended: (agent: Party) =>
      writ.operator.manage('POST', `/agents/${agent.clientId}/suspend`, { reason: 'odd' }),
    halted: (agent: Party) => writ.operator.manage('POST', '/halts', halt(agent)),
    retired: (agent: Party) =>
      writ.operator.manage('POST', `/agents/${agent.clientId}/retire`, { reason: 'odd' }),
  }
  for (const [name, stop] of Object.entries(stops)) {
    const agent = await newAgent(writ)
    const of = await eligibility(writ, agent, { approval: 'none' })
    expect(await activate(writ, agent, of), 201)
    assert.notEqual(await scopesNow(agent), '', name)
    assert.ok((await stop(agent)).status < 300, name)
    assert.equal(await scopesNow(agent), '', name)
    const answer = await activate(writ, agent, of)
    assert.ok([400, 401, 403, 409].includes(answer.status), `${name}: ${answer.status}`)
    const byOther = { eligibility: of, reason: 'for it', seconds: 60 }
    const asked = await writ.operator.manage('POST', '/activations', byOther)
    // An administrator may prepare what is there once the halt is lifted: until then it gives nothing.
    if (name !== 'halted') assert.equal(asked.status, 409, name)
    assert.equal(await scopesNow(agent), '', name)
  }
})

test('a halt of the agent, its instance, its key or of everybody keeps it from activating, and not from giving back', async t => {
  const writ = await authority(t)
  const { agent } = await scene(writ)
  const of = await eligibility(writ, agent, { approval: 'none' })
  const waiting = await eligibility(writ, agent)
  const instances = await writ.operator.manage('GET', `/agents/${agent.clientId}/instances`)
  const targets = {
    agent: agent.clientId,
    instance: expect(instances, 200).items[0].id,
    key: agent.key.jkt,
    tenant: writ.issuer,
  }
  for (const [kind, target] of Object.entries(targets)) {
    const opened = expect(await activate(writ, agent, of), 201).activation
    const asked = expect(await activate(writ, agent, waiting), 201).activation
    const key = { 'idempotency-key': `before-${kind}` }
    expect(await activate(writ, agent, of, { headers: key }), 201)
    const halt = expect(await writ.operator.manage('POST', '/halts', { kind, target, ...reason }), 201)
    for (const refused of [
      await activate(writ, agent, of),
      await activate(writ, agent, waiting),
      await activate(writ, agent, of, { headers: key }),
    ])
      assert.deepEqual([refused.status, refused.body.code], [403, 'access_denied'], kind)
    for (const id of [opened, asked]) expect(await own(writ, agent, `/activations/${id}/cancel`, reason), 200)
    const management = `${writ.issuer}/api/v1`
    const token = await writ.operator.token(management, 'writ:halts')
    const lift = { token, body: reason }
    expect(await writ.operator.call('POST', `${management}/halts/${halt.id}/lift`, lift), 200)
  }
})

test('as many instances as there are open the same at once, and none is told to try again', async t => {
  const writ = await authority(t)
  const { agent } = await scene(writ)
  const of = await eligibility(writ, agent, { approval: 'none' })
  const answers = await Promise.all(Array.from({ length: 30 }, () => activate(writ, agent, of)))
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([201]))
  assert.equal((await liveGrants(writ, agent)).length, 30)
})

test('an agent that never stops activating cannot keep its eligibility from being revoked', async t => {
  const writ = await authority(t)
  const { agent } = await scene(writ)
  for (let round = 0; round < 3; round += 1) {
    const of = await eligibility(writ, agent, { approval: 'none' })
    let isOver = false
    const hammer = async (): Promise<void> => {
      while (!isOver) {
        const { status, body } = await activate(writ, agent, of)
        if (status === 201) await own(writ, agent, `/activations/${body.activation}/cancel`, reason)
      }
    }
    const hammers = Array.from({ length: 4 }, hammer)
    const revoked = await writ.operator.manage('POST', `/eligibilities/${of}/revoke`, reason)
    isOver = true
    await Promise.all(hammers)
    expect(revoked, 200)
    assert.deepEqual(await liveGrants(writ, agent), [])
  }
})
