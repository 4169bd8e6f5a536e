// Ten thousand instances are asked at once to rotate their keys, and may not come at once (fault F16).
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type AdminClient, createAdminClient } from '@writ/sdk/admin'
import { Agent, type OperatorCredentials } from '@writ/sdk/agent'
import type { Figure } from '../measure.ts'
import { type Running, type Site, siteAt, startAuthority } from '../processes.ts'
import { type Herd, inParallel, raise } from './instances.ts'
import { rotateAll } from './operator.ts'

const size = Number(process.env['WRIT_BENCH_HERD']) || 10_000
/** As many of one address as a node lets follow its stream, with some to spare; the others hear with their tokens. */
const listening = Math.min(400, Math.floor(size / 2))
const withinSeconds = 60
/** How much busier than an even share a second may be. */
const mostOverShare = 1.5
const jwksEveryMs = 20
const limitMs = 180_000
/** Short drains: nothing here waits for the old keys. */
const settings = { WRIT_ROTATION_SPREAD_SECONDS: `${withinSeconds}`, WRIT_DRAIN_SECONDS: '5' }

export async function herd(): Promise<readonly Figure[]> {
  const home = mkdtempSync(join(tmpdir(), 'writ-bench-'))
  const site: Site = { ...(await siteAt(home)), settings }
  const authority = await startAuthority(site)
  try {
    return await measured(site, authority)
  } finally {
    await authority.stop()
    rmSync(home, { recursive: true, force: true })
  }
}

const api = 'https://api.example'

async function measured({ data, issuer }: Site, authority: Running): Promise<readonly Figure[]> {
  const file = join(data, 'operator.json')
  const admin = adminOf(file)
  const scopes = [{ name: 'read', description: 'Reads' }]
  await admin.call('resources.create', { body: { identifier: api, name: 'API', scopes } })
  console.error(`bench: enrolling ${size} instances …`)
  const enrolledMs = performance.now()
  const instances = await raise(admin, { size, listening })
  console.error(`bench: enrolled in ${secondsSince(enrolledMs)} s`)
  // The streams are open before anybody is asked.
  await pause(2000)
  const jwks = watchJwks(issuer)
  const before = { seconds: authority.cpuSeconds(), ms: performance.now() }
  const { batch, begun } = await rotateAll({ data, issuer })
  const asking = { wallMs: performance.now() - before.ms, cpu: authority.cpuSeconds() - before.seconds }
  console.error(`bench: ${begun} rotations begun in ${(asking.wallMs / 1000).toFixed(1)} s`)
  const tokens = performance.now()
  await inParallel(instances.hearing, agent => agent.token({ resource: api }))
  console.error(`bench: all others heard with their tokens in ${secondsSince(tokens)} s`)
  await untilRenewed(instances)
  const seconds = (performance.now() - before.ms) / 1000
  const cpu = authority.cpuSeconds() - before.seconds
  const polled = await jwks.stop()
  // The operator's own key was among those that rotated.
  const successors = await successorsOf(adminOf(file), batch)
  const registered = instances.agents.filter(agent => successors.has(agent.key().thumbprint)).length
  for (const agent of instances.agents) agent.close()
  return figuresOf({
    instances,
    registered,
    polled,
    asking,
    cpu,
    seconds,
    residentMb: authority.residentMb(),
  })
}

const adminOf = (file: string): AdminClient =>
  createAdminClient(Agent.fromCredentials(JSON.parse(readFileSync(file, 'utf8')) as OperatorCredentials))

const secondsSince = (ms: number): string => ((performance.now() - ms) / 1000).toFixed(1)

async function untilRenewed({ agents, renewedAtMs }: Herd): Promise<void> {
  for (const deadline = performance.now() + limitMs; renewedAtMs.size < agents.length; await pause(200)) {
    if (performance.now() > deadline) {
      throw new Error(`${agents.length - renewedAtMs.size} instances kept their key`)
    }
  }
}

/** The keys that are in use by now through the rotations of instance keys in the batch. */
async function successorsOf(admin: AdminClient, batch: string): Promise<ReadonlySet<string>> {
  const successors = new Set<string>()
  const query = { batch, kind: 'instance_key', limit: 200 } as const
  for await (const { to, state } of admin.pages('rotations.list', { query })) {
    if (to !== null && state !== 'staged' && state !== 'failed') successors.add(to)
  }
  return successors
}

interface Polled {
  readonly polls: number
  readonly errors: number
  readonly longestMs: number
}

function watchJwks(issuer: string): { stop(): Promise<Polled> } {
  let isOver = false
  const tally = { polls: 0, errors: 0, longestMs: 0 }
  const poll = async (): Promise<void> => {
    while (!isOver) {
      const beganMs = performance.now()
      try {
        const answer = await fetch(`${issuer}/jwks`)
        const { keys } = (await answer.json()) as { keys: unknown[] }
        if (answer.status !== 200 || keys.length === 0) tally.errors += 1
      } catch {
        tally.errors += 1
      }
      tally.polls += 1
      tally.longestMs = Math.max(tally.longestMs, performance.now() - beganMs)
      await pause(jwksEveryMs)
    }
  }
  const polling = poll()
  return {
    async stop() {
      isOver = true
      await polling
      return tally
    },
  }
}

interface Outcome {
  readonly instances: Herd
  readonly registered: number
  readonly polled: Polled
  readonly asking: { readonly wallMs: number; readonly cpu: number }
  readonly cpu: number
  readonly seconds: number
  readonly residentMb: number
}

/** The most that came in one second, and an even share of one. */
function busiest(momentsMs: readonly number[]): { readonly most: number; readonly share: number } {
  const first = Math.min(...momentsMs)
  const bySecond = Map.groupBy(momentsMs, ms => Math.floor((ms - first) / 1000))
  const counts = [...bySecond.values()].map(({ length }) => length)
  return { most: Math.max(...counts), share: momentsMs.length / withinSeconds }
}

function figuresOf(outcome: Outcome): readonly Figure[] {
  const { instances, registered, polled, asking, cpu, seconds } = outcome
  const { most, share } = busiest([...instances.cameAtMs.values()])
  for (const failure of instances.failures.slice(0, 20)) console.error(`bench: ${failure}`)
  console.error(
    `bench: ${instances.tally.posts} posts of theirs in ${seconds.toFixed(1)} s, at most ${instances.tally.mostWaiting} waited; ` +
      `server ${cpu.toFixed(1)} s, ${Math.round(outcome.residentMb)} MB; asking took ${asking.cpu.toFixed(1)} s of it`,
  )
  const none = { at: 'most', bound: 0 } as const
  const of = `${size} asked at once:`
  return [
    {
      name: `${of} successors registered`,
      value: registered,
      unit: '',
      target: { at: 'least', bound: size },
    },
    {
      name: `${of} rotations begun in the busiest second`,
      value: most,
      unit: '/s',
      floor: { name: `even over ${withinSeconds} s`, value: share },
      ratio: most / share,
      target: { at: 'most', bound: mostOverShare },
    },
    { name: `${of} failures of instances`, value: instances.failures.length, unit: '', target: none },
    { name: `${of} errors of the JWKS`, value: polled.errors, unit: `of ${polled.polls}`, target: none },
    { name: `${of} longest wait for the JWKS`, value: polled.longestMs, unit: 'ms' },
    { name: `${of} until all were asked`, value: asking.wallMs / 1000, unit: 's' },
    { name: `${of} until the last had its successor`, value: seconds, unit: 's' },
    { name: `${of} time of the server per rotation`, value: (cpu * 1000) / size, unit: 'ms' },
  ]
}
