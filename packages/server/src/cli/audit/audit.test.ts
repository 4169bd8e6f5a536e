// writ audit and writ why, as typed: against a real authority, and on files that somebody changed.
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Agent } from '@writ/sdk/agent'
import { explain } from '../../audit/why.ts'
import { defaultTenant } from '../../domain/tenant.ts'
import { createServer } from '../../index.ts'
import { CommandFailure, programCommand } from '../command.ts'
import { auditCommand, type Reach } from './audit.ts'
import { whyCommand } from './why.ts'

const issuer = 'https://writ.example'

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

interface Site {
  readonly folder: string
  readonly server: Awaited<ReturnType<typeof createServer>>
  readonly reach: Reach
  run(...args: string[]): Promise<Ran>
}

async function site(t: TestContext): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), 'writ-cli-'))
  const server = await createServer({ data: folder, issuer, rateLimits: 'off', checkpointSeconds: 1 })
  t.after(async () => {
    await server.close()
    rmSync(folder, { recursive: true })
  })
  const ask: typeof fetch = (input, init) => server.fetch(new Request(input, init))
  const operator = JSON.parse(readFileSync(join(folder, 'operator.json'), 'utf8'))
  const agent = Agent.fromCredentials(operator, { fetch: ask })
  return typing({ folder, server, reach: { connect: async () => agent, fetch: ask } })
}

function typing(parts: Omit<Site, 'run'>, environment: Record<string, string> = { COLUMNS: '400' }): Site {
  return {
    ...parts,
    async run(...args) {
      const printed: string[] = []
      const said: string[] = []
      const terminal = {
        stdout: { write: (text: string) => void printed.push(text) },
        stderr: { write: (text: string) => void said.push(text) },
        environment: { ...environment, WRIT_DATA: parts.folder },
      }
      const program = programCommand()
        .addCommand(auditCommand(terminal, parts.reach))
        .addCommand(whyCommand(terminal, parts.reach))
      try {
        await program.parseAsync(args, { from: 'user' })
        return { code: 0, out: printed.join(''), err: said.join('') }
      } catch (error) {
        if (error instanceof CommandFailure) {
          said.push(error.message)
          return { code: error.exitCode, out: printed.join(''), err: said.join('') }
        }
        throw error
      }
    },
  }
}

const entry = (at: number) => ({ type: 'test.done', outcome: 'allowed', requestId: `r${at}` }) as const

async function fill({ server }: Pick<Site, 'server'>, count: number): Promise<void> {
  const ctx = { tenant: defaultTenant, now: Math.floor(Date.now() / 1000), nowMs: Date.now() }
  await Promise.all(
    Array.from({ length: count }, (_, at) => server.store.commit(ctx, { entries: [entry(at)] })),
  )
}

test('an export is taken, verified offline with the key that was kept, and one changed byte names its entry', async t => {
  const { folder, run, server } = await site(t)
  await fill({ server }, 400)
  const kept = await run('audit', 'key', '--save')
  assert.deepEqual([kept.code, kept.out], [0, readFileSync(join(folder, 'audit.vkey'), 'utf8')])
  const file = join(folder, 'log.jsonl')
  const taken = await run('audit', 'export', '--out', file)
  assert.match(taken.err, /^writ: 4\d\d entries written to /)
  assert.deepEqual([taken.code, taken.out, existsSync(`${file}.part`)], [0, '', false])
  assert.equal(statSync(file).mode & 0o777, 0o600)

  const good = await run('audit', 'verify', file)
  assert.deepEqual([good.code, good.err], [0, ''])
  assert.match(
    good.out,
    /^ok: entries 0 to 4\d\d of writ\.example\/audit are as its checkpoint of 4\d\d entries has them\n$/,
  )

  const text = readFileSync(file, 'utf8')
  const line = text.split('\n').find(found => found.includes('request_id\\":\\"r250\\"')) ?? ''
  const { index, id } = JSON.parse(JSON.parse(line).entry)
  const place = Buffer.from(text).indexOf(line) + Buffer.from(line).indexOf('\\"r250\\"') + 2
  const changed = Buffer.from(text)
  changed[place] = 0x73
  writeFileSync(file, changed)
  const bad = await run('audit', 'verify', file)
  assert.deepEqual([bad.code, bad.out], [1, ''])
  assert.equal(
    bad.err,
    `not as the log has it: entry ${index} (${id}): the entry is not the one that the log has here`,
  )
  const json = await run('audit', 'verify', file, '--json')
  assert.equal(json.code, 1)
  assert.deepEqual(JSON.parse(json.out).problems[0], {
    index,
    id,
    what: 'the entry is not the one that the log has here',
  })
})

