// A tenant key of the vault rotates under a million secrets: rows rewrapped a second, beside the bare cipher, memory flat.
import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type AdminClient, createAdminClient } from '@writ/sdk/admin'
import { Agent, type OperatorCredentials } from '@writ/sdk/agent'
import { newId } from '@writ/sdk/protocol/identifier'
import { Secret } from '@writ/sdk/protocol/secret'
import { createServer } from '@writ/server'
import type { Figure } from './measure.ts'
import { type Running, type Site, siteAt, startAuthority } from './processes.ts'

const rows = Number(process.env['WRIT_BENCH_ROWS'] ?? 1_000_000)
const perCommit = 500

export async function rewrap(): Promise<readonly Figure[]> {
  const home = mkdtempSync(join(tmpdir(), 'writ-bench-'))
  try {
    const site = await siteAt(join(home, 'vault'))
    console.error(`bench: protecting ${rows.toLocaleString('en-US')} values …`)
    await fill(site)
    const writ = await startAuthority(site)
    try {
      return await measured(site, writ)
    } finally {
      await writ.stop()
    }
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

/** Versions of as many secrets, through the store like anybody's. */
async function fill({ data, issuer }: Site): Promise<void> {
  const server = await createServer({ data, issuer })
  try {
    const [tenant] = await server.store.tenants.list()
    if (tenant === undefined) throw new Error('a server has a tenant')
    const now = Math.floor(Date.now() / 1000)
    const scope = { tenant: tenant.id, now, nowMs: now * 1000 }
    const life = {
      number: 1,
      state: 'active',
      handle: null,
      rotation: null,
      createdAt: now,
      stateAt: now,
    } as const
    for (let at = 0; at < rows; at += perCommit) {
      const made = Array.from({ length: Math.min(perCommit, rows - at) }, (_, next) => {
        const of = { id: newId('ver', inOrder(at + next)), secret: newId('sec', inOrder(at + next)) }
        const value = new Secret(`value-${at + next}-${'x'.repeat(32)}`)
        return { of, held: server.vault.protect(scope, value, of) }
      })
      const committed = await server.store.commit(scope, {
        puts: made.map(({ of, held: { sealed, vaultKey } }) => ({
          put: 'secretVersion',
          value: { ...of, ...life, sealed, vaultKey },
          ifVersion: 0,
        })),
        bases: made.slice(0, 1).map(({ held }) => held.basis),
        entries: [{ type: 'bench.filled', outcome: 'allowed', requestId: 'bench' }],
      })
      if (committed.kind !== 'done') throw new Error(`a commit was ${committed.kind}`)
    }
  } finally {
    await server.close()
  }
}

/** Identifiers that ascend, so that filling does not jump about in the index; what is measured does. */
function inOrder(at: number): (length: number) => Uint8Array {
  return length => {
    const bytes = randomBytes(length)
    for (let place = 0, left = at; place < 6; place += 1, left = Math.floor(left / 32))
      bytes[5 - place] = left % 32
    return bytes
  }
}

async function measured({ data }: Site, writ: Running): Promise<readonly Figure[]> {
  const operator = JSON.parse(readFileSync(join(data, 'operator.json'), 'utf8')) as OperatorCredentials
  const admin = createAdminClient(Agent.fromCredentials(operator))
  const { id } = await admin.call('rotations.create', { body: { kind: 'tenant_key', reason: 'bench' } })
  const before = bareRate()
  const { seconds, earlyMb, mostMb } = await watch(admin, id, writ)
  const bare = Math.max(before, bareRate())
  return [
    {
      name: `rewrap of ${rows.toLocaleString('en-US')} secrets, online`,
      value: rows / seconds,
      unit: 'rows/s',
      floor: { name: 'AES-256-GCM open and seal of a data key, nothing stored', value: bare },
      ratio: rows / seconds / bare,
    },
    {
      name: 'most memory from there to its end, beside a tenth',
      value: mostMb,
      unit: 'MB',
      floor: { name: 'at a tenth', value: earlyMb },
      ratio: mostMb / earlyMb,
      target: { at: 'most', bound: 1.3 },
    },
  ]
}

interface Watched {
  readonly seconds: number
  /** At a tenth. */
  readonly earlyMb: number
  /** The most of what was seen from there on: the end alone may lie just after a collection. */
  readonly mostMb: number
}

/** From the last look at which it had not begun to the first that found nothing left: not less than it took. */
async function watch(admin: AdminClient, id: string, writ: Running): Promise<Watched> {
  let beganMs = performance.now()
  let earlyMb = 0
  let mostMb = 0
  for (;;) {
    const { state, drain, problem } = await admin.call('rotations.get', { params: { id } })
    const left = drain?.remaining ?? rows
    if (state === 'blocked' || state === 'failed') throw new Error(`the rotation is ${state}: ${problem}`)
    if (state === 'staged') beganMs = performance.now()
    if (left > 0 && left <= rows * 0.9) {
      const nowMb = writ.residentMb()
      if (earlyMb === 0) earlyMb = nowMb
      mostMb = Math.max(mostMb, nowMb)
    }
    if (left === 0 || state === 'retired') {
      if (earlyMb === 0) throw new Error(`the rewrap of ${rows} secrets was not seen under way: take more`)
      return { seconds: (performance.now() - beganMs) / 1000, earlyMb, mostMb }
    }
    await pause(500)
  }
}

const rounds = 10

/**
 * What cannot be avoided for a row: opening 32 bytes under one key, and sealing them under another. The best of some
 * rounds: one that was disturbed would flatter what is held against it.
 */
function bareRate(): number {
  const [from, to] = [createSecretKey(randomBytes(32)), createSecretKey(randomBytes(32))]
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', from, nonce)
  const sealed = Buffer.concat([cipher.update(randomBytes(32)), cipher.final()])
  const tag = cipher.getAuthTag()
  const count = 10_000
  let best = 0
  for (let round = 0; round < rounds; round += 1) {
    const beganMs = performance.now()
    for (let at = 0; at < count; at += 1) {
      const opening = createDecipheriv('aes-256-gcm', from, nonce).setAuthTag(tag)
      const opened = Buffer.concat([opening.update(sealed), opening.final()])
      const sealing = createCipheriv('aes-256-gcm', to, randomBytes(12))
      Buffer.concat([sealing.update(opened), sealing.final()])
      sealing.getAuthTag()
    }
    best = Math.max(best, count / ((performance.now() - beganMs) / 1000))
  }
  return best
}
