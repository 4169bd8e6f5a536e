// The guide to protecting a resource: every program in it is run as it stands, and does what the page says. Those under
// “Decisions” need an authority that decides: `test/decision/guide.test.ts` runs them.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createHolder, type IssuerFixture, startIssuer, until } from './testing/issuer.ts'

const root = new URL('../../../../', import.meta.url)
const page = readFileSync(new URL('docs/guide/protecting-a-resource.md', root), 'utf8')
/** The programs of the page under their headings. */
const programs = [...page.matchAll(/^## (.*)$([\s\S]*?)(?=^## |$(?![\s\S]))/gm)].flatMap(
  ([, title = '', section = '']) =>
    title === 'Decisions'
      ? []
      : [...section.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code = '']) => ({ title, code })),
)
const holder = createHolder()
let issuer: IssuerFixture
before(async () => {
  issuer = await startIssuer()
})
after(() => issuer.close())

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

const run = (code: string, env: Record<string, string>) =>
  spawn(process.execPath, ['--conditions=writ-source', '--input-type=module-typescript', '-e', code], {
    cwd: fileURLToPath(root),
    env: { ...process.env, ISSUER: issuer.url, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })

const statusOf = (url: string, init?: RequestInit): Promise<number> =>
  fetch(url, init).then(
    response => response.status,
    () => 0,
  )

test('the page has a program for each framework, for MCP, and for what stands beside them', () => {
  const titles = programs.map(({ title }) => title)
  assert.deepEqual(titles.slice(0, 4), ['Hono', 'Express', 'Fastify', 'Anything that speaks fetch'])
  assert.deepEqual(titles.slice(4), ['When something ends', 'Several processes', 'MCP servers'])
})

for (const { title, code } of programs) {
  const serves = code.includes("process.env['PORT']")
  test(`the program under “${title}” ${serves ? 'guards what it serves' : 'runs'}`, async () => {
    if (!serves) {
      const child = run(code, {})
      const [status] = await once(child, 'exit')
      assert.equal(status, 0)
      return
    }
    const port = await freePort()
    const isMcp = title.startsWith('MCP')
    const resource = isMcp ? 'https://api.example/mcp' : 'https://api.example'
    const path = isMcp ? '/mcp' : '/invoices'
    const upstream = createServer((_, answer) => void answer.end('{"for":"agt_1"}')).listen(0, '127.0.0.1')
    await once(upstream, 'listening')
    const child = run(code, {
      PORT: String(port),
      UPSTREAM: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/mcp`,
    })
    try {
      const url = `http://127.0.0.1:${port}${path}`
      await until(async () => child.exitCode !== null || (await statusOf(url)) === 401, 30_000)
      assert.equal(child.exitCode, null, 'the program ended')
      const token = issuer.issue({ aud: resource, scope: 'invoices:read', cnf: { jkt: holder.jkt } })
      const headers = (): Record<string, string> =>
        holder.headers(token, { uri: `https://api.example${path}` })
      await until(async () => (await statusOf(url, { headers: headers() })) === 200)
      const answer = await fetch(url, { headers: headers() })
      assert.deepEqual(await answer.json(), { for: 'agt_1' })
      const other = issuer.issue({ aud: resource, scope: 'other', cnf: { jkt: holder.jkt } })
      const lacking = holder.headers(other, { uri: `https://api.example${path}` })
      assert.equal(await statusOf(url, { headers: lacking }), isMcp ? 200 : 403)
    } finally {
      upstream.close()
      child.kill()
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    }
  })
}
