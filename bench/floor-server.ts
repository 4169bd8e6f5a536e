// The floor: a bare node:http server that does what no authority can avoid, and nothing else. One process per mode.
// `crypto`: verify two signatures, sign once. `sqlite`, `postgres`: also two replay marks and one audit line, durable
// before the answer, commits grouped.
import { createHash, createPublicKey, type KeyObject, randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { DatabaseSync } from 'node:sqlite'
import { algorithms } from '@writ/sdk/protocol/algorithms'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import { Pool } from 'pg'

interface Line {
  readonly marks: readonly [string, string]
  readonly until: number
  readonly text: string
}

type Append = (line: Line) => Promise<void>

// The cheapest form of the primitive that we know, the one the product itself uses: a slower floor would flatter.
const { ES256 } = algorithms
const own = generateKeyPair('ES256').sign.key
const keys = new Map<string, KeyObject>()

/** The key in a proof's header, imported once. */
function keyOf(header: string): KeyObject {
  let key = keys.get(header)
  if (key === undefined) {
    const { jwk } = JSON.parse(Buffer.from(header, 'base64url').toString())
    key = createPublicKey({ key: jwk, format: 'jwk' })
    keys.set(header, key)
  }
  return key
}

function holds(token: string, key: KeyObject): boolean {
  const dot = token.lastIndexOf('.')
  return ES256.verify(
    Buffer.from(token.slice(0, dot), 'latin1'),
    key,
    Buffer.from(token.slice(dot + 1), 'base64url'),
  )
}

const claimsOf = (token: string): Record<string, string> =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
const digest = (text: string): string => createHash('sha256').update(text).digest('base64url')

/** Gathers what requests of one turn append and commits it at once. */
function grouped(commit: (lines: readonly Line[]) => void | Promise<void>): Append {
  let waiting: { line: Line; resolve(): void; reject(error: unknown): void }[] = []
  let isBusy = false
  const drain = async (): Promise<void> => {
    while (waiting.length > 0) {
      const group = waiting
      waiting = []
      try {
        await commit(group.map(({ line }) => line))
        for (const { resolve } of group) resolve()
      } catch (error) {
        for (const { reject } of group) reject(error)
      }
    }
    isBusy = false
  }
  return line =>
    new Promise((resolve, reject) => {
      waiting.push({ line, resolve, reject })
      if (isBusy) return
      isBusy = true
      setImmediate(drain)
    })
}

function sqliteAppend(file: string): Append {
  const db = new DatabaseSync(file)
  db.exec('pragma journal_mode = wal; pragma synchronous = full')
  db.exec('create table marks (key text primary key, until integer) without rowid')
  db.exec('create table audit (id integer primary key, text text not null)')
  const mark = db.prepare('insert into marks values (?, ?)')
  const audit = db.prepare('insert into audit (text) values (?)')
  return grouped(lines => {
    db.exec('begin immediate')
    for (const { marks, until, text } of lines) {
      for (const key of marks) mark.run(key, until)
      audit.run(text)
    }
    db.exec('commit')
  })
}

async function postgresAppend(url: string): Promise<Append> {
  const pool = new Pool({ connectionString: url, max: 4 })
  await pool.query('create table floor_marks (key text primary key, until bigint)')
  await pool.query('create table floor_audit (id bigserial primary key, text text not null)')
  const text = `with marked as (insert into floor_marks select * from unnest($1::text[], $2::bigint[]))
    insert into floor_audit (text) select * from unnest($3::text[])`
  return grouped(async lines => {
    const marks = lines.flatMap(line => line.marks)
    const untils = lines.flatMap(line => [line.until, line.until])
    await pool.query({ name: 'append', text, values: [marks, untils, lines.map(line => line.text)] })
  })
}

const [mode = 'crypto', place = ''] = process.argv.slice(2)
const append: Append =
  mode === 'sqlite' ? sqliteAppend(place) : mode === 'postgres' ? await postgresAppend(place) : async () => {}

async function answer(body: string, proof: string): Promise<string> {
  const assertion = new URLSearchParams(body).get('client_assertion') ?? ''
  const key = keyOf(proof.slice(0, proof.indexOf('.')))
  if (!holds(assertion, key) || !holds(proof, key)) throw new Error('a signature does not hold')
  const now = Math.floor(Date.now() / 1000)
  const shown = claimsOf(assertion)
  const claims = {
    iss: 'floor',
    sub: shown['sub'],
    aud: 'floor',
    iat: now,
    exp: now + 300,
    jti: randomUUID(),
  }
  const input = `${Buffer.from('{"alg":"ES256","typ":"at+jwt"}').toString('base64url')}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`
  const token = `${input}.${ES256.sign(Buffer.from(input, 'latin1'), own).toString('base64url')}`
  await append({
    marks: [digest(`a${shown['jti']}`), digest(`p${claimsOf(proof)['jti']}`)],
    until: now + 300,
    text: JSON.stringify({
      id: randomUUID(),
      time: new Date().toISOString(),
      type: 'token.issued',
      agent: shown['sub'],
      jti: claims.jti,
    }),
  })
  return JSON.stringify({ access_token: token, token_type: 'DPoP', expires_in: 300 })
}

const server = createServer((request, response) => {
  let body = ''
  request.setEncoding('utf8')
  request.on('data', chunk => {
    body += chunk
  })
  request.on('end', () => {
    answer(body, String(request.headers['dpop'])).then(
      text =>
        response
          .writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
          .end(text),
      error => response.writeHead(500, { 'content-length': 0 }).end(void console.error(error)),
    )
  })
})
server.listen(0, '127.0.0.1', () => console.log(`ready ${(server.address() as AddressInfo).port}`))
