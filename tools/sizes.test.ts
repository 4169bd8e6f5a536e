// Budgets against planted excess, and exceptions that have to shrink.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkSizes } from './sizes.ts'
import { plant } from './tree.ts'

const problemsOf = (files: Record<string, string>, allowed = {}): readonly string[] =>
  checkSizes(plant(files), allowed).problems

const lines = (count: number, line = 'void 0'): string => `${line}\n`.repeat(count)

test('a file of 401 lines is over budget, one of 400 is not', () => {
  assert.deepEqual(problemsOf({ 'a.ts': lines(400) }), [])
  assert.deepEqual(problemsOf({ 'a.ts': lines(401) }), ['a.ts lines: 401, budget 400'])
})

test('a function of 61 lines is over budget, one of 60 is not', () => {
  assert.deepEqual(problemsOf({ 'a.ts': `export function f() {\n${lines(58)}}` }), [])
  assert.deepEqual(problemsOf({ 'a.ts': `export function f() {\n${lines(59)}}` }), [
    'a.ts:1 function lines: 61, budget 60',
  ])
})

test('a suite counts only its own lines, its long test counts', () => {
  const inner = (count: number): string => `it('x', () => {\n${lines(count)}})\n`
  assert.deepEqual(problemsOf({ 'a.ts': `describe('x', () => {\n${inner(40)}${inner(40)}})` }), [])
  assert.deepEqual(problemsOf({ 'a.ts': `describe('x', () => {\n${inner(60)}})` }), [
    'a.ts:2 function lines: 62, budget 60',
  ])
})

test('a fifth parameter is over budget, in a function and in a port', () => {
  assert.deepEqual(problemsOf({ 'a.ts': 'export const f = (a, b, c, d) => a' }), [])
  assert.match(problemsOf({ 'a.ts': 'export const f = (a, b, c, d, e) => a' })[0] ?? '', /parameters: 5/)
  assert.match(
    problemsOf({ 'a.ts': 'interface A { f(a: 1, b: 1, c: 1, d: 1, e: 1): void }' })[0] ?? '',
    /parameters: 5/,
  )
})

test('a fifth picked dependency is over budget', () => {
  assert.deepEqual(problemsOf({ 'a.ts': `type D = Pick<Deps, 'a' | 'b' | 'c' | 'd'>` }), [])
  assert.match(
    problemsOf({ 'a.ts': `type D = Pick<Deps, 'a' | 'b' | 'c' | 'd' | 'e'>` })[0] ?? '',
    /dependencies: 5/,
  )
})

test('a folder of 26 entries is over budget; tests and records do not count', () => {
  const folder = (at: string, count: number, suffix = '.ts'): Record<string, string> =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`${at}/f${index}${suffix}`, '']))
  assert.deepEqual(problemsOf({ ...folder('x/y', 25), ...folder('x/y', 25, '.test.ts') }), [])
  assert.deepEqual(problemsOf(folder('x/y', 26)), ['x/y/ entries: 26, budget 25'])
  assert.deepEqual(problemsOf(folder('changes', 40, '.md')), [])
})

test('an exception holds at its size, and has to shrink with its subject', () => {
  assert.deepEqual(problemsOf({ 'a.ts': lines(410) }, { 'a.ts lines': 410 }), [])
  assert.equal(problemsOf({ 'a.ts': lines(411) }, { 'a.ts lines': 410 }).length, 2)
  assert.deepEqual(problemsOf({ 'a.ts': lines(405) }, { 'a.ts lines': 410 }), [
    'a.ts lines: is no longer 410; lower or remove its exception',
  ])
  assert.equal(problemsOf({ 'a.ts': lines(10) }, { 'a.ts lines': 410 }).length, 1)
})
