// Every call of a decision to its store fails, one at a time: a no stays a no, whatever could not be read (property 32).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type EnforcementPoint, enforcementPoint } from '../decision/point.ts'
import { enforce } from '../decision/policies.ts'
import { api, grant, newAgent, registerApi } from '../harness/agent.ts'
import { isAway } from './answers.ts'
import { ways } from './broken-store.ts'
import { issuer, placeOf, type World } from './world.ts'

/** More than any decision asks of the store. */
const mostCalls = 60

type Endpoint = 'evaluation' | 'evaluations'

/** Fails the first call, then the second, until none was left to fail; answers every decision that was told. */
async function withoutEach(
  world: World,
  point: EnforcementPoint,
  endpoint: Endpoint,
  body: object,
): Promise<readonly boolean[]> {
  const told: boolean[] = []
  for (const way of ways) {
    for (let after = 0; ; after++) {
      assert.ok(after < mostCalls, 'a decision asks without an end')
      const breakage = { counts: () => true, after, times: 1, way }
      const { value: answer, broken } = await world.broken.during(breakage, () => point.ask(endpoint, body))
      if (answer.status === 200)
        told.push(
          ...(endpoint === 'evaluation'
            ? [answer.body.decision]
            : answer.body.evaluations.map(({ decision }: { decision: boolean }) => decision)),
        )
      else assert.ok(isAway(answer), `without ${broken}: ${answer.status} ${JSON.stringify(answer.body)}`)
      if (broken.length === 0) break
    }
  }
  return told
}

test('whatever read or write of a decision fails, no refusal becomes a permission', async t => {
  const world = await placeOf(t).open()
  const writ = { ...world, issuer }
  await registerApi(writ)
  const agent = await newAgent(writ)
  const budgets = [{ unit: 'calls', limit: 1000, window_seconds: 3600 }]
  await grant(writ, agent.clientId, ['read'], { budgets })
  await enforce(writ, '@id("no.burning") forbid (principal, action == Writ::Action::"call", resource);')
  const point = await enforcementPoint(writ)
  const question = (action: string) => ({
    subject: { type: 'agent', id: agent.clientId },
    action: { name: action },
    resource: { type: 'resource', id: api },
  })
  const yes = await withoutEach(world, point, 'evaluation', question('read'))
  assert.ok(yes.includes(true), 'it is allowed where nothing fails')
  for (const action of ['write', 'call', 'READ']) {
    const no = await withoutEach(world, point, 'evaluation', question(action))
    assert.ok(no.length > 0)
    assert.ok(!no.includes(true), action)
  }
  const { subject, resource } = question('')
  const evaluations = ['write', 'call', 'read', 'write'].map(name => ({ action: { name } }))
  const batch = await withoutEach(world, point, 'evaluations', { subject, resource, evaluations })
  for (const [at, decision] of batch.entries()) if (at % 4 !== 2) assert.equal(decision, false)
})
