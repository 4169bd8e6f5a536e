// What tests of programs in the guides have in common: an authority on a socket, its operator, and a process that runs one.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { Agent } from '@writ/sdk/agent'
import { createServer } from '@writ/server'
import { listen } from '../agent/listening.ts'

const root = join(import.meta.dirname, '../..')

export interface GuideAuthority {
  readonly issuer: string
  /** The folder of the authority. */
  readonly data: string
  readonly operator: Agent
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at member by member in assertions
  manage(method: 'GET' | 'POST', path: string, body?: object): Promise<any>
}

/** Starts one, as a user does; it ends with the stack. `manage` answers the body of what has to succeed. */
export async function guideAuthority(started: AsyncDisposableStack): Promise<GuideAuthority> {
  const data = mkdtempSync(join(tmpdir(), 'writ-guide-'))
  started.defer(() => rmSync(data, { recursive: true }))
  let answer: (request: Request) => Promise<Response>
  const { origin: issuer } = started.use(await listen(request => answer(request)))
  const server = await createServer({ data, issuer, rateLimits: 'off' })
  started.defer(() => server.close())
  answer = server.fetch
  const operator = Agent.fromCredentials(JSON.parse(readFileSync(join(data, 'operator.json'), 'utf8')))
  const management = `${issuer}/api/v1`
  const asOperator = operator.fetchFor({ resource: management, scope: 'writ:*' })
  const manage: GuideAuthority['manage'] = async (method, path, body) => {
    const headers = { 'content-type': 'application/json' }
    const made = await asOperator(management + path, {
      method,
      ...(body && { headers, body: JSON.stringify(body) }),
    })
    const said = `${path} ${await made.clone().text()}`
    assert.equal(made.status, method === 'POST' ? 201 : 200, said)
    return made.json()
  }
  return { issuer, data, operator, manage }
}

/** The programs of a page of the guide, in their order. */
export function programsOf(page: string): readonly string[] {
  const text = readFileSync(join(root, 'docs/guide', page), 'utf8')
  return [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, program = '']) => program)
}

/** What a program prints until it ends by itself, as a user would start it: nothing of ours keeps its process alive. */
export async function runProgram(
  program: string,
  environment: Readonly<Record<string, string>>,
): Promise<string> {
  const flags = process.execArgv.filter(flag => flag.startsWith('--conditions'))
  const child = spawn(process.execPath, [...flags, '--input-type=module-typescript', '-e', program], {
    cwd: root,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  assert.equal(stderr, '')
  return stdout.trim()
}
