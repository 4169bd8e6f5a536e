// Keys of instances through the one API of rotations: asked for, answered by the instance, drained by use, cut, blocked.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { readEvents } from '@writ/sdk/protocol/event-stream'
import { enrolled, keysOf, newPair, partyOf, rekey } from '../attacks/instances.ts'
import { api, expect, grant, newAgent, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { until } from '../harness/deadline.ts'

const hasty = { drainSeconds: 1 } as const

async function instanceOf(writ: Authority) {
  await registerApi(writ)
  const { clientId } = await newAgent(writ)
  await grant(writ, clientId, ['read'])
  return { clientId, ...(await enrolled(writ, clientId)) }
}

const begin = (writ: Authority, target: string, more: Record<string, unknown> = {}) =>
  writ.operator.manage('POST', '/rotations', { kind: 'instance_key', target, reason: 'test', ...more })

const see = async (writ: Authority, id: string) =>
  expect(await writ.operator.manage('GET', `/rotations/${id}`), 200)

const reaches = (writ: Authority, id: string, state: string) =>
  until(`the rotation is ${state}`, 30, async () => (await see(writ, id)).state === state)

test('an instance that is asked hears of it with its next token, and its old key ends once nobody uses it', async t => {
  const writ = await authority(t, hasty)
  const { clientId, instance, pair, party } = await instanceOf(writ)
  assert.equal(expect(await party.tokenRequest({ resource: api }), 200).key_rotation_within, undefined)
  const rotation = expect(await begin(writ, instance), 201)
  assert.deepEqual([rotation.state, rotation.from, rotation.to], ['staged', pair.sign.jkt, null])
  // It is away: nothing is counted as done.
  await pause(1500)
  assert.equal((await see(writ, rotation.id)).state, 'staged')
  assert.equal(expect(await party.tokenRequest({ resource: api }), 200).key_rotation_within, 30)
  const next = newPair()
  expect(await rekey(writ, { old: party, next }), 200)
  const active = await see(writ, rotation.id)
  assert.deepEqual([active.state, active.to, active.proof], ['active', next.sign.jkt, 'last_use'])
  assert.equal(active.drain.remaining, 1)
  assert.equal(active.drain.users[0].caller, instance)
  await reaches(writ, rotation.id, 'retired')
  assert.equal((await keysOf(writ, clientId)).get(pair.sign.jkt).state, 'retired')
  assert.equal((await party.tokenRequest({ resource: api })).status, 401)
  expect(await partyOf(writ, clientId, next).tokenRequest({ resource: api }), 200)
})

test('a successor that is sent several times at once is one, and whoever lost the race hears so', async t => {
  const writ = await authority(t)
  const { clientId, instance, pair, party } = await instanceOf(writ)
  const next = newPair()
  const answers = await Promise.all(Array.from({ length: 4 }, () => rekey(writ, { old: party, next })))
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 200, 200],
  )
  const other = await Promise.all([newPair(), newPair()].map(one => rekey(writ, { old: party, next: one })))
  assert.deepEqual(
    other.map(({ status }) => status),
    [409, 409],
  )
  const keys = [...(await keysOf(writ, clientId)).values()].filter(key => key.instance === instance)
  assert.deepEqual(
    new Map(keys.map(({ thumbprint, state }) => [thumbprint, state])),
    new Map([
      [pair.sign.jkt, 'retiring'],
      [next.sign.jkt, 'active'],
    ]),
  )
})

test('a look at its rotation meanwhile does not cost an instance its successor', async t => {
  let looks = 0
  const writ = await authority(t, {
    around: {
      wrapStore: store => ({
        ...store,
        // Whoever looks at the rotation is always faster the first two times.
        async commit(ctx, change) {
          const successor = change.puts?.find(put => put.put === 'rotation')
          if (change.entries[0]?.type === 'key.rotated' && successor !== undefined && looks++ < 2) {
            const { target } = successor.value
            for (const { version, ...value } of await store.rotations.open(ctx, 'instance_key', target)) {
              const put = { put: 'rotation', value, ifVersion: version } as const
              const entries = [{ type: 'rotation.looked', outcome: 'allowed', requestId: 'look' }] as const
              assert.equal((await store.commit(ctx, { puts: [put], entries })).kind, 'done')
            }
          }
          return store.commit(ctx, change)
        },
      }),
    },
  })
  const { instance, party } = await instanceOf(writ)
  const { id } = expect(await begin(writ, instance), 201)
  expect(await rekey(writ, { old: party, next: newPair() }), 200)
  assert.equal(looks, 3)
  assert.equal((await see(writ, id)).state, 'active')
})

