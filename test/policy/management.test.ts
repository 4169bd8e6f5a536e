// Policy sets and groups through the management API: versions, trial, force, one step back, and nobody locked out.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expect } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'

const reason = { reason: 'tested' }
const harmless = (id: string) => `@id("${id}") forbid (principal is Writ::Person, action, resource);`

async function create(
  writ: Authority,
  source: string,
): Promise<{ readonly id: string; readonly number: number }> {
  return expect(await writ.operator.manage('POST', '/policies', { source }), 201)
}

const move = (writ: Authority, id: string, to: string) =>
  writ.operator.manage('POST', `/policies/${id}/${to}`, reason)
const rollback = (writ: Authority) => writ.operator.manage('POST', '/policies/rollback', reason)

async function statesOf(writ: Authority): Promise<readonly string[]> {
  const { items } = expect(await writ.operator.manage('GET', '/policies'), 200)
  return items.map(({ number, state }: { number: number; state: string }) => `${number} ${state}`)
}

test('sets are counted, tried beside the one in force, put into force and taken back', async t => {
  const writ = await authority(t)
  const sets = []
  for (const id of ['a', 'b', 'c']) sets.push(await create(writ, harmless(id)))
  const [a = '', b = '', c = ''] = sets.map(({ id }) => id)
  assert.deepEqual(
    sets.map(({ number }) => number),
    [1, 2, 3],
  )
  expect(await move(writ, a, 'activate'), 200)
  expect(await move(writ, b, 'shadow'), 200)
  assert.deepEqual(await statesOf(writ), ['1 active', '2 shadow', '3 draft'])
  expect(await move(writ, c, 'shadow'), 200)
  assert.deepEqual(await statesOf(writ), ['1 active', '2 draft', '3 shadow'], 'one is in trial')
  expect(await move(writ, c, 'activate'), 200)
  assert.deepEqual(await statesOf(writ), ['1 former', '2 draft', '3 active'])
  assert.equal((await move(writ, c, 'activate')).status, 409)
  assert.equal((await move(writ, c, 'shadow')).status, 409)
  assert.equal((await move(writ, b, 'withdraw')).status, 409)
  const { active, former } = expect(await rollback(writ), 200)
  assert.deepEqual([active.number, former.number], [1, 3])
  assert.deepEqual(await statesOf(writ), ['1 active', '2 draft', '3 former'])
})

test('the first set rolls back to none, and then there is nothing to roll back', async t => {
  const writ = await authority(t)
  assert.equal((await rollback(writ)).status, 409)
  const { id } = await create(writ, harmless('a'))
  expect(await move(writ, id, 'activate'), 200)
  assert.equal(expect(await rollback(writ), 200).active, null)
  assert.equal((await rollback(writ)).status, 409)
})

test('of racing activations and rollbacks one set is in force in the end', async t => {
  const writ = await authority(t)
  const made = await Promise.all(
    Array.from({ length: 5 }, (_, at) =>
      writ.operator.manage('POST', '/policies', { source: harmless(`p${at}`) }),
    ),
  )
  const sets = made.filter(({ status }) => status === 201).map(({ body }) => body)
  assert.ok(sets.length > 0)
  assert.equal(new Set(sets.map(({ number }) => number)).size, sets.length, 'no number is given twice')
  await Promise.all([...sets.map(({ id }) => move(writ, id, 'activate')), rollback(writ)])
  const states = await statesOf(writ)
  assert.ok(states.filter(state => state.endsWith('active')).length <= 1, states.join())
})

test('a set that would forbid its activator the way back is refused, whichever way it does', async t => {
  const writ = await authority(t)
  for (const source of [
    'forbid (principal, action, resource);',
    'forbid (principal, action == Writ::Action::"policies.rollback", resource);',
    `forbid (principal == Writ::Agent::"${writ.operator.clientId}", action, resource);`,
    `forbid (principal, action, resource in Writ::Resource::"${writ.issuer}/api/v1");`,
    // It fails for everybody, and what fails refuses.
    'forbid (principal, action, resource) when { context.amounts.calls * 9223372036854775807 * 2 > 1 };',
  ]) {
    const { id } = await create(writ, source)
    const refused = await move(writ, id, 'activate')
    assert.deepEqual([refused.status, refused.body.code], [409, 'conflict'], source)
  }
  assert.ok((await statesOf(writ)).every(state => state.endsWith('draft')))
})

test('nothing of a set that is not valid is stored, and its text is in no entry', async t => {
  const writ = await authority(t)
  const bad = await writ.operator.manage('POST', '/policies', {
    source: 'permit (principal, action, resource) when { context.nope == "hush-hush" };',
  })
  assert.deepEqual([bad.status, bad.body.code], [422, 'invalid_value'])
  const long = await writ.operator.manage('POST', '/policies', { source: ' '.repeat(10_000_000) })
  assert.equal(long.status, 413)
  const fits = await writ.operator.manage('POST', '/policies', {
    source: `${harmless('a')}${' '.repeat(120_000)}`,
  })
  assert.equal(fits.status, 201)
  assert.deepEqual(await statesOf(writ), ['1 draft'])
  await create(
    writ,
    '@id("b") forbid (principal is Writ::Person, action, resource) when { context.risk > 7 && principal.login == "hush-hush" };',
  )
  const events = expect(await writ.operator.manage('GET', '/events'), 200)
  assert.doesNotMatch(JSON.stringify(events), /hush-hush/)
})

test('no text that is checked costs others their decisions', async t => {
  const writ = await authority(t)
  const deep = `${'('.repeat(5000)}true${')'.repeat(5000)}`
  for (const body of [deep, `// x\r${deep}`, `context${'["a"]'.repeat(5000)} == 1`]) {
    const source = `forbid (principal, action, resource) when { ${body} };`
    const { valid } = expect(await writ.operator.manage('POST', '/policies/validate', { source }), 200)
    assert.equal(valid, false)
    const members = {
      agent: writ.operator.clientId,
      resource: `${writ.issuer}/api/v1`,
      scopes: ['writ:people:read'],
    }
    const grant = await writ.operator.manage('POST', '/grants', {
      ...members,
      condition: body.slice(0, 4000),
      ...reason,
    })
    assert.equal(grant.status, 422)
    // With a set in force each of these calls is decided by the engine.
    const { id } = await create(writ, harmless('a'))
    expect(await move(writ, id, 'activate'), 200)
    expect(await writ.operator.manage('GET', '/people'), 200)
  }
})

test('a group that somebody belongs to is not deleted, whatever races', async t => {
  const writ = await authority(t)
  const person = expect(await writ.operator.manage('POST', '/people', { login: 'ada' }), 201).id
  for (let round = 0; round < 5; round++) {
    const { id } = expect(await writ.operator.manage('POST', '/groups', { name: `g${round}` }), 201)
    const [joined, deleted] = await Promise.all([
      writ.operator.manage('POST', `/groups/${id}/members`, { person }),
      writ.operator.manage('DELETE', `/groups/${id}`),
    ])
    assert.notEqual(joined.status === 200, deleted.status === 204, `${joined.status} ${deleted.status}`)
    const { groups } = expect(await writ.operator.manage('GET', `/people/${person}`), 200)
    assert.equal(groups.includes(id), joined.status === 200)
  }
})