test('an export goes to standard output and to nothing else, and its limits are those of the command', async t => {
  const { run, folder } = await site(t)
  const all = await run('audit', 'export')
  assert.equal(all.code, 0)
  const lines = all.out.trimEnd().split('\n')
  assert.equal(all.err, `writ: ${lines.length - 2} entries\n`)
  const none = await run(
    'audit',
    'export',
    '--since',
    '2020-01-01T00:00:00Z',
    '--until',
    '2020-01-02T00:00:00Z',
  )
  assert.deepEqual([none.code, none.err], [0, 'writ: 0 entries\n'])
  assert.equal(JSON.parse(none.out.split('\n')[0] ?? '').since, '2020-01-01T00:00:00Z')
  const wrong = await run('audit', 'export', '--since', 'yesterday', '--out', join(folder, 'x.jsonl'))
  assert.equal(wrong.code, 2)
  assert.match(wrong.err, /^--since must be an instant/)
  assert.equal(existsSync(join(folder, 'x.jsonl')), false)
  const json = await run('audit', 'export', '--json', '--out', join(folder, 'y.jsonl'))
  const { entries } = JSON.parse(json.out)
  assert.ok(entries > 0)
  assert.deepEqual([json.code, json.err, JSON.parse(json.out).file], [0, '', join(folder, 'y.jsonl')])
})

test('an export that breaks off is no export: no file, and an exit code that says so', async t => {
  const { run, folder, reach, server } = await site(t)
  const whole = await run('audit', 'export')
  const broken = new TextEncoder().encode(whole.out.slice(0, -40))
  const authority = {
    issuer,
    fetch: async () => new Response(broken),
  }
  const cut = typing({ folder, server, reach: { ...reach, connect: async () => authority } })
  const file = join(folder, 'cut.jsonl')
  const { code, err } = await cut.run('audit', 'export', '--out', file)
  assert.deepEqual([code, err], [1, 'the export broke off before its end; take it again'])
  assert.deepEqual([existsSync(file), existsSync(`${file}.part`)], [false, false])
})

test('without a key from elsewhere it is said that the file only agrees with itself', async t => {
  const { run, folder } = await site(t)
  const file = join(folder, 'log.jsonl')
  await run('audit', 'export', '--out', file)
  // Beside the data lies the key of the log; here is a folder without it.
  const nowhere = ['--data', join(folder, 'nowhere')]
  const { code, out, err } = await run('audit', 'verify', file, ...nowhere)
  assert.equal(code, 0)
  assert.match(out, /^ok: /)
  assert.match(err, /only says that the file agrees with itself; give --key/)
  assert.equal(JSON.parse((await run('audit', 'verify', file, '--json', ...nowhere)).out).keyTrusted, false)
})

test('an export of another log does not pass under the key that was given, nor does a log that was rewritten', async t => {
  const [one, other] = [await site(t), await site(t)]
  const file = join(one.folder, 'log.jsonl')
  await one.run('audit', 'export', '--out', file)
  const key = (await other.run('audit', 'key')).out.trimEnd()
  const foreign = await one.run('audit', 'verify', file, '--key', key)
  assert.equal(foreign.code, 1)
  assert.match(foreign.err, /names another verifier key than the one given/)

  const own = (await one.run('audit', 'key')).out.trimEnd()
  const { checkpoint } = JSON.parse(readFileSync(file, 'utf8').split('\n')[0] ?? '')
  const kept = join(one.folder, 'checkpoint')
  writeFileSync(kept, checkpoint)
  await fill(one, 50)
  await one.run('audit', 'export', '--out', file)
  const grown = await one.run('audit', 'verify', file, '--key', own, '--checkpoint', kept)
  assert.equal(grown.code, 0, grown.err)
  const strange = JSON.parse((await other.run('audit', 'export')).out.split('\n')[0] ?? '').checkpoint
  writeFileSync(kept, strange)
  const forked = await one.run('audit', 'verify', file, '--key', own, '--checkpoint', kept)
  assert.equal(forked.code, 1)
  assert.match(forked.err, /the earlier checkpoint/)
})

test('a key that was kept is not replaced by another one', async t => {
  const { run, folder } = await site(t)
  assert.equal((await run('audit', 'key', '--save')).code, 0)
  assert.equal((await run('audit', 'key', '--save')).code, 0)
  writeFileSync(join(folder, 'audit.vkey'), 'another\n')
  const { code, err } = await run('audit', 'key', '--save')
  assert.equal(code, 1)
  assert.match(err, /holds another key/)
  assert.equal(readFileSync(join(folder, 'audit.vkey'), 'utf8'), 'another\n')
})

