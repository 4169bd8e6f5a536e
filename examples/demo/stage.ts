// The real parts, each its own process: the authority, an MCP server of somebody else's behind our proxy, an API.
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type AdminClient, createAdminClient } from '@writ/sdk/admin'
import { Agent, type OperatorCredentials } from '@writ/sdk/agent'
import type { Narrator } from './narrator.ts'
import type { Ended, Processes } from './processes.ts'
import { openWiretap, type Wiretap } from './wiretap.ts'

/** So short that nobody has to wait for the end of a token; the defaults are in docs/configuration.md. */
export const lifetimes = {
  accessTokenSeconds: 3,
  drainSeconds: 3,
  rotationSpreadSeconds: 2,
  issuerKeyPublishSeconds: 2,
  jwksCacheSeconds: 1,
  clockSkewSeconds: 0,
  checkpointSeconds: 1,
}

/** The authority alone, and what every chapter does with it. */
export interface Authority {
  /** Deleted at the end. */
  readonly folder: string
  readonly data: string
  readonly issuer: string
  readonly operator: OperatorCredentials
  readonly admin: AdminClient
  readonly wire: Wiretap
  readonly processes: Processes
  /** Starts one of the programs beside this one, which stays; resolves with the address that it is ready at. */
  start(name: string, file: string, options?: Started): Promise<string>
  /** Runs one of them to its end. */
  program(name: string, file: string, options?: Started): Promise<Ended>
  /** Runs the writ command to its end. */
  writ(...args: string[]): Promise<Ended>
}

export interface Stage extends Authority {
  /** The MCP endpoint that agents see, and its resource identifier: that of the proxy. */
  readonly mcp: string
  /** The API and its resource identifier. */
  readonly api: string
  /** The key of the audit log, kept from before anything happened: a key that comes with an export proves nothing. */
  readonly logKey: string
}

interface Started {
  readonly args?: readonly string[]
  /** Options of Node, before the program. */
  readonly flags?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly input?: () => Promise<string>
}

const at = (file: string): string => fileURLToPath(new URL(file, import.meta.url))
const binary = at('../../node_modules/.bin/writ')
const everything = '@modelcontextprotocol/server-everything'

export function openFolder(): string {
  return mkdtempSync(join(tmpdir(), 'writ-demo-'))
}

export async function openAuthority(
  folder: string,
  processes: Processes,
  settings: Readonly<Record<string, number>>,
): Promise<Authority> {
  const data = join(folder, 'data')
  const config = join(folder, 'writ.json')
  writeFileSync(config, JSON.stringify(settings, null, 2))
  const issuer = await processes.start({
    name: 'writ serve',
    command: binary,
    args: ['serve', '--port', '0', '--data', data, '--config', config],
  })
  const operator = JSON.parse(readFileSync(join(data, 'operator.json'), 'utf8')) as OperatorCredentials
  const wire = openWiretap()
  return {
    folder,
    data,
    issuer,
    operator,
    admin: operatorOf({ data, wire }),
    wire,
    processes,
    start: (name, file, options = {}) => processes.start({ name, ...node(at(`../${file}`), options) }),
    program: (name, file, options = {}) => processes.run({ name, ...node(at(`../${file}`), options) }),
    writ: (...args) =>
      processes.run({
        name: `writ ${args.slice(0, 2).join(' ')}`,
        command: binary,
        args: ['--data', data, '--issuer', issuer, ...args],
        // Whole lines, so that a step tells them apart by how they begin.
        environment: { COLUMNS: '1000' },
      }),
  }
}

/** A program that does not outlive the demo. */
function node(file: string, { args = [], flags = [], ...started }: Started) {
  const leash = ['--import', at('./leash/main.ts')]
  return {
    command: process.execPath,
    args: [...process.execArgv, ...leash, ...flags, file, ...args],
    isLeashed: true,
    ...started,
  }
}

export async function openStage(folder: string, processes: Processes, narrator: Narrator): Promise<Stage> {
  const manifest = createRequire(import.meta.url).resolve(`${everything}/package.json`)
  const [authority, upstream] = await Promise.all([
    openAuthority(folder, processes, lifetimes),
    processes.start({
      name: 'server-everything',
      ...node(join(manifest, '../dist/index.js'), {
        flags: ['--import', at('./loopback/main.ts')],
        args: ['streamableHttp'],
        environment: { PORT: '0' },
      }),
    }),
  ])
  const { issuer, start } = authority
  const environment = { WRIT_ISSUER: issuer, MCP_UPSTREAM: `${upstream}/mcp`, PORT: '0' }
  const [mcp, api] = await Promise.all([
    start('mcp-proxy', 'mcp-proxy/main.ts', { environment }),
    start('protected-api', 'protected-api/main.ts', { environment }),
  ])

  narrator.fact('authority', `${issuer}  writ serve, SQLite`)
  narrator.fact('MCP server', `${upstream}/mcp  ${everything.split('/')[1]}, unchanged`)
  narrator.fact('MCP proxy', `${mcp}  examples/mcp-proxy`)
  narrator.fact('API', `${api}  examples/protected-api`)

  const described = await fetch(`${issuer}/.well-known/writ-configuration`)
  const { audit } = (await described.json()) as { readonly audit: { readonly public_key: string } }
  return { ...authority, mcp, api, logKey: audit.public_key }
}

/** The operator with the key that its file holds now. */
export function operatorOf({ data, wire }: Pick<Stage, 'data' | 'wire'>): AdminClient {
  const operator = JSON.parse(readFileSync(join(data, 'operator.json'), 'utf8')) as OperatorCredentials
  return createAdminClient(Agent.fromCredentials(operator, { fetch: wire.fetch }))
}

/** The resources as the operator registers them: which scopes there are is said here, and nowhere in a token's favour. */
export async function registerResources({ admin, mcp, api }: Stage): Promise<void> {
  const scope = (name: string, description: string) => ({ name, description })
  await admin.call('resources.create', {
    body: {
      identifier: mcp,
      name: 'Everything, behind Writ',
      scopes: [scope('echo:call', 'Call the tool echo'), scope('sum:call', 'Call the tool get-sum')],
    },
  })
  await admin.call('resources.create', {
    body: { identifier: api, name: 'Reports', scopes: [scope('reports:read', 'Read reports')] },
  })
}
