// The floor of a decision over HTTP: a bare Hono server that authenticates the caller alike, makes one pre-filtered Cedar
// call, and commits one replay mark and one entry, grouped and durable before the answer.
import { createHash, createPublicKey, type KeyObject, randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { DatabaseSync } from 'node:sqlite'
import * as cedar from '@cedar-policy/cedar-wasm/nodejs'
import { serve } from '@hono/node-server'
import { algorithms } from '@writ/sdk/protocol/algorithms'
import { Hono } from 'hono'

const { ES256 } = algorithms
const keys = new Map<string, KeyObject>()
const tokens = new Set<string>()

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

function holds(proof: string): boolean {
  const dot = proof.lastIndexOf('.')
  const signature = Buffer.from(proof.slice(dot + 1), 'base64url')
  return ES256.verify(
    Buffer.from(proof.slice(0, dot), 'latin1'),
    keyOf(proof.slice(0, proof.indexOf('.'))),
    signature,
  )
}

interface Line {
  readonly mark: string
  readonly until: number
  readonly text: string
}

/** Gathers what requests of one turn append and commits it at once. */
function grouped(commit: (lines: readonly Line[]) => void): (line: Line) => Promise<void> {
  let waiting: { line: Line; resolve(): void }[] = []
  return line =>
    new Promise(resolve => {
      waiting.push({ line, resolve })
      if (waiting.length > 1) return
      setImmediate(() => {
        const group = waiting
        waiting = []
        commit(group.map(one => one.line))
        for (const one of group) one.resolve()
      })
    })
}

const db = new DatabaseSync(process.argv[2] ?? ':memory:')
db.exec('pragma journal_mode = wal; pragma synchronous = full')
db.exec('create table marks (key text primary key, until integer) without rowid')
db.exec('create table audit (id integer primary key, text text not null)')
const mark = db.prepare('insert into marks values (?, ?)')
const audit = db.prepare('insert into audit (text) values (?)')
const append = grouped(lines => {
  db.exec('begin immediate')
  for (const { mark: key, until, text } of lines) {
    mark.run(key, until)
    audit.run(text)
  }
  db.exec('commit')
})

// The call that our own schema makes of such a question: the same entities, the same context, the same two policies.
cedar.preparsePolicySet('floor', {
  staticPolicies: {
    granted: 'permit (principal is Writ::Agent, action, resource) when { context.granted };',
    ungranted: 'forbid (principal is Writ::Agent, action, resource) unless { context.granted };',
  },
})

const entity = (type: string, id: string, attrs: Record<string, string> = {}) => ({
  uid: { type: `Writ::${type}`, id },
  attrs,
  parents: [],
  tags: {},
})

function isAllowed(agent: string, action: string, resource: string): boolean {
  const about = { name: 'bench', owner: agent, purpose: 'Benchmark', status: 'active' }
  const principal = entity('Agent', agent, about)
  const object = entity('Resource', resource, { name: 'API' })
  const [args, claims] = [entity('Arguments', 'call'), entity('Claims', 'call')]
  const answer = cedar.statefulIsAuthorized({
    principal: principal.uid,
    action: { type: 'Writ::Action', id: action },
    resource: object.uid,
    context: {
      now: { __extn: { fn: 'datetime', arg: new Date().toISOString() } },
      amounts: { calls: 1 },
      risk: 0,
      granted: true,
      arguments: { __entity: args.uid },
      claims: { __entity: claims.uid },
      chain: [{ __entity: principal.uid }],
    },
    preparsedPolicySetId: 'floor',
    entities: [principal, object, args, claims],
  })
  return answer.type === 'success' && answer.response.decision === 'allow'
}

const app = new Hono()
app.post('/access/v1/evaluation', async c => {
  const token = c.req.header('authorization') ?? ''
  const proof = c.req.header('dpop') ?? ''
  // A token's signature is verified once; what remains of each call is its proof.
  tokens.add(token)
  if (!holds(proof)) return c.json({ error: 'proof' }, 401)
  const { jti } = JSON.parse(Buffer.from(proof.split('.')[1] ?? '', 'base64url').toString())
  const { subject, action, resource } = await c.req.json()
  const decision = isAllowed(subject.id, action.name, resource.id)
  await append({
    mark: createHash('sha256').update(jti).digest('base64url'),
    until: Math.floor(Date.now() / 1000) + 300,
    text: JSON.stringify({
      id: randomUUID(),
      time: new Date().toISOString(),
      type: 'decision.evaluated',
      agent: subject.id,
      action: action.name,
      resource: resource.id,
      decision,
    }),
  })
  return c.json({ decision })
})
const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, () =>
  console.log(`ready ${(server.address() as AddressInfo).port}`),
)
