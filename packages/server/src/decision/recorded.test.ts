// Entries read again: what an entry says of the arguments is what they were, or is said to be unknown; it never throws.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { argumentText } from './entry.ts'
import { type Recorded, recordedIn } from './recorded.ts'

/** The one decision of an entry with these facts. */
function recordedOf(facts: Record<string, unknown>): Recorded {
  const decision = { subject: 'agent:agt_1', rule: 'granted', ...facts }
  const time = '2026-07-01T00:00:00.000Z'
  const entry = { id: 'evt_1', type: 'decision.evaluated', outcome: 'allowed', request_id: 'r', time }
  const [recorded] = recordedIn(JSON.stringify({ ...entry, resource: 'https://api.example', decision }))
  assert.ok(recorded)
  return recorded
}

const argumentsOf = (texts: readonly string[]) => {
  const { question, cutArguments, isCut } = recordedOf({ arguments: texts })
  return { known: question.operation.arguments, cut: [...cutArguments], isCut }
}

test('an argument is read under the name that it was written under, whatever letters are in both', () => {
  const letters = fc.constantFrom('=', '"', 'a', '{', ',', ' ', '1', ':')
  const name = fc.string({ unit: letters, minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(name, fc.jsonValue({ maxDepth: 1 }), (one, value) => {
      const { known, cut } = argumentsOf([argumentText(one, value)])
      const as = JSON.parse(JSON.stringify(value))
      if (cut.length === 0) assert.deepEqual(known, { [one]: as })
      else assert.ok(cut.includes(one))
    }),
  )
})

test('a name is never cut or redacted, however long: it is of the map, and what it is unknown of has to be told', () => {
  for (const name of ['n'.repeat(128), '"'.repeat(128), `${'='.repeat(128)}`]) {
    const { known, cut, isCut } = argumentsOf([argumentText(name, 'x y '.repeat(200))])
    assert.deepEqual([known, cut, isCut], [{}, [name], false])
  }
  const secret = argumentText('note', 'k'.repeat(64))
  assert.ok(!secret.includes('kkkk'))
  assert.deepEqual(argumentsOf([secret]).cut, ['note'])
})

test('what entries of old have under a name with an equals sign is unknown under each name that it may have been', () => {
  assert.deepEqual(argumentsOf(['a=b=5', 'c=5', '"d"=6']), {
    known: { c: 5, '"d"': 6 },
    cut: ['a', 'a=b'],
    isCut: false,
  })
  assert.deepEqual(argumentsOf(['a="b=c']).cut, ['a', 'a="b'])
  assert.deepEqual(argumentsOf(['=', 'nothing', '"a=b"']).known, {})
  assert.equal(argumentsOf(['[redacted]=5']).isCut, true, 'nobody knows which argument that was')
})

test('a score is that of the one whose identifier has an equals sign', () => {
  const { risks } = recordedOf({ risk: ['https://c.example/?v=1=40', 'agt_1=7'] })
  assert.deepEqual(
    [...risks],
    [
      ['https://c.example/?v=1', 40],
      ['agt_1', 7],
    ],
  )
})
