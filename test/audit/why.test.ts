// Why, over the management API: the path of a token, for whoever may read the log and nobody else.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { authority } from '../harness/authority.ts'

test('the path of a token leads from the operator over its key to the grant it rests on', async t => {
  const { operator, issuer } = await authority(t)
  const issued = await operator.tokenRequest({ resource: `${issuer}/api/v1`, scope: 'writ:agents:read' })
  const found = await operator.manage('GET', `/events?request_id=${issued.headers.get('x-request-id')}`)
  const [entry] = found.body.items
  const { status, body } = await operator.manage('GET', `/events/${entry.id}/why`)
  assert.equal(status, 200)
  assert.deepEqual(body.entry, entry)
  assert.deepEqual(
    body.path.map(({ kind }: { kind: string }) => kind),
    ['operator', 'instance', 'key'],
  )
  assert.equal(body.path[0].id, operator.clientId)
  assert.equal(body.path[2].id, operator.key.jkt)
  const [grant] = body.decision.grants
  assert.deepEqual([grant.scopes, grant.reason, grant.state], [['writ:*'], 'First start', 'active'])
  assert.deepEqual(
    grant.entries.map(({ type }: { type: string }) => type),
    ['grant.created'],
  )
})

test('of an entry that is not there, nothing is said', async t => {
  const { operator } = await authority(t)
  const { status, body } = await operator.manage('GET', '/events/evt_00000000000000000000000000/why')
  assert.deepEqual([status, body.code], [404, 'not_found'])
})