test('an old key that is still used does not drain; at its limit the rotation is blocked and both keys work', async t => {
  const writ = await authority(t, { drainSeconds: 2, drainLimitSeconds: 10 })
  const { clientId, instance, party } = await instanceOf(writ)
  const next = newPair()
  expect(await rekey(writ, { old: party, next }), 200)
  const { items } = expect(await writ.operator.manage('GET', `/rotations?target=${instance}`), 200)
  const [{ id, reason, owner }] = items
  assert.deepEqual([reason, owner], ['self_service', writ.operator.clientId])
  await until('it is blocked', 60, async () => {
    expect(await party.tokenRequest({ resource: api }), 200)
    await pause(200)
    return (await see(writ, id)).state === 'blocked'
  })
  const blocked = await see(writ, id)
  assert.match(blocked.problem, new RegExp(`still used after its limit; ask ${writ.operator.clientId}`))
  assert.equal(blocked.drain.users[0].caller, instance)
  expect(await party.tokenRequest({ resource: api }), 200)
  expect(await partyOf(writ, clientId, next).tokenRequest({ resource: api }), 200)
  const { items: told } = expect(await writ.operator.manage('GET', '/events?type=rotation.blocked'), 200)
  assert.equal(told.length, 1)
  assert.equal(told[0].decision.owner, writ.operator.clientId)
  // A person ends it.
  expect(await writ.operator.manage('POST', `/rotations/${id}/force`, { reason: 'known straggler' }), 200)
  await reaches(writ, id, 'retired')
  assert.equal((await party.tokenRequest({ resource: api })).status, 401)
})

test('an emergency cuts at once, and lists what the key could reach and what was done with it', async t => {
  const writ = await authority(t, hasty)
  const { clientId, instance, pair, party } = await instanceOf(writ)
  const token = expect(await party.tokenRequest({ resource: api }), 200).access_token
  const [one, other] = await Promise.all([
    begin(writ, instance, { emergency: true }),
    begin(writ, instance, { emergency: true }),
  ])
  // Of two at once one is the emergency, and the other finds nothing left to cut.
  assert.deepEqual([one.status, other.status].toSorted(), [201, 409])
  const rotation = one.status === 201 ? one.body : other.body
  assert.deepEqual([rotation.state, rotation.emergency, rotation.proof], ['retired', true, 'none'])
  assert.match(rotation.problem, /new enrolment/)
  assert.equal((await party.tokenRequest({ resource: api })).status, 401)
  assert.equal((await keysOf(writ, clientId)).get(pair.sign.jkt).state, 'revoked')
  const form = {
    token,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: writ.operator.assertion(),
  }
  assert.equal((await writ.operator.post('/introspect', form)).body.active, false)
  const radius = expect(await writ.operator.manage('GET', `/rotations/${rotation.id}/blast-radius`), 200)
  assert.deepEqual(radius.reach, [{ kind: 'resource', name: api, detail: 'read' }])
  assert.ok(radius.deeds.some((deed: { type: string }) => deed.type === 'token.issued'))
  assert.ok(radius.deeds.every((deed: { key: string }) => deed.key === pair.sign.jkt))
})

test('what cannot be rotated says why: unknown, retired, being rotated already, of another kind', async t => {
  const writ = await authority(t, hasty)
  const { clientId, instance } = await instanceOf(writ)
  assert.equal((await begin(writ, 'ins_00000000000000000000000000')).status, 404)
  assert.equal((await begin(writ, 'nonsense')).status, 404)
  expect(await begin(writ, instance), 201)
  const again = await begin(writ, instance)
  assert.equal(again.status, 409)
  assert.match(again.body.detail, /being rotated already: see rot_/)
  assert.equal((await writ.operator.manage('POST', '/rotations', { kind: 'instance_key' })).status, 422)
  assert.equal((await begin(writ, instance, { alg: 'ES256' })).status, 422)
  expect(await writ.operator.manage('POST', `/agents/${clientId}/retire`, { reason: 'test' }), 200)
  assert.match((await begin(writ, instance)).body.detail, /retired/)
})

test('one that nobody answered can be cancelled, and its instance is not asked any more', async t => {
  const writ = await authority(t, hasty)
  const { instance, party } = await instanceOf(writ)
  const { id } = expect(await begin(writ, instance), 201)
  expect(await writ.operator.manage('POST', `/rotations/${id}/cancel`, { reason: 'not now' }), 200)
  await reaches(writ, id, 'failed')
  assert.equal(expect(await party.tokenRequest({ resource: api }), 200).key_rotation_within, undefined)
  assert.equal((await writ.operator.manage('POST', `/rotations/${id}/retry`, { reason: 'x' })).status, 409)
  expect(await begin(writ, instance), 201)
})

