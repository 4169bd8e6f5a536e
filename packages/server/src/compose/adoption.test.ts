// Data of a program that sealed the issuer's keys with the root itself: they go on, under the tenant key.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import type { Ctx } from '../context.ts'
import { defaultTenant } from '../domain/tenant.ts'
import { aesGcmSealer, sealerOf } from '../keys/aes-gcm.ts'
import { openKeys } from '../keys/providers/local.ts'
import { ensureKeys } from '../keys/rotation.ts'
import { openStore } from '../store/sql/open.ts'
import { createKeyring } from '../vault/keyring.ts'
import { openSealer } from '../vault/sealers/index.ts'
import { adoptIssuerKeys } from './adoption.ts'

const now = 1_700_000_000
const ctx: Ctx = {
  tenant: defaultTenant,
  issuer: 'https://issuer.example',
  now,
  nowMs: now * 1000,
  requestId: 'start',
  traceId: undefined,
  peer: undefined,
  note: () => undefined,
}

test('keys that the root itself sealed stay the same keys, sealed by the tenant key from the first start on', async t => {
  const data = mkdtempSync(join(tmpdir(), 'writ-adoption-'))
  const store = await openStore({ kind: 'sqlite', file: ':memory:' }, { randomBytes })
  t.after(async () => {
    await store.close()
    rmSync(data, { recursive: true, force: true })
  })
  await store.tenants.ensure({ id: defaultTenant, issuer: ctx.issuer, createdAt: now })
  const root = await openSealer('file:', { data, hasSealed: false, randomBytes })
  const [, line = ''] = /^writ_seal_1_(\S+)\n$/.exec(readFileSync(join(data, 'seal.key'), 'utf8')) ?? []
  const direct = aesGcmSealer(new Secret<Uint8Array>(Buffer.from(line, 'base64url')))
  const before = openKeys({ store, sealer: () => direct, now: () => now })
  await ensureKeys(ctx, { store, keys: before })

  const keyring = createKeyring({ store, root, randomBytes })
  await keyring.ensure(ctx)
  const after = openKeys({ store, sealer: keyring.sealerOf, now: () => now })
  await assert.rejects(
    after.reload(ctx),
    error => isFault(error) && error.why?.kind === 'issuer_key_unopened',
  )
  await adoptIssuerKeys(ctx, { store, keyring, root })
  await ensureKeys(ctx, { store, keys: after })
  assert.deepEqual(after.published(ctx), before.published(ctx))
  assert.deepEqual(after.nonceMac(ctx, 'window'), before.nonceMac(ctx, 'window'))
  const rows = await store.issuerKeys.list(ctx)
  assert.equal(rows.length, 3)
  for (const { sealed } of rows) assert.equal(sealerOf(sealed), keyring.sealerOf(ctx).id)

  // Once is enough, and what the root does not open is left for the reading to refuse.
  const size = await store.log.size(ctx)
  await adoptIssuerKeys(ctx, { store, keyring, root })
  assert.equal(await store.log.size(ctx), size)
})
