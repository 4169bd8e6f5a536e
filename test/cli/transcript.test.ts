// The runner of transcripts itself: one that accepts everything proves nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fill, mismatch, parseTranscript } from './transcript.ts'

const agent = `agt_${'0'.repeat(26)}`
const other = `agt_${'1'.repeat(26)}`

test('reads commands, both outputs, exit codes and directions, and passes over comments', () => {
  const text = '# why\n@ serve --port 1\n\n$ writ x\nout\n! err\n? 2\n$ true\n'
  assert.deepEqual(parseTranscript(text), [
    { line: 2, words: ['serve', '--port', '1'] },
    { line: 4, command: 'writ x', stdout: ['out'], stderr: ['err'], code: 2 },
    { line: 8, command: 'true', stdout: [], stderr: [], code: 0 },
  ])
  assert.throws(() => parseTranscript('out\n$ true'), /line 1 belongs to no command/)
})

test('notices a line that is missing, one too many, and one that differs', () => {
  assert.equal(mismatch(['a', 'b'], 'a\nb\n', new Map()), undefined)
  assert.match(mismatch(['a', 'b'], 'a\n', new Map()) ?? '', /missing: b/)
  assert.match(mismatch(['a'], 'a\nb\n', new Map()) ?? '', /nothing more was expected, but: b/)
  assert.match(mismatch(['a.c'], 'abc', new Map()) ?? '', /expected: a\.c/)
  assert.match(mismatch(['a'], 'a b', new Map()) ?? '', /expected: a/)
})

test('lets a placeholder stand for its kind only, and a label for one thing only', () => {
  const bound = new Map<string, string>()
  assert.equal(mismatch(['id  <agt:one>'], `id     ${agent}`, bound), undefined)
  assert.equal(mismatch(['<agt:one> <agt>'], `${agent} ${other}`, bound), undefined)
  assert.ok(mismatch(['<agt:one>'], other, bound))
  assert.ok(mismatch(['<agt>'], 'agt_short', bound))
  assert.ok(mismatch(['<time>'], 'yesterday', bound))
  assert.equal(mismatch(['<time>'], '2026-11-24 20:36:45Z (3 min ago)', bound), undefined)
  assert.equal(mismatch(['say <that>'], 'say <that>', bound), undefined)
})

test('puts what a label stood for into commands, and nothing into what belongs to the shell', () => {
  const bound = new Map([['<agt:one>', agent]])
  assert.equal(fill('writ agent show <agt:one> < in > out', bound), `writ agent show ${agent} < in > out`)
  assert.throws(() => fill('writ agent show <agt:two>', bound), /stands for nothing yet/)
})
