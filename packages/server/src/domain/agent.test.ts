// The states of agents and keys: what is dead stays dead, and time is judged at the edge.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type Agent,
  type AgentMove,
  isAgentLive,
  isKeyLive,
  type Key,
  moveAgent,
  retireKey,
  revokeKey,
} from './agent.ts'

const agent = {
  id: 'agt_1',
  status: 'active',
  statusReason: null,
  statusAt: 0,
  expiresAt: null,
} as unknown as Agent
const key = { thumbprint: 't', kid: 'k', state: 'active', notBefore: 100, expiresAt: 200 } as unknown as Key

test('a retired agent never lives again, whatever is done to it', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom<AgentMove>('suspend', 'resume', 'retire'), { maxLength: 20 }),
      moves => {
        let current = agent
        let retired = false
        for (const move of moves) {
          current = moveAgent(current, move, 'test', 1) ?? current
          retired ||= move === 'retire'
          if (retired) assert.equal(isAgentLive(current, 1), false)
        }
      },
    ),
    { numRuns: 1000 },
  )
})

test('a move that the status does not allow changes nothing', () => {
  assert.equal(moveAgent(agent, 'resume', 'test', 1), undefined)
  const retired = moveAgent(agent, 'retire', 'test', 1) as Agent
  assert.equal(moveAgent(retired, 'suspend', 'test', 2), undefined)
  assert.equal(moveAgent(retired, 'retire', 'test', 2), undefined)
})

test('an agent lives strictly before its end', () => {
  const ending = { ...agent, expiresAt: 50 }
  assert.equal(isAgentLive(ending, 49), true)
  assert.equal(isAgentLive(ending, 50), false)
})

test('a key lives from its first instant on and strictly before its last', () => {
  assert.deepEqual(
    [99, 100, 199, 200].map(now => isKeyLive(key, now)),
    [false, true, true, false],
  )
})

test('retiring a key never prolongs it', () => {
  assert.equal(retireKey(key, 120).expiresAt, 200)
  assert.equal(retireKey({ ...key, expiresAt: null }, 120).expiresAt, null)
})

test('a revoked or retired key is dead and cannot be revoked again', () => {
  const revoked = revokeKey(key, 'lost', 120) as Key
  assert.equal(isKeyLive(revoked, 150), false)
  assert.equal(revokeKey(revoked, 'again', 130), undefined)
  assert.equal(isKeyLive({ ...key, state: 'staged' }, 150), false)
})
