// The guide to rotators: its examples are options that they take.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { rotators } from './index.ts'

const page = readFileSync(join(import.meta.dirname, '../../../../../docs/guide/rotators.md'), 'utf8')

test('every example of the guide is taken by its rotator', () => {
  const examples = [...page.matchAll(/^```json\n([\s\S]*?)^```/gm)].map(([, text = '']) => JSON.parse(text))
  assert.ok(examples.length >= 3)
  for (const { kind, options } of examples) {
    const rotator = rotators.find(one => one.kind === kind)
    assert.ok(rotator, kind)
    const read = rotator.options.safeParse(options)
    assert.ok(read.success, `${kind}: ${read.error}`)
  }
})
