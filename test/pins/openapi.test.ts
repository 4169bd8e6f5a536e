// The OpenAPI document and the client made from it say what the server says: a change of the surface is deliberate.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { renderOpenapi } from '../../tools/openapi.ts'

const root = join(import.meta.dirname, '../..')

test('docs/openapi.json and the types of the admin client are what a server publishes today', async () => {
  const rendered = Object.entries(await renderOpenapi())
  assert.equal(rendered.length, 3)
  for (const [file, text] of rendered) {
    assert.equal(
      readFileSync(join(root, file), 'utf8'),
      text,
      `${file} is stale: node --conditions=writ-source tools/openapi.ts`,
    )
  }
})
