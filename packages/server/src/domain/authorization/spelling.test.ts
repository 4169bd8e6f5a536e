// One spelling of each name: whatever another reader could take for the same is refused (threat C44).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDetails } from '@writ/sdk/protocol/details/index'
import fc from 'fast-check'
import { actionProblem, commonActions, folded, targetOf } from './spelling.ts'

const api = 'https://api.example'
const isFine = (type: string, id: string): boolean => targetOf(type, id).misspelt === undefined

test('a name in its one spelling is what it says', () => {
  assert.deepEqual(targetOf('resource', api), { identifier: api, object: null, misspelt: undefined })
  assert.deepEqual(targetOf('http', `${api}#/invoices/7`).object, { type: 'http', id: '/invoices/7' })
  assert.deepEqual(
    targetOf('tool', `${api}#a#b`).object,
    { type: 'tool', id: 'a#b' },
    'the first mark counts',
  )
  assert.deepEqual(targetOf('record', 'record-1'), { identifier: null, object: null, misspelt: undefined })
  for (const path of [
    '/caf%C3%A9',
    '/%C3%89t%C3%A9',
    '/a%20b',
    '/%E2%82%AC',
    '/a@b',
    "/it's(1),2;v=1",
    '/%7Bx%7D',
    '/',
  ])
    assert.ok(isFine('http', `${api}#${path}`), path)
})

test('variants of a path or an identifier are refused, and not read as what they resemble', () => {
  const paths = [
    '/admin/../admin',
    '/./admin',
    '//admin',
    '/admin//x',
    '/%61dmin',
    '/a%2fb',
    '/a%2Fb',
    '/a%5Cb',
    '/a%252e',
    '/a%00',
    '/a\\b',
    '/a\tb',
    '/cafe\u0301',
    '/a?x=1',
    '/a#b',
    '/a%',
    'admin',
    '',
    '/a ',
    ...['/a%40b', '/a%2Cb', '/a b', '/{x}', '/caf\u00e9', '/a|b', '/a"b'],
    ...['/caf%e9', '/a%C0%AFb', '/a%FF', '/cafe%CC%81', '/%E2%80%AEadmin', '/a%C2%85', '/a%7F', '/a%0'],
    '/\u202eadmin',
  ]
  for (const path of paths) assert.equal(isFine('http', `${api}#${path}`), false, JSON.stringify(path))
  const identifiers = [
    'HTTPS://api.example',
    'https://API.example',
    `${api}/`,
    `${api}:443`,
    `${api}/x/../y`,
    `${api}/%7Euser`,
    `https://user@api.example`,
    ` ${api}`,
    `${api}\n`,
  ]
  for (const id of identifiers) assert.equal(isFine('resource', id), false, JSON.stringify(id))
  for (const type of ['Resource', 'TOOL', 'Http', 'ｔｏｏｌ', 'tool '])
    assert.equal(isFine(type, `${api}#x`), false, type)
  assert.equal(isFine('resource', `${api}#x`), false)
  assert.equal(isFine('tool', `${api}#`), false)
})

test('another case of an action is no other action, but one that is known by it', () => {
  for (const action of ['GET', 'Delete', 'ＧＥＴ', 'Select', 'CALL'])
    assert.ok(actionProblem(action, []), action)
  assert.equal(actionProblem('get', []), undefined)
  assert.ok(actionProblem('Invoices.Read', ['invoices.read']))
  assert.ok(actionProblem('invoices.read', ['Invoices.Read']))
  assert.equal(actionProblem('Invoices.Read', ['Invoices.Read']), undefined)
})

test('no action that policies and details can name is passed by another spelling of it', () => {
  for (const action of commonActions) {
    assert.equal(actionProblem(action, []), undefined, action)
    assert.ok(actionProblem(action.toUpperCase(), []), action)
  }
  // The verbs of the type `sql`, and the methods of the type `http`.
  const named = { database: 'd', schema: 's', tables: ['t'], verbs: [...commonActions] }
  const verbs = named.verbs.filter(
    verb => !('problem' in parseDetails([{ type: 'sql', ...named, verbs: [verb] }])),
  )
  assert.ok(verbs.includes('revoke') && verbs.length >= 11, verbs.join())
  const methods = commonActions.filter(
    method =>
      !(
        'problem' in
        parseDetails([{ type: 'http', host: 'h.example', methods: [method.toUpperCase()], path: '/' }])
      ),
  )
  assert.equal(methods.length, 9)
})

test('spellings that readers take for one have one form', () => {
  for (const text of ['Admin', 'ADMIN', 'ａdmin', 'admin']) assert.equal(folded(text), 'admin')
  assert.equal(folded('STRASSE'), folded('straße'))
  assert.equal(folded('ſelect'), 'select')
  fc.assert(
    fc.property(fc.string({ unit: 'binary-ascii' }), text => {
      assert.equal(folded(text), text.toLowerCase())
      assert.equal(folded(folded(text)), folded(text))
    }),
  )
})

test('whatever the text, what is taken is its own normal form, without what only some readers see', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), text => {
      const { object, misspelt } = targetOf('tool', `${api}#${text}`)
      if (misspelt !== undefined || object === null) return
      assert.equal(object.id, text.normalize('NFC'))
      assert.equal(object.id, text.trim())
      assert.doesNotMatch(object.id, /[\p{Cc}\\]/u)
    }),
  )
})
