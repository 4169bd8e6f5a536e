// The OpenAPI document and the client made from it say what the server says: a change of the surface is deliberate.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { renderOpenapi } from '../../tools/openapi.ts'

const root = join(import.meta.dirname, '../..')

test('docs/openapi.json and the types of the admin client are what a server publishes today', async () => {
  const rendered = Object.entries(await renderOpenapi())
  // Those that stand in the tree are those that are made today, no more and no fewer.
  const folder = 'packages/sdk/src/admin/operations'
  const standing = readdirSync(join(root, folder)).map(name => `${folder}/${name}`)
  assert.ok(standing.length >= 10)
  assert.deepEqual(
    rendered.map(([file]) => file).toSorted(),
    ['docs/openapi.json', `${folder}.ts`, ...standing].toSorted(),
  )
  for (const [file, text] of rendered) {
    assert.equal(
      readFileSync(join(root, file), 'utf8'),
      text,
      `${file} is stale: node --conditions=writ-source tools/openapi.ts`,
    )
  }
})