test('wrong usage has its own exit code', async t => {
  const { run, folder } = await site(t)
  assert.equal((await run('audit', 'verify', join(folder, 'absent'))).code, 2)
  const file = join(folder, 'log.jsonl')
  await run('audit', 'export', '--out', file)
  const { code, err } = await run('audit', 'verify', file, '--key', 'nonsense')
  assert.equal(code, 2)
  assert.match(err, /^--key holds no verifier key/)
})

test('why is a tree from the operator to the act, for an entry and for a request', async t => {
  const { server, folder, reach } = await site(t)
  const authority = await reach.connect({})
  const made = await authority.fetch(`${issuer}/api/v1/agents`, {
    resource: `${issuer}/api/v1`,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      name: 'courier',
      owner: (await operatorOf(folder)).client_id,
      purpose: 'Carries',
    }),
  })
  assert.equal(made.status, 201)
  const requestId = made.headers.get('x-request-id') ?? ''
  const ctx = {
    tenant: defaultTenant,
    issuer,
    now: Math.floor(Date.now() / 1000),
    nowMs: Date.now(),
    requestId: 'x',
    traceId: undefined,
    peer: undefined,
    note: () => {},
  }
  // The management API's answer, made by its use case.
  const connect: Reach['connect'] = async options => {
    const real = await reach.connect(options)
    return {
      issuer,
      async fetch(input, init) {
        const id = /\/events\/(evt_\w+)\/why$/.exec(input)?.[1]
        return id === undefined ? real.fetch(input, init) : Response.json(await explain(ctx, server, id))
      },
    }
  }
  const typed = typing({ folder, server, reach: { ...reach, connect } })
  const { code, out } = await typed.run('why', requestId)
  assert.equal(code, 0)
  const id = out.slice(0, 30)
  const lines = out
    .split('\n')
    .map(text =>
      text
        .replaceAll(/evt_\w+|agt_\w+|ins_\w+|grt_\w+/g, found => `${found.slice(0, 3)}…`)
        .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME'),
    )
  assert.match(
    lines[0] ?? '',
    /^evt… {2}TIME {2}entry \d+, (not in a checkpoint yet|proven by the checkpoint of \d+)$/,
  )
  assert.deepEqual(lines.slice(1, 6), [
    '',
    'operator operator (agt…): Administers this authority; it answers for itself, and is active',
    '├─ TIME  agent.created allowed  evt…',
    '└─ instance ins…: its key was registered by an administrator',
    '   ├─ TIME  agent.created allowed  evt…',
  ])
  assert.match(out, /agent\.created agents\.create .*→ allowed/)
  assert.match(out, /grant grt_\w+ \(active now\): writ:\* at https:\/\/writ\.example\/api\/v1/)
  assert.match(out, /given by operator: First start/)
  assert.equal((await typed.run('why', id)).out.split('\n')[0], out.split('\n')[0])
  assert.equal(JSON.parse((await typed.run('why', id, '--json')).out).entry.id, id)
  const narrow = (await typing({ folder, server, reach: { ...reach, connect } }, {}).run('why', id)).out
  for (const text of narrow.split('\n')) assert.ok(text.length <= 80, text)
  assert.deepEqual(
    narrow.replaceAll(/[│├└─\s]+/g, ''),
    (await typed.run('why', id)).out.replaceAll(/[│├└─\s]+/g, ''),
  )
  const nobody = await typed.run('why', 'no-such-request')
  assert.deepEqual([nobody.code, nobody.err], [1, 'the log has no entry of the request no-such-request'])
})

async function operatorOf(folder: string): Promise<{ client_id: string }> {
  return JSON.parse(readFileSync(join(folder, 'operator.json'), 'utf8'))
}

test('no text of others moves the cursor of who reads a tree', async t => {
  const { server, folder, reach } = await site(t)
  const hostile = 'a\u001b[2Jb\nc\u202ed'
  const entry = {
    id: 'evt_x',
    index: 0,
    time: 'T',
    type: 'a.b',
    outcome: 'refused',
    resource: hostile,
    action: hostile,
    peer: null,
  }
  const step = { kind: 'agent', id: 'agt_x', name: hostile, says: hostile, entries: [] }
  const right = {
    id: 'grt_x',
    resource: hostile,
    scopes: [hostile],
    reason: hostile,
    by: { id: 'x', name: hostile },
    state: 'active',
    entries: [],
  }
  const why = {
    entry,
    path: [step],
    decision: { says: hostile, grants: [right] },
    related: [],
    checkpoint: null,
  }
  const connect: Reach['connect'] = async () => ({ issuer, fetch: async () => Response.json(why) })
  const { out } = await typing({ folder, server, reach: { ...reach, connect } }).run('why', 'evt_x')
  for (const character of ['\u001b', '\u202e']) assert.ok(!out.includes(character))
  assert.equal(out.trimEnd().split('\n').length, 7, out)
})
