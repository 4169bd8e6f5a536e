// Property 44: whoever may write to the database, but has not the log's key, changes no history unseen.
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { verifyExport } from '@writ/sdk/protocol/audit-verification'
import { leafHash } from '@writ/sdk/protocol/proof'
import { createServer } from '@writ/server'
import fc from 'fast-check'
import { Party } from '../harness/party.ts'
import { linesOf } from './auditor.ts'
import { issuer } from './world.ts'

const numRuns = Number(process.env['WRIT_FAULT_TRIALS']) || 100

/** Enough for a full tile and some more. */
const entries = 300

interface Site {
  readonly operator: Party
  close(): Promise<void>
}

/** A server on the folder, as whoever has been tampering starts it again. */
async function open(data: string): Promise<Site> {
  const server = await createServer({ data, issuer, rateLimits: 'off', checkpointSeconds: 60 })
  const { client_id, jwk } = JSON.parse(readFileSync(join(data, 'operator.json'), 'utf8'))
  const fetch = (path: string, init?: RequestInit): Promise<Response> =>
    server.fetch(new Request(path.startsWith('http') ? path : `${issuer}${path}`, init))
  const operator = new Party({ issuer, clientId: client_id, jwk, fetch, nowMs: Date.now })
  return { operator, close: () => server.close() }
}

/** The export, as its lines; undefined where the server refuses to make one. */
async function exported({ operator }: Site): Promise<readonly string[] | undefined> {
  const token = await operator.token(`${issuer}/api/v1`, 'writ:events:read')
  const answer = await operator.call('GET', `${issuer}/api/v1/audit/export`, { token })
  if (answer.status === 500) return undefined
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  return String(answer.body).split('\n').filter(Boolean)
}

interface Honest {
  readonly data: string
  readonly verifierKey: string
  /** The checkpoint that somebody kept. */
  readonly earlier: string
  readonly size: number
}

async function honest(t: TestContext): Promise<Honest> {
  const data = mkdtempSync(join(tmpdir(), 'writ-tampering-'))
  t.after(() => rmSync(data, { recursive: true, force: true }))
  const site = await open(data)
  for (let at = 0; at < entries; at += 50)
    await Promise.all(Array.from({ length: 50 }, () => site.operator.token(`${issuer}/api/v1`)))
  const lines = await exported(site)
  assert.ok(lines)
  const { checkpoint, verifier_key } = JSON.parse(lines[0] ?? '{}')
  await site.close()
  return { data, verifierKey: verifier_key, earlier: checkpoint, size: Number(checkpoint.split('\n')[1]) }
}

interface Leaf {
  readonly row: Readonly<Record<string, unknown>>
  readonly text: string
}

/** One edit of the history: places are counted round. */
type Edit =
  | { readonly do: 'change'; readonly at: number; readonly byte: number }
  | { readonly do: 'drop' | 'repeat'; readonly at: number }
  | { readonly do: 'swap'; readonly at: number; readonly with: number }
  | { readonly do: 'cut'; readonly at: number }

function edited(leaves: readonly Leaf[], edit: Edit): readonly Leaf[] {
  // After a cut at the beginning there is nothing left to edit.
  if (leaves.length === 0) return leaves
  const at = edit.at % leaves.length
  const one = leaves[at] as Leaf
  switch (edit.do) {
    case 'change': {
      // Inside the value of a member, so that it stays JSON: who did it, or what was done.
      const from = one.text.indexOf('"outcome":"') + 11
      const where = from + (edit.byte % 6)
      const text = `${one.text.slice(0, where)}${one.text[where] === 'x' ? 'y' : 'x'}${one.text.slice(where + 1)}`
      return leaves.with(at, { ...one, text })
    }
    case 'drop':
      return leaves.toSpliced(at, 1)
    case 'repeat':
      return leaves.toSpliced(at, 0, one)
    case 'swap': {
      const other = edit.with % leaves.length
      return leaves.with(at, leaves[other] as Leaf).with(other, one)
    }
    case 'cut':
      return leaves.slice(0, at)
  }
}

interface Cover {
  /** Makes hashes and tiles agree with what stands there now. */
  readonly rehash: boolean
  /** Makes every entry say the index at which it stands now. */
  readonly renumber: boolean
  /** Lets the server believe that it never published anything. */
  readonly forget: boolean
}

