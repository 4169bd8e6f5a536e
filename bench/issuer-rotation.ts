// Issuer keys rotated as fast as the configuration allows, while tokens are issued and verified: none may fail.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type AdminClient, createAdminClient } from '@writ/sdk/admin'
import { Agent, type OperatorCredentials } from '@writ/sdk/agent'
import { createProof } from '@writ/sdk/protocol/dpop'
import { createVerifier, type Verifier } from '@writ/sdk/resource/verifier'
import type { Figure } from './measure.ts'
import { api, type Caller, populate } from './population.ts'
import { siteAt, startAuthority } from './processes.ts'
import { tokenFor } from './token.ts'

/** Each takes one to two seconds, the least that a key is published before it signs: a thousand take half an hour. */
const rotations = Number(process.env['WRIT_BENCH_ROTATIONS']) || 60
const pollMs = 100
const issueMs = 50

/** The shortest lives there are, so that as many keys as possible come and go. */
const settings = {
  WRIT_ACCESS_TOKEN_SECONDS: '3',
  WRIT_ISSUER_KEY_PUBLISH_SECONDS: '1',
  WRIT_JWKS_CACHE_SECONDS: '1',
  WRIT_CLOCK_SKEW_SECONDS: '0',
}

export async function issuerRotation(): Promise<readonly Figure[]> {
  const home = mkdtempSync(join(tmpdir(), 'writ-bench-'))
  const site = { ...(await siteAt(home)), settings }
  const [caller] = await populate(site, 1, 0)
  const authority = await startAuthority(site)
  const verifier = createVerifier({ issuer: site.issuer, resource: api })
  const agent = Agent.fromCredentials(
    JSON.parse(readFileSync(join(home, 'operator.json'), 'utf8')) as OperatorCredentials,
  )
  try {
    await verifier.ready()
    return figuresOf(
      await underTraffic({
        issuer: site.issuer,
        caller: caller as Caller,
        verifier,
        admin: createAdminClient(agent),
      }),
    )
  } finally {
    agent.close()
    verifier.close()
    await authority.stop()
    rmSync(home, { recursive: true, force: true })
  }
}

interface Scene {
  readonly issuer: string
  readonly caller: Caller
  readonly verifier: Verifier
  readonly admin: AdminClient
}

interface Tally {
  verified: number
  errors: number
  polls: number
  keyless: number
  /** The key that signed the newest token. */
  signer: string
  readonly signers: Set<string>
  readonly tokens: Map<string, { readonly kid: string; readonly exp: number }>
  rotations: number
  seconds: number
}

async function underTraffic(scene: Scene): Promise<Tally> {
  const tally: Tally = {
    verified: 0,
    errors: 0,
    polls: 0,
    keyless: 0,
    signer: '',
    signers: new Set(),
    tokens: new Map(),
    rotations: 0,
    seconds: 0,
  }
  let isOver = false
  const repeat = async (everyMs: number, work: () => Promise<void>): Promise<void> => {
    while (!isOver) {
      await work()
      await pause(everyMs)
    }
  }
  const running = [repeat(issueMs, () => useToken(scene, tally)), repeat(pollMs, () => look(scene, tally))]
  const beganMs = performance.now()
  while (tally.rotations < rotations) {
    const { kid } = await scene.admin.call('issuer-keys.rotate')
    while (tally.signer !== kid) await pause(10)
    tally.rotations += 1
    if (tally.rotations % 100 === 0)
      console.error(`bench: ${tally.rotations} issuer rotations, ${tally.errors} errors`)
  }
  tally.seconds = (performance.now() - beganMs) / 1000
  isOver = true
  await Promise.all(running)
  return tally
}

const partOf = (token: string, at: number) =>
  JSON.parse(Buffer.from(token.split('.')[at] ?? '', 'base64url').toString()) as Record<string, unknown>

/** A fresh token, shown at once; and every other that still lives. */
async function useToken({ issuer, caller, verifier }: Scene, tally: Tally): Promise<void> {
  const token = await tokenFor(issuer, caller)
  const kid = String(partOf(token, 0)['kid'])
  tally.tokens.set(token, { kid, exp: Number(partOf(token, 1)['exp']) })
  tally.signer = kid
  tally.signers.add(kid)
  for (const [shown, { exp }] of tally.tokens) {
    const now = Date.now() / 1000
    if (exp <= now + 0.5) continue
    const proof = { key: caller.key, method: 'GET', uri: `${api}/invoices`, nowSeconds: Math.floor(now) }
    const headers = new Headers({
      authorization: `DPoP ${shown}`,
      dpop: createProof({ ...proof, accessToken: shown }),
    })
    try {
      await verifier.verify({ method: 'GET', url: '/invoices', headers })
      tally.verified += 1
    } catch (error) {
      tally.errors += 1
      console.error(`bench: a token of ${kid} did not verify: ${error}`)
    }
  }
}

/** Whether the JWKS holds the key of every token that has not expired; judged after it was read. */
async function look({ issuer }: Scene, tally: Tally): Promise<void> {
  const known = [...tally.tokens]
  const { keys } = (await (await fetch(`${issuer}/jwks`)).json()) as { keys: { kid: string }[] }
  const published = new Set(keys.map(({ kid }) => kid))
  const now = Date.now() / 1000
  tally.polls += 1
  for (const [token, { kid, exp }] of known) {
    if (exp <= now) tally.tokens.delete(token)
    else if (!published.has(kid)) tally.keyless += 1
  }
}

function figuresOf(tally: Tally): readonly Figure[] {
  if (tally.verified === 0 || tally.polls === 0) throw new Error('nothing was verified')
  console.error(
    `bench: ${tally.rotations} issuer rotations by ${tally.signers.size} keys in ${Math.round(tally.seconds)} s; ` +
      `${tally.verified} verifications, ${tally.polls} looks at the JWKS`,
  )
  return [
    { name: 'issuer rotations under traffic', value: tally.rotations, unit: 'rotations' },
    { name: 'verifications during them', value: tally.verified, unit: 'calls' },
    {
      name: 'verification errors during them',
      value: tally.errors,
      unit: 'errors',
      target: { at: 'most', bound: 0 },
    },
    {
      name: 'unexpired tokens seen without their key in the JWKS',
      value: tally.keyless,
      unit: 'tokens',
      target: { at: 'most', bound: 0 },
    },
  ]
}
