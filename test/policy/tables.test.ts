// Decision tables: every *.yaml beside this file is policies, and cases with the answer and the policies that decided.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { checkPolicies } from '@writ/server/testing'
import { parse } from 'yaml'
import { answerOf, type Case } from './scene.ts'

interface Row extends Case {
  readonly case: string
  readonly expect: 'allow' | 'deny'
  readonly by?: readonly string[]
  readonly failed?: readonly string[]
}

interface Table {
  readonly policies: string
  readonly actions?: readonly string[]
  readonly cases: readonly Row[]
}

const files = readdirSync(import.meta.dirname).filter(name => name.endsWith('.yaml'))

test('there are tables', () => assert.ok(files.length > 0))

for (const file of files) {
  const { policies, actions, cases } = parse(readFileSync(join(import.meta.dirname, file), 'utf8')) as Table
  describe(file.replace('.yaml', '').replaceAll('-', ' '), () => {
    test('its policies are valid', () => assert.deepEqual(checkPolicies(policies, actions ?? []), []))
    for (const { case: name, expect, by, failed, ...given } of cases) {
      test(name, () => {
        const { allowed, reasons, errors } = answerOf(policies, given)
        assert.equal(allowed ? 'allow' : 'deny', expect, [...reasons, ...errors].join())
        if (by !== undefined) assert.deepEqual(reasons, [...by].sort())
        assert.deepEqual(errors, failed ?? [])
      })
    }
  })
}
