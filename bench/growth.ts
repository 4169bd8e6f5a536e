// What size costs: start and memory with 100,000 agents, and issuance at 1,000,000 beside issuance at 1,000.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rate } from './issuance.ts'
import { type Figure, sideBySide } from './measure.ts'
import { type Caller, populate } from './population.ts'
import { type Running, type Site, siteAt, startAuthority } from './processes.ts'

const few = 1_000
const many = 100_000
const most = 1_000_000
/** Of each population so many ask, so that what is measured is the weight of the others. */
const callers = 200

export async function growth(): Promise<readonly Figure[]> {
  const home = mkdtempSync(join(tmpdir(), 'writ-bench-'))
  try {
    return [...(await startUp(home)), await issuanceGrown(home)]
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

async function startUp(home: string): Promise<readonly Figure[]> {
  const site = await siteAt(join(home, 'many'))
  await populate(site, 0, many)
  const writ = await startAuthority(site)
  const resident = writ.residentMb()
  await writ.stop()
  return [
    {
      name: `ready with ${many.toLocaleString('en-US')} agents`,
      value: writ.readyMs / 1000,
      unit: 's',
      target: { at: 'most', bound: 1 },
    },
    {
      name: `memory with ${many.toLocaleString('en-US')} agents`,
      value: resident,
      unit: 'MB',
      target: { at: 'most', bound: 300 },
    },
  ]
}

interface Grown {
  readonly site: Site
  readonly writ: Running
  readonly by: readonly Caller[]
}

async function grown(data: string, agents: number): Promise<Grown> {
  const site = await siteAt(data)
  const by = await populate(site, callers, agents - callers)
  return { site, writ: await startAuthority(site), by }
}

async function issuanceGrown(home: string): Promise<Figure> {
  const small = await grown(join(home, 'few'), few)
  console.error(`bench: making ${most.toLocaleString('en-US')} agents …`)
  const large = await grown(join(home, 'most'), most)
  const measured =
    ({ writ, site, by }: Grown) =>
    () =>
      rate(writ, site.issuer, by)
  try {
    await measured(small)()
    await measured(large)()
    const [slow, fast, ratio] = await sideBySide(5, measured(small), measured(large))
    return {
      name: `issuance time at ${most.toLocaleString('en-US')} agents`,
      value: 1e6 / fast,
      unit: 'µs',
      floor: { name: `at ${few.toLocaleString('en-US')}`, value: 1e6 / slow },
      ratio,
      target: { at: 'most', bound: 1.3 },
    }
  } finally {
    await Promise.all([small.writ.stop(), large.writ.stop()])
  }
}