/** Edits the stored log as far as the kept checkpoint covers it. Answers whether anything is other than it was. */
function tamper(data: string, size: number, edits: readonly Edit[], cover: Cover): boolean {
  const db = new DatabaseSync(join(data, 'writ.db'))
  try {
    const rows = db.prepare('select * from entries order by "index"').all() as Leaf['row'][]
    const before = rows.map((row): Leaf => ({ row, text: String(row['text']) }))
    const covered = edits.reduce<readonly Leaf[]>(
      (leaves, edit) => edited(leaves, edit),
      before.slice(0, size),
    )
    const after = [...covered, ...before.slice(size)].map(({ row, text }, index): Leaf => {
      const told = cover.renumber ? text.replace(/"index":\d+/, `"index":${index}`) : text
      return { row, text: told }
    })
    if (after.every(({ text }, at) => at >= size || text === before[at]?.text) && after.length >= size)
      return false
    write(db, after, cover)
    return true
  } finally {
    db.close()
  }
}

function write(db: DatabaseSync, leaves: readonly Leaf[], { rehash, forget }: Cover): void {
  const names = Object.keys(leaves[0]?.row ?? {})
  const columns = names.map(name => `"${name}"`).join(', ')
  db.exec('begin; delete from entries')
  const insert = db.prepare(`insert into entries (${columns}) values (${names.map(() => '?').join(', ')})`)
  for (const [index, { row, text }] of leaves.entries()) {
    const id = String(row['id']) + (row['index'] === index ? '' : `x${index}`)
    const hash = rehash ? leafHash(text) : row['hash']
    const next: Record<string, unknown> = { ...row, index, text, hash, id }
    insert.run(...names.map(name => next[name] as string | number | Uint8Array | null))
  }
  db.prepare('update heads set size = ?').run(leaves.length)
  if (rehash) {
    const hashes = leaves.map(({ text }) => leafHash(text))
    db.prepare('delete from tiles').run()
    for (let index = 0; (index + 1) * 256 <= hashes.length; index++) {
      const tile = Buffer.concat(hashes.slice(index * 256, (index + 1) * 256))
      const tenant = leaves[0]?.row['tenant'] as string
      db.prepare('insert into tiles values (?, 0, ?, ?)').run(tenant, index, tile)
    }
  }
  if (forget) db.prepare('delete from checkpoints').run()
  db.exec('commit')
}

const place = fc.nat({ max: entries })
const anEdit: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({ do: fc.constant('change' as const), at: place, byte: place }),
  fc.record({ do: fc.constantFrom('drop' as const, 'repeat' as const), at: place }),
  fc.record({ do: fc.constant('swap' as const), at: place, with: place }),
  fc.record({ do: fc.constant('cut' as const), at: place }),
)
const cover = fc.record({ rehash: fc.boolean(), renumber: fc.boolean(), forget: fc.boolean() })

test(`of ${numRuns} histories that were edited in the database none passes as the one that was published`, async t => {
  const { data, verifierKey, earlier, size } = await honest(t)
  let refused = 0
  const property = fc.asyncProperty(
    fc.array(anEdit, { minLength: 1, maxLength: 3 }),
    cover,
    async (edits, how) => {
      const copy = mkdtempSync(join(tmpdir(), 'writ-tampered-'))
      try {
        cpSync(data, copy, { recursive: true })
        fc.pre(tamper(copy, size, edits, how))
        const site = await open(copy)
        const lines = await exported(site).finally(() => site.close())
        if (lines === undefined) {
          refused += 1
          return
        }
        const report = await verifyExport(linesOf(lines), { verifierKey, earlier })
        assert.equal(report.ok, false, 'it verified')
        assert.notEqual(report.problems.length, 0)
      } finally {
        rmSync(copy, { recursive: true, force: true })
      }
    },
  )
  await fc.assert(property, { numRuns })
  t.diagnostic(`the server itself refused ${refused} of them; the others failed verification`)

  const site = await open(data)
  const lines = await exported(site)
  await site.close()
  const report = await verifyExport(linesOf(lines ?? []), { verifierKey, earlier })
  assert.deepEqual(report.problems, [], 'the honest history verifies')
})
