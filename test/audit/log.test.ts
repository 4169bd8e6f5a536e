// The audit log as others see it: over HTTP, with verifiers that share nothing with the server that wrote it.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { verifyExport } from '@writ/sdk/protocol/audit-verification'
import { type Checkpoint, verifyCheckpoint } from '@writ/sdk/protocol/checkpoint'
import { parseVerifierKey } from '@writ/sdk/protocol/note'
import { leafHash, verifyConsistency, verifyInclusion } from '@writ/sdk/protocol/proof'
import { type Authority, authority } from '../harness/authority.ts'

const hash = (...parts: Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest()

/** RFC 6962 §2.1, word for word. */
function treeHash(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 1) return leaves[0] as Uint8Array
  const left = splitOf(leaves.length)
  return hash(Uint8Array.of(1), treeHash(leaves.slice(0, left)), treeHash(leaves.slice(left)))
}

/** RFC 6962 §2.1.1. */
function path(at: number, leaves: readonly Uint8Array[]): Uint8Array[] {
  if (leaves.length === 1) return []
  const left = splitOf(leaves.length)
  return at < left
    ? [...path(at, leaves.slice(0, left)), treeHash(leaves.slice(left))]
    : [...path(at - left, leaves.slice(left)), treeHash(leaves.slice(0, left))]
}

/** RFC 6962 §2.1.2. */
function consistency(size: number, leaves: readonly Uint8Array[], isWhole = true): Uint8Array[] {
  if (size === leaves.length) return isWhole ? [] : [treeHash(leaves)]
  const left = splitOf(leaves.length)
  return size <= left
    ? [...consistency(size, leaves.slice(0, left), isWhole), treeHash(leaves.slice(left))]
    : [...consistency(size - left, leaves.slice(left), false), treeHash(leaves.slice(0, left))]
}

const splitOf = (count: number): number => 2 ** Math.floor(Math.log2(count - 1))

const place = (index: number, width: number): string =>
  `${String(index).padStart(3, '0')}${width === 256 ? '' : `.p/${width}`}`

async function commitEntries({ server, nowMs }: Authority, count: number): Promise<void> {
  const [tenant] = await server.store.tenants.list()
  assert.ok(tenant)
  const ctx = { tenant: tenant.id, now: Math.floor(nowMs() / 1000), nowMs: nowMs() }
  const one = (at: number) =>
    server.store.commit(ctx, { entries: [{ type: 'test.done', outcome: 'allowed', requestId: `r${at}` }] })
  const committed = await Promise.all(Array.from({ length: count }, (_, at) => one(at)))
  assert.ok(committed.every(({ kind }) => kind === 'done'))
}

interface Discovered {
  readonly checkpoint: string
  readonly tile: string
  readonly entries: string
  readonly public_key: string
}

async function discover({ fetch }: Authority): Promise<Discovered> {
  return ((await (await fetch('/.well-known/writ-configuration')).json()) as { audit: Discovered }).audit
}

