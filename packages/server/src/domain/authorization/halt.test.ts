// Halts: what stands in whose way.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HaltId } from '@writ/sdk/protocol/identifier'
import { toolSubject } from '@writ/sdk/protocol/revocation'
import { type Halt, type HaltKind, haltedSubject, haltedTool, haltOn } from './halt.ts'

const halt = (kind: HaltKind, target: string, liftedAt: number | null = null): Halt => ({
  id: 'hlt_00000000000000000000000001' as HaltId,
  kind,
  target,
  reason: 'misused',
  by: 'operator',
  createdAt: 1,
  liftedAt,
  liftedBy: null,
})

const call = {
  agent: 'agt_1',
  instance: 'ins_1',
  keys: ['thumb', null],
  grants: ['grt_1', 'grt_2'],
  person: null,
  resource: 'https://api.example',
  tool: 'https://api.example#burn',
  tenant: 'https://issuer.example',
}

test('a halt stops what bears its very name, and nothing beside it', () => {
  const stopping: readonly [HaltKind, string][] = [
    ['agent', 'agt_1'],
    ['instance', 'ins_1'],
    ['key', 'thumb'],
    ['grant', 'grt_2'],
    ['tool', 'https://api.example#burn'],
    ['resource', 'https://api.example'],
    ['tenant', 'https://issuer.example'],
  ]
  for (const [kind, target] of stopping) {
    assert.equal(haltOn([halt(kind, target)], call)?.kind, kind)
    assert.equal(haltOn([halt(kind, `${target}0`), halt(kind, target.toUpperCase())], call), undefined)
    assert.equal(haltOn([halt(kind, target, 5)], call), undefined, 'one that was lifted')
  }
  assert.equal(haltOn([halt('agent', 'ins_1'), halt('person', 'null')], call), undefined)
  assert.equal(haltOn([halt('person', 'usr_1')], { ...call, person: 'usr_1' })?.kind, 'person')
})

test('the end of a halt is told under the name that tokens bear', () => {
  assert.equal(haltedSubject(halt('key', 'thumb')), 'key:thumb')
  assert.equal(haltedSubject(halt('resource', 'https://api.example')), 'https://api.example')
  assert.equal(haltedSubject(halt('tool', 'https://api.example#burn')), undefined)
})

test('a halted tool is told by its resource and its name, whatever stands in the name; nothing else is told so', () => {
  const named = (tool: string) => haltedTool(halt('tool', `https://api.example#${tool}`))
  for (const tool of ['burn', 'a#b', '#', ' ', 'https://other.example#burn', '\ud800'])
    assert.equal(named(tool), toolSubject('https://api.example', tool))
  assert.notEqual(named('burn'), named('Burn'))
  const others: readonly HaltKind[] = ['agent', 'instance', 'key', 'grant', 'resource', 'person', 'tenant']
  for (const kind of others) assert.equal(haltedTool(halt(kind, 'https://api.example#burn')), undefined)
})
