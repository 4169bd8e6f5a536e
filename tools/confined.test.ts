// Confined words against planted programs: the words are seen where they are meant, and only there.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkConfined } from './confined.ts'
import { plant } from './tree.ts'

const domain = 'packages/server/src/domain/scope.ts'
const protocol = 'packages/server/src/protocol/token/issue.ts'

const problemsOf = (file: string, code: string): readonly string[] =>
  checkConfined(plant({ [file]: code })).problems

const seen: [file: string, code: string][] = [
  [domain, 'export async function narrow() {}'],
  [domain, 'export const narrow = async () => 1'],
  [domain, 'export async function f() {\n  for await (const x of []) x()\n}'],
  [domain, 'export const now = () => Date.now()'],
  [domain, 'export const now = () => new Date()'],
  [domain, 'export const f = (x: Promise<number>) => x'],
  [domain, 'export const f = () => process.env.HOME'],
  [domain, 'export const f = () => globalThis.crypto.randomUUID()'],
  [domain, 'export const f = () => crypto.randomUUID()'],
  [domain, 'setTimeout(() => {}, 1)'],
  [protocol, 'export const f = () => Date.now()'],
  [protocol, 'export const f = () => fetch("https://example.test")'],
  [protocol, 'export const f = (r: Request) => r'],
  [protocol, 'export const f = ({ body }: Request) => body'],
  [protocol, 'export const f = () => new Response()'],
  [protocol, 'console.log(1)'],
  [protocol, 'export const level = process.env.LEVEL'],
  ['packages/sdk/src/protocol/jwk.ts', 'export const f = (r: Response) => r'],
  ['packages/sdk/src/resource/fetch.ts', 'export const n = Math.random()'],
]

for (const [file, code] of seen) {
  test(`${file} may not say: ${code}`, () => {
    assert.equal(problemsOf(file, code).length > 0, true)
  })
}

const unseen: [file: string, code: string][] = [
  [domain, '// async, Date.now() and fetch in a comment\nexport const text = "await fetch"'],
  [domain, 'export const f = (at: number) => new Date(at)'],
  [domain, 'export const f = (step: { fetch: string }) => step.fetch'],
  [domain, 'export const f = (process: string) => process'],
  [protocol, 'export const f = ({ fetch }: { fetch: () => void }) => fetch()'],
  [protocol, 'interface TokenRequest { readonly Request: string }'],
  [protocol, 'export const f = async () => await Promise.resolve(1)'],
  ['packages/server/src/http/app.ts', 'export const f = (r: Request) => new Response(r.url)'],
  ['packages/server/src/domain/scope.test.ts', 'export const f = async () => Date.now()'],
]

for (const [file, code] of unseen) {
  test(`${file} may say: ${code}`, () => {
    assert.deepEqual(problemsOf(file, code), [])
  })
}

test('the problem names the line and the reason', () => {
  assert.deepEqual(problemsOf(domain, '\n\nexport const f = () => Date.now()'), [
    `${domain}:3 says Date.now: the domain is pure and synchronous`,
  ])
})