test('one that answers only after the limit still succeeds, as the successor that its rotation waited for', async t => {
  const writ = await authority(t, { drainSeconds: 1, drainLimitSeconds: 10 })
  await registerApi(writ)
  // A key without an end, whose holder may be away for longer than any limit.
  const { clientId } = writ.operator
  const [{ instance, thumbprint }] = [...(await keysOf(writ, clientId)).values()]
  const rotation = expect(await begin(writ, instance), 201)
  await reaches(writ, rotation.id, 'blocked')
  const next = newPair()
  expect(await rekey(writ, { old: writ.operator, next }), 200)
  const active = await see(writ, rotation.id)
  assert.deepEqual(
    [active.state, active.from, active.to, active.problem],
    ['active', thumbprint, next.sign.jkt, null],
  )
  const successor = partyOf(writ, clientId, next)
  await until('the rotation is retired', 30, async () => {
    const answer = await successor.manage('GET', `/rotations/${rotation.id}`)
    return expect(answer, 200).state === 'retired'
  })
  assert.equal((await keysOf({ ...writ, operator: successor }, clientId)).get(thumbprint).state, 'retired')
})

test('all instances are asked in pages of one batch; those that cannot be are named', async t => {
  const writ = await authority(t, hasty)
  const { clientId, instance } = await instanceOf(writ)
  const other = await enrolled(writ, clientId)
  const begun = expect(
    await writ.operator.manage('POST', '/rotations/batch', { kind: 'instance_key', reason: 'drill' }),
    200,
  )
  const targets = begun.items.map(({ target }: { target: string }) => target)
  assert.ok(targets.includes(instance) && targets.includes(other.instance))
  assert.equal(begun.next, null)
  const { items } = expect(
    await writ.operator.manage('GET', `/rotations?batch=${begun.batch}&state=staged`),
    200,
  )
  assert.equal(items.length, targets.length)
  const again = expect(await writ.operator.manage('POST', '/rotations/batch', { kind: 'instance_key' }), 200)
  assert.equal(again.items.length, 0)
  assert.equal(again.skipped.length, targets.length)
})

test('a schedule begins rotations by itself, once for all the times that went by', async t => {
  const writ = await authority(t, hasty)
  const { instance } = await instanceOf(writ)
  for (const wrong of [
    {},
    { cron: '* * * * *', max_age_seconds: 60 },
    { cron: '* * *' },
    { cron: '61 * * * *' },
    { cron: '0 0 30 2 *' },
    { cron: '* * * * * *' },
    { max_age_seconds: 1 },
  ]) {
    const answer = await writ.operator.manage('POST', '/schedules', { kind: 'instance_key', ...wrong })
    assert.equal(answer.status, 422, JSON.stringify(wrong))
  }
  const schedule = expect(
    await writ.operator.manage('POST', '/schedules', {
      kind: 'instance_key',
      target: instance,
      max_age_seconds: 10,
    }),
    201,
  )
  await until('it was served', 40, async () => {
    const { last_rotation: last } = expect(
      await writ.operator.manage('GET', `/schedules/${schedule.id}`),
      200,
    )
    return last !== null
  })
  const { items } = expect(await writ.operator.manage('GET', `/rotations?target=${instance}`), 200)
  assert.deepEqual(
    items.map(({ reason, state }: Record<string, string>) => [reason, state]),
    [['scheduled', 'staged']],
  )
  expect(await writ.operator.manage('DELETE', `/schedules/${schedule.id}`), 204)
})

test('whoever may see rotations hears of each move as it comes; others hear nothing', async t => {
  const writ = await authority(t, hasty)
  const { instance, party } = await instanceOf(writ)
  const open = async (scope: string) => {
    const token = await writ.operator.token(`${writ.issuer}/api/v1`, scope)
    const dpop = writ.operator.proof('/api/v1/rotations/events', { method: 'GET', accessToken: token })
    return writ.fetch('/api/v1/rotations/events', { headers: { authorization: `DPoP ${token}`, dpop } })
  }
  assert.equal((await open('writ:agents:read')).status, 403)
  assert.equal((await writ.fetch('/api/v1/rotations/events')).status, 401)
  const answer = await open('writ:rotations:read')
  assert.equal(answer.status, 200)
  const seen: string[] = []
  assert.ok(answer.body)
  const reading = (async () => {
    for await (const data of readEvents(answer.body as ReadableStream<Uint8Array>, 100_000)) {
      const rotation = JSON.parse(data)
      seen.push(`${rotation.target} ${rotation.state}`)
      if (rotation.state === 'retired') return
    }
  })()
  const { id } = expect(await begin(writ, instance), 201)
  expect(await rekey(writ, { old: party, next: newPair() }), 200)
  await reaches(writ, id, 'retired')
  await reading
  assert.deepEqual(
    [...new Set(seen)],
    ['staged', 'active', 'retired'].map(state => `${instance} ${state}`),
  )
})
