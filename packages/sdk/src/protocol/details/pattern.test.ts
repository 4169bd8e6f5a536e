// RFC 9396: patterns match in linear time, whatever text they are given.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { compilePattern } from './pattern.ts'

const matches = (pattern: string, text: string): boolean | undefined => compilePattern(pattern)?.matches(text)

/** Patterns of the subset, over few letters so that texts are often matched. */
const pattern: fc.Arbitrary<string> = fc.letrec<{ choice: string; sequence: string; atom: string }>(tie => ({
  choice: fc.oneof(
    { maxDepth: 3 },
    tie('sequence'),
    fc.tuple(tie('sequence'), tie('sequence')).map(([one, two]) => `${one}|${two}`),
  ),
  sequence: fc.array(tie('atom'), { minLength: 1, maxLength: 3 }).map(parts => parts.join('')),
  atom: fc
    .tuple(
      fc.oneof(
        { maxDepth: 3 },
        fc.constantFrom('a', 'b', '.', '\\d', '\\w', '[ab]', '[^a]', '[a-c]', '\\.', '[a\\-]', 'é', '😀'),
        tie('choice').map(choice => `(${choice})`),
      ),
      fc.constantFrom('', '', '', '*', '+', '?', '{2}', '{1,3}', '{0,2}', '{2,}'),
    )
    .map(([atom, repeat]) => atom + repeat),
})).choice

const text = fc.array(fc.constantFrom('a', 'b', 'c', '1', '.', '-', 'é', '😀', '\n'), { maxLength: 8 })

describe('patterns', () => {
  it('match exactly the texts that the regular expression of the same text matches as a whole', () => {
    let compared = 0
    fc.assert(
      fc.property(pattern, fc.array(text, { minLength: 4, maxLength: 4 }), (source, texts) => {
        const ours = compilePattern(source)
        // Only what is too long or too large is none.
        if (ours === undefined) return
        const theirs = new RegExp(`^(?:${source})$`, 'su')
        for (const letters of texts) {
          compared++
          assert.equal(ours.matches(letters.join('')), theirs.test(letters.join('')), source)
        }
      }),
      { numRuns: 500 },
    )
    assert.ok(compared > 1_000)
  })

  it('take no longer for a text that makes others backtrack', () => {
    const text = `${'a'.repeat(4_000)}!`
    assert.equal(matches('(a+)+', text), false)
    assert.equal(matches('(a|a)*b', text), false)
    assert.equal(matches('(a*)*c', text), false)
  })

  it('have no more states than they may, whatever is repeated within what', () => {
    for (const source of [
      '(\\w{0,64}){0,7}',
      '((\\w?){0,64}){0,4}',
      '(\\w*){0,64}',
      'a{64}',
      '(a|b|c){1,64}',
    ])
      assert.ok((compilePattern(source)?.states ?? 0) <= 1_100, source)
  })

  it('are always about the whole text', () => {
    assert.equal(matches('abc', 'xabc'), false)
    assert.equal(matches('abc', 'abcx'), false)
    assert.equal(matches('abc', 'abc\n'), false)
    assert.equal(matches('a|b', 'ab'), false)
  })

  for (const source of [
    ...[
      '^a',
      'a$',
      '(?:a)',
      '(?=a)',
      '(?i)a',
      '(a)\\1',
      'a*?',
      'a++',
      'a**',
      'a{2}{3}',
      '\\b',
      '\\s',
      '\\p{L}',
    ],
    ...['', '()', 'a|', '|a', '(', ')', '(a', 'a)', '[', '[]', '[^]', '[a', '[a-]', '[-a]', '[z-a]', '[[a]]'],
    ...[
      '[\\d-z]',
      '{2}',
      'a{,2}',
      'a{2,1}',
      'a{0}',
      'a{999}',
      'a{2',
      'a}',
      ']',
      '*',
      '\\',
      'a{ 1}',
      'a{65,}',
    ],
  ])
    it(`refuse ${JSON.stringify(source)}`, () => assert.equal(compilePattern(source), undefined))

  it('refuse what would grow without bound, and at once', () => {
    assert.equal(compilePattern('a'.repeat(257)), undefined)
    assert.equal(compilePattern('(((a{64}){64}){64}){64}'), undefined)
    assert.equal(compilePattern(`${'('.repeat(20)}a${')'.repeat(20)}`), undefined)
    assert.equal(matches('.*', 'a'.repeat(4_097)), false)
  })
})
