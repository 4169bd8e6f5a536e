// What a stranger who watches the log keeps: the entries as they came, and every checkpoint that was ever shown.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { type Checkpoint, verifyCheckpoint } from '@writ/sdk/protocol/checkpoint'
import { parseVerifierKey } from '@writ/sdk/protocol/note'
import { leafHash } from '@writ/sdk/protocol/proof'
import type { Party } from '../harness/party.ts'

type Fetch = (path: string) => Promise<Response>

export interface History {
  /** Looks at the newest checkpoint. Throws where its tree is smaller than any that was shown before. */
  look(fetch: Fetch): Promise<number>
  /** Reads what was added to the log. Throws where an entry is missing or stands at another index. */
  read(operator: Party): Promise<void>
  /** Whether the log has this token's entry, as far as it was read. */
  hasToken(jti: string): boolean
  /** How many entries carry this request id. */
  countOf(requestId: string): number
  /** Holds every checkpoint that was ever shown to the entries as they are now. Answers how many that were. */
  prove(fetch: Fetch): Promise<number>
}

export function historyOf(issuer: string): History {
  const texts: string[] = []
  const jtis = new Set<string>()
  const requests = new Map<string, number>()
  const shown = new Map<string, number>()
  let largest = 0

  const add = (text: string): void => {
    const entry = JSON.parse(text)
    assert.equal(entry.index, texts.length, 'an entry is missing, or stands at another index')
    texts.push(text)
    requests.set(entry.request_id, (requests.get(entry.request_id) ?? 0) + 1)
    if (entry.type === 'token.issued' && entry.outcome === 'allowed') jtis.add(entry.decision.jti)
  }
  return {
    async look(fetch) {
      const answer = await fetch('/audit/checkpoint')
      if (answer.status === 404) return largest
      assert.equal(answer.status, 200)
      const note = await answer.text()
      const size = Number(note.split('\n')[1])
      assert.ok(size >= largest, `a tree of ${size} entries after one of ${largest}`)
      largest = size
      shown.set(note, size)
      return size
    },
    async read(operator) {
      for (;;) {
        const from = texts.length
        const url = `${issuer}/api/v1/audit/entries?from=${from}&to=${from + 1000}`
        const token = await operator.token(`${issuer}/api/v1`, 'writ:events:read')
        const answer = await operator.call('GET', url, { token })
        assert.equal(answer.status, 200, JSON.stringify(answer.body))
        const lines = String(answer.body).split('\n').filter(Boolean)
        for (const line of lines) add(line)
        if (lines.length < 1000) return
      }
    },
    hasToken: jti => jtis.has(jti),
    countOf: requestId => requests.get(requestId) ?? 0,
    async prove(fetch) {
      const { host } = new URL(issuer)
      const key = parseVerifierKey((await (await fetch('/audit/key')).text()).trim())
      const checkpoints = [...shown.keys()].map(note => verifyCheckpoint(note, `${host}/audit`, [key]))
      mustBeOneTree(checkpoints, texts)
      return checkpoints.length
    },
  }
}

const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array =>
  createHash('sha256').update(Uint8Array.of(1)).update(left).update(right).digest()

/** RFC 6962 §2.1: every checkpoint is the root of the entries up to its size, so all of them are one tree. */
function mustBeOneTree(checkpoints: readonly Checkpoint[], texts: readonly string[]): void {
  const bySize = Map.groupBy(checkpoints, ({ size }) => size)
  // Roots of perfect trees, the largest first, each with its height.
  const edge: { height: number; hash: Uint8Array }[] = []
  let proven = 0
  for (const [index, text] of texts.entries()) {
    edge.push({ height: 0, hash: leafHash(text) })
    for (let last = edge.at(-1); last?.height === edge.at(-2)?.height; last = edge.at(-1)) {
      const right = edge.pop()
      const left = edge.pop()
      if (left === undefined || right === undefined) break
      edge.push({ height: left.height + 1, hash: nodeHash(left.hash, right.hash) })
    }
    for (const { root } of bySize.get(index + 1) ?? []) {
      const whole = edge.map(({ hash }) => hash).reduceRight((right, left) => nodeHash(left, right))
      assert.deepEqual(Buffer.from(root), Buffer.from(whole), `the checkpoint of ${index + 1} entries`)
      proven += 1
    }
  }
  assert.equal(
    proven,
    checkpoints.filter(({ size }) => size > 0).length,
    'a checkpoint of more than there is',
  )
}