/** The newest checkpoint, once it covers so many entries. */
async function checkpointOf(site: Authority, audit: Discovered, atLeast: number): Promise<Checkpoint> {
  const deadline = Date.now() + 20_000
  for (;;) {
    const answer = await site.fetch(audit.checkpoint)
    if (answer.status === 200) {
      assert.equal(answer.headers.get('content-type'), 'text/plain; charset=utf-8')
      const origin =
        new URL(audit.checkpoint).host + new URL(audit.checkpoint).pathname.replace('/checkpoint', '')
      const checkpoint = verifyCheckpoint(await answer.text(), origin, [parseVerifierKey(audit.public_key)])
      if (checkpoint.size >= atLeast) return checkpoint
    }
    assert.ok(Date.now() < deadline, `no checkpoint of ${atLeast} entries in time`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

async function leavesOf({ fetch }: Authority, audit: Discovered, size: number): Promise<Uint8Array[]> {
  const leaves: Uint8Array[] = []
  for (let index = 0; index * 256 < size; index++) {
    const width = Math.min(256, size - index * 256)
    const answer = await fetch(`${audit.tile}/0/${place(index, width)}`)
    assert.equal(answer.status, 200)
    assert.equal(answer.headers.get('access-control-allow-origin'), '*')
    const caching = answer.headers.get('cache-control') ?? ''
    assert.ok(width < 256 || (caching.includes('immutable') && caching.includes('max-age=31536000')), caching)
    const hashes = new Uint8Array(await answer.arrayBuffer())
    assert.equal(hashes.length, width * 32)
    for (let at = 0; at < width; at++) leaves.push(hashes.subarray(at * 32, at * 32 + 32))
  }
  return leaves
}

/** A read of what takes `writ:events:read`, as the operator. */
async function read({ operator, fetch, issuer }: Authority, url: string): Promise<Response> {
  const token = await operator.token(`${issuer}/api/v1`, 'writ:events:read')
  const uri = url.split('?', 1)[0] as string
  const dpop = operator.proof(uri, { method: 'GET', accessToken: token })
  return fetch(url, { headers: { authorization: `DPoP ${token}`, dpop } })
}

test('a thousand entries are included in a published checkpoint, which continues the one before', async t => {
  const site = await authority(t, { checkpointSeconds: 1 })
  const audit = await discover(site)
  assert.equal(await (await site.fetch('/audit/key')).text(), `${audit.public_key}\n`)
  await commitEntries(site, 300)
  const older = await checkpointOf(site, audit, 300)
  await commitEntries(site, 700)
  const newer = await checkpointOf(site, audit, 1000)
  const leaves = await leavesOf(site, audit, newer.size)
  assert.deepEqual(Buffer.from(treeHash(leaves)), Buffer.from(newer.root))
  const proof = consistency(older.size, leaves)
  const grown = { oldSize: older.size, oldRoot: older.root, newSize: newer.size, newRoot: newer.root, proof }
  assert.ok(verifyConsistency(grown))

  const texts: string[] = []
  for (let from = 0; from < newer.size; from += 1000) {
    const answer = await read(site, `${audit.entries}?from=${from}&to=${Math.min(newer.size, from + 1000)}`)
    texts.push(...(await answer.text()).trimEnd().split('\n'))
  }
  assert.equal(texts.length, newer.size)
  for (const [index, text] of texts.entries()) {
    assert.equal(JSON.parse(text).index, index)
    const leaf = leafHash(text)
    assert.deepEqual(leaf, Buffer.from(leaves[index] as Uint8Array))
    if (index % 37 !== 0) continue
    assert.ok(
      verifyInclusion({ leaf, index, size: newer.size, root: newer.root, proof: path(index, leaves) }),
      `entry ${index}`,
    )
  }

  // The hash that a full tile contributes to the level above it.
  const above = new Uint8Array(await (await site.fetch(`${audit.tile}/1/${place(0, 3)}`)).arrayBuffer())
  assert.deepEqual(Buffer.from(above.subarray(0, 32)), Buffer.from(treeHash(leaves.slice(0, 256))))
})

test('bundles hold the very texts whose hashes are in the tiles, at all of their addresses', async t => {
  const site = await authority(t, { checkpointSeconds: 1 })
  const audit = await discover(site)
  await commitEntries(site, 260)
  const { size } = await checkpointOf(site, audit, 260)
  const leaves = await leavesOf(site, audit, size)
  const managed = `${site.issuer}/api/v1/audit`
  for (const prefix of [
    `${audit.tile}/entries`,
    audit.entries,
    `${managed}/entries`,
    `${managed}/tile/entries`,
  ]) {
    const answer = await read(site, `${prefix}/${place(1, 4)}`)
    assert.equal(answer.status, 200)
    const bundle = Buffer.from(await answer.arrayBuffer())
    let at = 0
    for (let index = 256; index < 260; index++) {
      const length = bundle.readUInt16BE(at)
      assert.deepEqual(
        leafHash(bundle.subarray(at + 2, at + 2 + length)),
        Buffer.from(leaves[index] as Uint8Array),
      )
      at += 2 + length
    }
    assert.equal(at, bundle.length)
  }
})

test('what no checkpoint covers is not served, nor a path that is spelt in another way', async t => {
  const site = await authority(t, { checkpointSeconds: 1 })
  const audit = await discover(site)
  const { size } = await checkpointOf(site, audit, 6)
  for (const wrong of [
    `0/${place(0, size + 1)}`,
    '0/000',
    '0/0',
    '0/000.p/0',
    '0/000.p/01',
    '7/000',
    '-1/000',
    '0/x000/000',
    '1/000.p/1',
  ]) {
    const answer = await site.fetch(`${audit.tile}/${wrong}`)
    assert.equal(answer.status, 404, wrong)
    assert.equal(((await answer.json()) as { code: string }).code, 'not_found')
  }
})

test('entries are for holders of writ:events:read only, and each reading is an entry itself', async t => {
  const site = await authority(t, { checkpointSeconds: 1 })
  const audit = await discover(site)
  await checkpointOf(site, audit, 6)
  const guarded = [
    `${audit.entries}?from=0&to=2`,
    `${audit.tile}/entries/000.p/2`,
    `${site.issuer}/audit/export`,
    `${site.issuer}/api/v1/audit/entries`,
    `${site.issuer}/api/v1/audit/export`,
  ]
  for (const url of guarded) {
    const anonymous = await site.fetch(url)
    assert.equal(anonymous.status, 401, url)
    assert.match(anonymous.headers.get('www-authenticate') ?? '', /^DPoP /)
    const without = await site.operator.call('GET', url, {
      token: await site.operator.token(`${site.issuer}/api/v1`, 'writ:agents:read'),
    })
    assert.equal(without.status, 403, url)
    assert.equal(without.body.code, 'insufficient_scope')
    assert.match(without.headers.get('www-authenticate') ?? '', /scope="writ:events:read"/)
    const refusal = await site.operator.manage(
      'GET',
      `/events?request_id=${without.headers.get('x-request-id')}`,
    )
    assert.deepEqual(
      refusal.body.items.map((entry: { type: string; outcome: string }) => `${entry.type} ${entry.outcome}`),
      [url.includes('export') ? 'audit.exported refused' : 'audit.read refused'],
    )
    const allowed = await read(site, url)
    assert.equal(allowed.status, 200, url)
    await allowed.arrayBuffer()
    const recorded = await site.operator.manage(
      'GET',
      `/events?request_id=${allowed.headers.get('x-request-id')}`,
    )
    const [entry] = recorded.body.items
    assert.equal(entry.outcome, 'allowed')
    assert.equal(entry.agent, site.operator.clientId)
    assert.equal(entry.action, url)
  }
})

test('a proof that was used for one reading is refused for the next, and the log says that somebody tried', async t => {
  const site = await authority(t)
  for (const [path, scope, type] of [
    ['/audit/entries', 'writ:events:read', 'audit.read'],
    ['/api/v1/audit/export', 'writ:events:read', 'audit.exported'],
    ['/api/v1/rotations/events', 'writ:rotations:read', 'management.read'],
  ] as const) {
    const url = site.issuer + path
    const token = await site.operator.token(`${site.issuer}/api/v1`, scope)
    const headers = {
      authorization: `DPoP ${token}`,
      dpop: site.operator.proof(url, { method: 'GET', accessToken: token }),
    }
    const first = await site.fetch(url, { headers })
    assert.equal(first.status, 200, path)
    await first.body?.cancel()
    const again = await site.fetch(url, { headers })
    assert.equal(again.status, 401, path)
    assert.equal(((await again.json()) as { code: string }).code, 'invalid_dpop_proof')
    const refusal = await site.operator.manage(
      'GET',
      `/events?request_id=${again.headers.get('x-request-id')}`,
    )
    assert.deepEqual(
      refusal.body.items.map((entry: Refused) => [
        entry.type,
        entry.outcome,
        entry.agent,
        entry.decision.rule,
      ]),
      [[type, 'refused', site.operator.clientId, 'proof_replayed']],
      path,
    )
  }
})

interface Refused {
  readonly type: string
  readonly outcome: string
  readonly agent: string
  readonly decision: { readonly rule: string }
}

test('wrong questions are refused by name, and never answered with something else', async t => {
  const site = await authority(t)
  const wrong: readonly (readonly [string, number])[] = [
    ['/audit/entries?from=-1', 422],
    ['/audit/entries?from=1e3', 422],
    ['/audit/entries?from=0&to=5000', 200],
    ['/audit/entries?from=0&from=1', 400],
    ['/audit/entries?offset=1', 400],
    ['/audit/entries?from=999999', 200],
    ['/audit/export?since=yesterday', 422],
    ['/audit/export?since=2026-13-01T00:00:00Z', 422],
    ['/audit/export?since=2026-11-23', 422],
    ['/audit/export?from=2026-11-23T10:00:00Z', 400],
  ]
  for (const [path, status] of wrong) {
    const answer = await read(site, `${site.issuer}${path}`)
    assert.equal(answer.status, status, path)
    await answer.arrayBuffer()
  }
})

async function* linesOf(text: string): AsyncGenerator<string> {
  for (const line of text.trimEnd().split('\n')) yield line
}

test('an export verifies offline with the key from discovery, and any changed byte is found where it is', async t => {
  const site = await authority(t, { checkpointSeconds: 1 })
  const audit = await discover(site)
  await commitEntries(site, 600)
  const answer = await read(site, `${site.issuer}/audit/export`)
  assert.equal(answer.status, 200)
  const text = await answer.text()
  const trust = { verifierKey: audit.public_key }
  const report = await verifyExport(linesOf(text), trust)
  assert.deepEqual([report.ok, report.keyTrusted, report.problems], [true, true, []])
  assert.ok(report.entries >= 600)
  assert.deepEqual(report.range?.fromIndex, 0)

  const lines = text.trimEnd().split('\n')
  for (const index of [0, 1, 255, 256, 599]) {
    const line = lines[index + 1] as string
    for (const at of [20, Math.floor(line.length / 3), line.length - 5]) {
      const flipped = Buffer.from(line)
      flipped[at] = (flipped[at] as number) ^ 1
      const changed = lines.with(index + 1, flipped.toString('latin1')).join('\n')
      const { ok, problems } = await verifyExport(linesOf(`${changed}\n`), trust)
      assert.equal(ok, false)
      assert.equal(problems[0]?.index, index, `byte ${at} of entry ${index}: ${JSON.stringify(problems)}`)
    }
  }
})

test('an export of a time holds every entry of that time, and says what was asked for', async t => {
  const site = await authority(t, { checkpointSeconds: 1 })
  const audit = await discover(site)
  await commitEntries(site, 20)
  site.advance(3600)
  const since = new Date(site.nowMs()).toISOString()
  await commitEntries(site, 300)
  site.advance(60)
  const until = new Date(site.nowMs()).toISOString()
  site.advance(60)
  await commitEntries(site, 20)
  const query = new URLSearchParams({ since, until })
  const text = await (await read(site, `${site.issuer}/audit/export?${query}`)).text()
  const report = await verifyExport(linesOf(text), { verifierKey: audit.public_key })
  assert.deepEqual([report.ok, report.problems], [true, []])
  assert.deepEqual([report.range?.since, report.range?.until], [since, until])
  const entries = text
    .trimEnd()
    .split('\n')
    .slice(1, -1)
    .map(line => JSON.parse(JSON.parse(line).entry))
  assert.equal(entries.filter(({ type }) => type === 'test.done').length, 300)
  assert.ok(entries.every(({ time }) => time >= since && time < until))

  const none = await read(
    site,
    `${site.issuer}/audit/export?since=2000-01-01T00:00:00Z&until=2000-01-02T00:00:00Z`,
  )
  const empty = await verifyExport(linesOf(await none.text()), { verifierKey: audit.public_key })
  assert.deepEqual([empty.ok, empty.entries], [true, 0])
})

test('an issuer with a path has its log below that path, and an origin that says so', async t => {
  const site = await authority(t, { issuer: 'https://writ.example:8443/team/a', checkpointSeconds: 1 })
  const audit = await discover({
    ...site,
    fetch: () => site.fetch('https://writ.example:8443/.well-known/writ-configuration/team/a'),
  })
  assert.equal(audit.checkpoint, 'https://writ.example:8443/team/a/audit/checkpoint')
  const checkpoint = await checkpointOf(site, audit, 6)
  assert.equal(checkpoint.origin, 'writ.example:8443/team/a/audit')
  const leaves = await leavesOf(site, audit, checkpoint.size)
  assert.deepEqual(Buffer.from(treeHash(leaves)), Buffer.from(checkpoint.root))
  assert.equal((await read(site, `${audit.entries}/${place(0, 2)}`)).status, 200)
})
