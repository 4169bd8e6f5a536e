// Step 7: the record is exported, verified without a network, refused with one byte changed, and asked why.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Answer } from '@writ/sdk/admin'
import { eventually, expectEqual, expectTrue } from '../check.ts'
import type { Say } from '../narrator.ts'
import type { Stage } from '../stage.ts'
import type { Hired } from './identity.ts'

type Event = Answer<'events.list'>['items'][number]

const width = 79

export async function prove(stage: Stage, { id, agent }: Hired, say: Say): Promise<void> {
  const { folder, writ, logKey, mcp } = stage
  const last = await newestOf(stage, { agent: id, type: 'agent.retired' })
  await eventually('a checkpoint covers the end of the agent', 10, async () =>
    (await checkpointSize(stage)) > last.index ? true : undefined,
  )
  const file = join(folder, 'audit.jsonl')
  const taken = await writ('audit', 'export', '--out', file)
  expectEqual('the log is exported', [taken.code, taken.stderr.includes(file)], [0, true])
  const text = await readFile(file)
  expectTrue('the end of the agent is in the export', text.includes(last.id), last.id)
  say.fact('exported', `${text.length} bytes: entries, proofs, a signed checkpoint`)

  const call = await newestOf(
    stage,
    { agent: id, type: 'token.issued' },
    ({ outcome, instance, resource }) =>
      outcome === 'allowed' && instance === agent.instance && resource === mcp,
  )
  const changed = join(folder, 'changed.jsonl')
  await writeFile(changed, withOneBitFlipped(text, call))
  const [good, bad, why] = await Promise.all([
    writ('audit', 'verify', file, '--key', logKey),
    writ('audit', 'verify', changed, '--key', logKey),
    writ('why', call.id),
  ])
  expectEqual('the export is verified', [good.code, good.stdout.startsWith('ok:')], [0, true])
  say.fact('verified', "offline, with the log's key as it was kept from the start")
  expectEqual('the changed copy is refused', bad.code, 1)
  expectTrue('the entry is named', bad.stderr.includes(`entry ${call.index} (${call.id})`), bad.stderr)
  say.fact('one bit flipped', `refused: entry ${call.index} (${call.id})`)

  expectEqual('writ why answers', why.code, 0)
  for (const part of [id, agent.instance ?? '', 'Ada', call.id])
    expectTrue(`the path names ${part}`, why.stdout.includes(part), why.stdout)
  const lines = why.stdout.trim().split('\n').slice(2)
  const path = lines.filter(line => !isCitation(line))
  say.fact('writ why', `${call.id}, less ${lines.length - path.length} entries it cites`)
  for (const line of path) say.line(cut(line))
}

/** A line of the path that points to another entry: told apart by the instant that it begins with. */
const isCitation = (line: string): boolean => /^[│├└─ ]*\d{4}-\d\d-\d\dT/.test(line)

async function newestOf(
  { admin }: Stage,
  query: { readonly agent: string; readonly type: string },
  isWanted: (event: Event) => boolean = () => true,
): Promise<Event> {
  let newest: Event | undefined
  for await (const event of admin.pages('events.list', { query })) if (isWanted(event)) newest = event
  expectTrue(`the log has an entry ${query.type}`, newest !== undefined, newest)
  return newest
}

/** The second line of a C2SP checkpoint is the number of entries that it covers. */
async function checkpointSize({ issuer }: Stage): Promise<number> {
  return Number((await (await fetch(`${issuer}/audit/checkpoint`)).text()).split('\n')[1])
}

/** A copy in which the entry names another agent, by one bit. */
function withOneBitFlipped(text: Buffer, { id, agent }: Event): Buffer {
  const copy = Buffer.from(text)
  const at = copy.indexOf(`"${agent}\\"`, copy.indexOf(id)) + 10
  copy.writeUInt8(copy.readUInt8(at) ^ 1, at)
  return copy
}

const cut = (line: string): string => (line.length <= width - 5 ? line : `${line.slice(0, width - 6)}…`)
