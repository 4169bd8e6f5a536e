// The table of roots: which one a setting names, and what is said to a setting that names none.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import { openSealer, sealers } from './index.ts'

const data = mkdtempSync(join(tmpdir(), 'writ-sealers-'))
after(() => rmSync(data, { recursive: true }))
const around = { data, hasSealed: false, randomBytes }

test('every root has a scheme of its own, a form and a reason', () => {
  assert.equal(new Set(sealers.map(({ scheme }) => scheme)).size, sealers.length)
  for (const { scheme, form, because } of sealers) {
    assert.match(scheme, /^[a-z][a-z0-9-]+$/)
    assert.ok(form.length > 0 && because.length > 0)
  }
})

test('the default keeps a key file beside the data', async () => {
  const sealer = await openSealer('file:', around)
  assert.equal(sealer.kind, 'file')
  assert.ok(existsSync(join(data, 'seal.key')))
  await sealer.close()
})

test('a setting of no known scheme is refused with the schemes there are, and not repeated', async () => {
  for (const setting of [
    '',
    'file',
    ':',
    'vault:https://x',
    'FILE:',
    'https://user:password@host',
    'constructor:x',
  ]) {
    await assert.rejects(openSealer(setting, around), error => {
      assert.ok(isFault(error) && error.code === 'invalid_value')
      for (const { scheme } of sealers) assert.ok(error.message.includes(`${scheme}:`))
      assert.ok(!error.message.includes('password'))
      return true
    })
  }
})
