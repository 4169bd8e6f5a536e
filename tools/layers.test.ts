// The import table against planted imports: what it lets through and what it stops.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkLayers } from './layers.ts'
import { plant } from './tree.ts'

const server = 'packages/server/src'

/** Plants one file with one import; returns the reason it is refused, or undefined. */
const refusal = (file: string, statement: string): string | undefined => {
  const { count, problems } = checkLayers(plant({ [file]: `${statement}\n` }))
  assert.equal(count, 1)
  assert.ok(problems.length <= 1)
  return problems[0]?.split(': ')[1]
}

const forbidden: [file: string, statement: string, reason: RegExp][] = [
  [`${server}/domain/scope.ts`, `import { app } from '../http/app.ts'`, /domain may not import http/],
  [`${server}/domain/scope.ts`, `import type { Ctx } from '../context.ts'`, /domain may not import context/],
  [`${server}/domain/scope.ts`, `import { readFileSync } from 'node:fs'`, /imports nothing of others/],
  [`${server}/domain/scope.ts`, `import { z } from 'zod'`, /imports nothing of others/],
  [`${server}/domain/scope.ts`, `import { createHash } from 'node:crypto'`, /imports nothing of others/],
  [`${server}/domain/hash.ts`, `import { readFileSync } from 'node:fs'`, /imports nothing of others/],
  [
    `${server}/http/token.ts`,
    `import { agents } from '../store/sql/agents.ts'`,
    /http may not import store\/sql/,
  ],
  [`${server}/http/token.ts`, `import { narrow } from '../domain/scope.ts'`, /http may not import domain/],
  [`${server}/http/token.ts`, `export * from '../store/sql/agents.ts'`, /may not import/],
  [`${server}/http/token.ts`, `const x = await import('../work/loops.ts')`, /may not import/],
  [`${server}/http/token.ts`, `type X = import('../work/loops.ts').Loop`, /may not import/],
  [`${server}/index.ts`, `import { agents } from './store/sql/agents.ts'`, /index may not import store\/sql/],
  [`${server}/protocol/token/issue.ts`, `import { sql } from 'kysely'`, /only .*store\/sql\/ may import it/],
  [`${server}/audit/append.ts`, `import { DatabaseSync } from 'node:sqlite'`, /may import it/],
  [`${server}/audit/append.ts`, `import { Agent } from '@writ/sdk/agent'`, /audit may not import sdk\/agent/],
  [`${server}/audit/append.ts`, `import { x } from './append.test.ts'`, /a test is not imported/],
  [
    `${server}/gateway/proxy.ts`,
    `import type { Store } from '../store/store.ts'`,
    /gateway may not import store/,
  ],
  ['packages/sdk/src/agent/agent.ts', `import { createServer } from '@writ/server'`, /may not import server/],
  [
    'packages/sdk/src/agent/agent.test.ts',
    `import { createServer } from '@writ/server'`,
    /may not import server/,
  ],
  [
    'packages/sdk/src/agent/agent.ts',
    `import { x } from '../../../server/src/context.ts'`,
    /leaves its package/,
  ],
  ['packages/sdk/src/protocol/jwk.ts', `import { x } from '../agent/agent.ts'`, /may not import sdk\/agent/],
  [
    'test/fault/writes.test.ts',
    `import { x } from '../../packages/server/src/store/store.ts'`,
    /past its exports/,
  ],
  ['test/fault/writes.test.ts', `import { x } from '@writ/server/src/store'`, /leads to no layer|may not/],
  ['tools/docs.ts', `import { x } from '../packages/server/src/compose.ts'`, /past its exports/],
  ['examples/demo/main.ts', `import { x } from '../../tools/tree.ts'`, /examples may not import tools/],
]

for (const [file, statement, reason] of forbidden) {
  test(`${file} may not say: ${statement}`, () => {
    assert.match(refusal(file, statement) ?? 'nothing', reason)
  })
}

const allowed: [file: string, statement: string][] = [
  [`${server}/domain/scope.ts`, `import { Fault } from '@writ/sdk/protocol/fault'`],
  [`${server}/domain/scope.test.ts`, `import fc from 'fast-check'`],
  [`${server}/domain/hash.ts`, `import { createHash } from 'node:crypto'`],
  [`${server}/http/token.ts`, `import type { Scope } from '../domain/scope.ts'`],
  [`${server}/protocol/token/issue.ts`, `import type { Store } from '../../store/store.ts'`],
  [`${server}/store/sql/agents.ts`, `import { sql } from 'kysely'`],
  [`${server}/compose.ts`, `import { openSqlite } from './store/sql/open.ts'`],
  [`${server}/store/contract/agents.test.ts`, `import { openSqlite } from '../sql/open.ts'`],
  [
    `${server}/protocol/binding/dpop.test.ts`,
    `import { verifies } from '../../../../../test/rfc/verifies.ts'`,
  ],
  ['test/rfc/rfc9449.test.ts', `import { createServer } from '@writ/server'`],
  ['test/fault/writes.test.ts', `import { storeContract } from '@writ/server/testing'`],
  ['tools/docs.ts', `import { configRows } from '../packages/server/src/config.ts'`],
  ['examples/demo/main.ts', `import { Agent } from '@writ/sdk/agent'`],
]

for (const [file, statement] of allowed) {
  test(`${file} may say: ${statement}`, () => {
    assert.equal(refusal(file, statement), undefined)
  })
}

test('a source that lies in no layer is a problem even if it imports nothing', () => {
  const { problems } = checkLayers(plant({ [`${server}/stray.ts`]: '// Astray.\n' }))
  assert.deepEqual(problems, [`${server}/stray.ts belongs to no layer`])
})

test('a tree without imports counts nothing, so that the check fails', () => {
  assert.equal(checkLayers(plant({ 'README.md': 'import' })).count, 0)
})
