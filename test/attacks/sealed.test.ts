// Whoever can write to the database but has not the sealing key: no key of theirs signs, and none changes places (C54, C57).
import assert from 'node:assert/strict'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import { type Composed, createServer } from '@writ/server'

const issuer = 'https://writ.example'

interface Row {
  tenant: string
  kid: string
  body: string
}

/** A folder with the data of an authority that has run, and three ways to start on it. */
async function place(t: TestContext) {
  const data = mkdtempSync(join(tmpdir(), 'writ-sealed-'))
  t.after(() => rmSync(data, { recursive: true, force: true }))
  const start = (): Promise<Composed> => createServer({ data, issuer, rateLimits: 'off' })
  const once = async (): Promise<string> => {
    const server = await start()
    const jwks = await (await server.fetch(new Request(`${issuer}/jwks`))).text()
    await server.close()
    return jwks
  }
  const jwks = await once()
  const change = (work: (db: DatabaseSync, rows: Row[]) => void): void => {
    const db = new DatabaseSync(join(data, 'writ.db'))
    work(db, db.prepare('select tenant, kid, body from issuer_keys').all() as unknown as Row[])
    db.close()
  }
  return { data, once, jwks, change }
}

const write = (db: DatabaseSync, kid: string, change: Record<string, unknown>): void => {
  const { body } = db.prepare('select body from issuer_keys where kid = ?').get(kid) as { body: string }
  db.prepare('update issuer_keys set body = ? where kid = ?').run(
    JSON.stringify({ ...JSON.parse(body), ...change }),
    kid,
  )
}

const ofPurpose = (rows: readonly Row[], purpose: string) => {
  const row = rows.find(({ body }) => JSON.parse(body).purpose === purpose)
  if (row === undefined) throw new Error(`no key for ${purpose}`)
  return { ...row, ...JSON.parse(row.body) }
}

test('keys that change places, purposes or halves in the database are not believed', async t => {
  const attacks: Record<string, (db: DatabaseSync, rows: Row[]) => void> = {
    'the seal of the checkpoint key in the row of the token key': (db, rows) =>
      write(db, ofPurpose(rows, 'token').kid, { sealed: ofPurpose(rows, 'checkpoint').sealed }),
    'the seal of the nonce key in the row of the token key': (db, rows) =>
      write(db, ofPurpose(rows, 'token').kid, { sealed: ofPurpose(rows, 'nonce').sealed }),
    'a checkpoint key as token key': (db, rows) =>
      write(db, ofPurpose(rows, 'checkpoint').kid, { purpose: 'token' }),
    'a key of their own, its public half in the row': (db, rows) =>
      write(db, ofPurpose(rows, 'token').kid, { jwk: generateKeyPair('ES256').verify.jwk }),
    'a key of their own as a row of its own': (db, rows) => {
      const { verify } = generateKeyPair('ES256')
      const row = ofPurpose(rows, 'token')
      const body = { ...JSON.parse(row.body), kid: verify.jkt, jwk: verify.jwk, state: 'staged' }
      db.prepare(
        'insert into issuer_keys (tenant, kid, ordinal, version, body) select tenant, ?, 999, 1, ? from issuer_keys limit 1',
      ).run(verify.jkt, JSON.stringify(body))
    },
    'a key of their own, sealed with nothing': (db, rows) =>
      write(db, ofPurpose(rows, 'token').kid, {
        sealed: 'v1.AAAA.AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA',
      }),
    'a private key in clear': (db, rows) =>
      write(db, ofPurpose(rows, 'token').kid, {
        sealed: JSON.stringify(generateKeyPair('ES256').secret.reveal()),
      }),
    'another algorithm': (db, rows) => write(db, ofPurpose(rows, 'token').kid, { alg: 'Ed25519' }),
    'one bit of the seal': (db, rows) => {
      const { kid, sealed } = ofPurpose(rows, 'token')
      const parts = String(sealed).split('.')
      const bytes = Buffer.from(parts[3] ?? '', 'base64url')
      bytes[5] = (bytes[5] ?? 0) ^ 1
      parts[3] = bytes.toString('base64url')
      write(db, kid, { sealed: parts.join('.') })
    },
    'the same seal in another spelling': (db, rows) => {
      const { kid, sealed } = ofPurpose(rows, 'token')
      write(db, kid, { sealed: `${sealed}=` })
    },
  }
  for (const [name, attack] of Object.entries(attacks)) {
    const { once, change } = await place(t)
    change(attack)
    await assert.rejects(once(), (error: Error) => /seal|open|altered|key/i.test(error.message), name)
  }
})

test('a row of another tenant is nobody’s key here', async t => {
  const { once, change, jwks } = await place(t)
  change((db, rows) => {
    const row = ofPurpose(rows, 'token')
    db.exec('pragma foreign_keys = off')
    db.prepare(
      "insert into tenants (id, issuer, created_at) values ('evil', 'https://evil.example', 0)",
    ).run()
    db.prepare(
      "insert into heads (tenant, size, epoch, ordinal, swept, runs) values ('evil', 0, 0, 9, 0, 0)",
    ).run()
    db.prepare(
      "insert into issuer_keys (tenant, kid, ordinal, version, body) values ('evil', ?, 1, 1, ?)",
    ).run(row.kid, row.body)
  })
  // It opens for its own tenant alone; the one that is served goes on as before.
  assert.equal(
    await once()
      .catch(() => 'refused')
      .then(said => said === jwks || said === 'refused'),
    true,
  )
})

test('a sealing key that is another, readable by others or elsewhere keeps the server from starting', async t => {
  const { data, once, jwks } = await place(t)
  const file = join(data, 'seal.key')
  const kept = `${file}.kept`
  copyFileSync(file, kept)
  const attacks: Record<string, () => void> = {
    another: () => writeFileSync(file, `writ_seal_1_${'A'.repeat(43)}\n`, { mode: 0o600 }),
    empty: () => writeFileSync(file, '', { mode: 0o600 }),
    short: () => writeFileSync(file, readFileSync(kept, 'utf8').slice(0, 30), { mode: 0o600 }),
    long: () => writeFileSync(file, `${readFileSync(kept, 'utf8')}x`, { mode: 0o600 }),
    'readable by others': () => {
      copyFileSync(kept, file)
      chmodSync(file, 0o644)
    },
    'a link': () => {
      renameSync(file, `${file}.elsewhere`)
      symlinkSync(`${file}.elsewhere`, file)
    },
  }
  for (const [name, attack] of Object.entries(attacks)) {
    attack()
    await assert.rejects(once(), (error: Error) => error.message.includes('seal.key'), name)
    rmSync(file, { force: true })
    copyFileSync(kept, file)
    chmodSync(file, 0o600)
  }
  assert.equal(await once(), jwks)
})

test('a sealing key that is missing leaves the server sealed, which opens nothing and makes no other', async t => {
  const { data, jwks } = await place(t)
  const file = join(data, 'seal.key')
  rmSync(file)
  const server = await createServer({ data, issuer, rateLimits: 'off' })
  assert.match(server.opening.sealedBecause() ?? '', /seal\.key .*is missing/)
  assert.equal(await (await server.fetch(new Request(`${issuer}/jwks`))).text(), jwks)
  const answer = await server.fetch(new Request(`${issuer}/token`, { method: 'POST' }))
  assert.equal(answer.status, 503)
  assert.equal((await answer.json()).error, 'temporarily_unavailable')
  await server.close()
  assert.equal(existsSync(file), false)
})
