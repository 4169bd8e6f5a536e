// Names against those who make one look like another: UTS 39, invisible letters, two spellings of one text.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { loginKey } from './client.ts'
import { checkLogin, checkName, checkProse } from './name.ts'

const verdicts = (check: typeof checkName, texts: readonly string[]) => texts.map(text => check(text, 128))

test('takes the names people give in their own scripts', () => {
  for (const text of [
    'Billing agent',
    'agent-7 (EU)',
    'Größe',
    'Агент',
    'エージェント',
    'AI アシスタント',
    '개인 agent',
    'סוכן',
    'एजेंट',
    'وكيل',
  ]) {
    assert.equal(checkName(text.normalize('NFKC'), 128), undefined, text)
  }
})

test('refuses what mixes scripts whose letters look alike', () => {
  // Cyrillic а in paypal, Greek ο in operator, Cyrillic і in billing, Latin a in Cyrillic агент.
  assert.deepEqual(
    verdicts(checkName, ['pаypal', 'οperator', 'bіlling', 'aгент']),
    Array(4).fill('mixed_scripts'),
  )
})

test('refuses what cannot be seen or turns the text around', () => {
  for (const text of [
    'a\u200bb',
    'a\u2060b',
    '\u202eevil',
    'a\u00adb',
    'a\u{e0041}b',
    'a\u3164b',
    'a\ufe0fb',
  ]) {
    assert.ok(['invisible', 'not_normal'].includes(checkName(text, 128) ?? ''), JSON.stringify(text))
    assert.equal(checkProse(text, 128), 'invisible', JSON.stringify(text))
  }
})

test('refuses controls, lone surrogates, private and unassigned characters, and lines', () => {
  for (const text of ['a\u0000', 'a\nb', 'a\u0085b', 'a\u2028b', 'a\ud800', 'a\ue000', 'a\u0378']) {
    assert.equal(checkProse(text, 128), 'control', JSON.stringify(text))
  }
})

test('refuses compatibility spellings and spaces that look like others', () => {
  assert.deepEqual(
    verdicts(checkName, ['ｏperator', 'ﬁnance', '𝐨perator', 'e\u0301t']),
    Array(4).fill('not_normal'),
  )
  assert.deepEqual(verdicts(checkName, [' a', 'a ', 'a  b', 'a\u1680b']), Array(4).fill('space'))
  assert.deepEqual(verdicts(checkName, ['', ' ', 'a'.repeat(129)]), Array(3).fill('length'))
})

test('refuses logins that read like an identifier of ours, or have spaces', () => {
  assert.deepEqual(verdicts(checkLogin, ['usr_ada', 'AGT_x', 'cli_0']), Array(3).fill('looks_like_an_id'))
  assert.equal(checkLogin('ada lovelace', 128), 'space')
  assert.deepEqual(
    verdicts(checkLogin, ['ada', 'ada@example.com', 'O’Brien', 'ada.l']),
    Array(4).fill(undefined),
  )
})

test('a login and its spelling in lower case have one key, so the second of them collides (property 20)', () => {
  const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 16 })
  fc.assert(
    fc.property(text, login => {
      fc.pre(checkLogin(login, 128) === undefined)
      assert.equal(loginKey(login), loginKey(login.toLowerCase()))
      assert.equal(loginKey(loginKey(login)), loginKey(login))
    }),
    { numRuns: 1000 },
  )
})

test('no character is its own key in one case and another key in the other', () => {
  const strange: string[] = []
  for (let point = 0; point <= 0x10ffff; point++) {
    if (point >= 0xd800 && point <= 0xdfff) continue
    const login = String.fromCodePoint(point)
    if (checkLogin(login, 128) !== undefined) continue
    const keys = [login, login.toLowerCase(), login.toUpperCase(), loginKey(login)].map(loginKey)
    if (new Set(keys).size > 1) strange.push(login)
  }
  assert.deepEqual(strange, [])
})

test('judges any text in bounded time, and the same way whenever it is asked (property 23)', () => {
  const any = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 2048 }),
    fc.string({ unit: 'grapheme', maxLength: 512 }),
  )
  fc.assert(
    fc.property(any, text => {
      assert.equal(checkName(text, 512), checkName(text, 512))
      if (checkName(text, 512) === undefined) assert.equal(checkProse(text, 512), undefined)
    }),
    { numRuns: 1000 },
  )
})
