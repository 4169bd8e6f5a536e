// Step 5: under traffic the agent's key rotates, then the issuer's; no call fails, and each old key goes in its time.
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { Agent } from '@writ/sdk/agent'
import { isFault } from '@writ/sdk/protocol/fault'
import { eventually, expectEqual, expectTrue } from '../check.ts'
import type { McpConnection } from '../mcp.ts'
import { type Say, short } from '../narrator.ts'
import { lifetimes, type Stage } from '../stage.ts'
import { gaps, startTraffic, watchJwks } from '../traffic.ts'
import type { Hired } from './identity.ts'

/** Seconds since the step began, for the narration. */
type Since = (atMs?: number) => string

export async function rotate(stage: Stage, hired: Hired, server: McpConnection, say: Say): Promise<void> {
  const { api, issuer, wire } = stage
  const beganAtMs = Date.now()
  const since: Since = (atMs = Date.now()) => `${((atMs - beganAtMs) / 1000).toFixed(1)} s`
  const watch = watchJwks(`${issuer}/jwks`)
  const traffic = startTraffic({
    echo: () => server.call('echo', { message: 'again' }),
    'get-sum': () => server.call('get-sum', { a: 2, b: 3 }),
    reports: async () => {
      const answer = await hired.agent.fetch(`${api}/reports`, { scope: 'reports:read' })
      if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`)
      await answer.json()
    },
  })
  try {
    say.fact('traffic', 'three callers without a pause: echo, get-sum, GET /reports')
    const ended = await rotateAgentKey(stage, hired, { say, since })
    await Promise.all([rotateIssuerKey(stage, { say, since }), ended()])
  } finally {
    await Promise.all([traffic.stop(), watch.stop()])
  }

  expectEqual('not one call fails', traffic.failures(), [])
  expectTrue('there were many calls', traffic.calls() >= 100, traffic.calls())
  const missing = gaps(watch.looks, wire.tokens.values())
  expectEqual('the JWKS holds the key of each unexpired token at every instant', missing, [])
  say.fact('calls', `${traffic.calls()}, of which 0 failed`)
  say.fact('JWKS', `looked at ${watch.looks.length} times: no token was without its key`)
}

interface Telling {
  readonly say: Say
  readonly since: Since
}

/** Resolves when the key is rotated, to a function that waits for the end of the old one. */
async function rotateAgentKey(
  { folder, wire, api, admin }: Stage,
  { id, agent, directory }: Hired,
  { say, since }: Telling,
): Promise<() => Promise<void>> {
  const copy = join(folder, 'backup-of-instance-1')
  await cp(directory, copy, { recursive: true })
  const before = agent.key().thumbprint
  await agent.rotateKey()
  expectTrue('the key is another one', agent.key().thumbprint !== before, before)
  say.fact("agent's key", `${short(before)} → ${short(agent.key().thumbprint)} at ${since()}`)

  /** A token for the old key, as a process would ask that was started from a copy of its file. */
  const withOldKey = async (): Promise<'answered' | 'refused'> => {
    const old = await Agent.load({ directory: copy, fetch: wire.fetch })
    try {
      await old.token({ resource: api })
      return 'answered'
    } catch (error) {
      if (isFault(error) && error.code === 'invalid_client') return 'refused'
      throw error
    } finally {
      old.close()
    }
  }
  expectEqual('the old key still works: whoever is in flight must not fail', await withOldKey(), 'answered')
  const usedAtMs = Date.now()
  return async () => {
    const { drainSeconds } = lifetimes
    // Each attempt would be a use, and keep it: so it is looked at from outside.
    await eventually('the old key ends once it is unused', drainSeconds + 8, async () => {
      const { state } = await admin.call('keys.get', { params: { id, kid: before } })
      return state === 'retired' ? true : undefined
    })
    const afterMs = Date.now() - usedAtMs
    // Uses are counted in whole seconds.
    expectTrue('not before it was unused', afterMs > (drainSeconds - 1) * 1000, `${afterMs} ms`)
    expectEqual('the old key is refused', await withOldKey(), 'refused')
    say.fact('', `the old one is refused since ${since()}, unused for ${drainSeconds} s`)
  }
}

async function rotateIssuerKey({ admin, issuer, wire }: Stage, { say, since }: Telling): Promise<void> {
  const [active] = (await admin.call('issuer-keys.list')).items.filter(({ state }) => state === 'active')
  const staged = await admin.call('issuer-keys.rotate')
  expectTrue('there is one key that signs', active !== undefined, active)
  say.fact("issuer's key", `${short(active.kid)} → ${short(staged.kid)} published at ${since()}`)
  const newest = await eventually('tokens of the new key', 10, async () =>
    [...wire.tokens.values()].find(({ kid }) => kid === staged.kid),
  )
  say.fact('', `the new one signs since ${since(newest.seenAtMs)}`)

  const goneAtMs = await eventually('the old key leaves the JWKS', 20, async () => {
    const askedAtMs = Date.now()
    const { keys } = (await (await fetch(`${issuer}/jwks`)).json()) as { keys: { kid: string }[] }
    return keys.some(({ kid }) => kid === active.kid) ? undefined : askedAtMs
  })
  const old = [...wire.tokens.values()].filter(({ kid }) => kid === active.kid)
  const lastExpiresAtMs = Math.max(...old.map(({ expiresAt }) => expiresAt)) * 1000
  expectTrue(
    'it leaves only after its last token expired',
    goneAtMs >= lastExpiresAtMs,
    `${lastExpiresAtMs - goneAtMs} ms before`,
  )
  say.fact('', `the last token of the old one expired at ${since(lastExpiresAtMs)}`)
  say.fact('', `the old one left the JWKS at ${since(goneAtMs)}`)
}
