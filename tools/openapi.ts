// docs/openapi.json and the types of the admin client: both from what a running server says of its management API.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createServer } from '@writ/server'
import { type OpenApi, renderClient } from './openapi-client.ts'

const root = join(import.meta.dirname, '..')

/** Generated file → its text. Asks a server of its own, as everybody else would. */
export const renderOpenapi = async (): Promise<Readonly<Record<string, string>>> => {
  const data = mkdtempSync(join(tmpdir(), 'writ-openapi-'))
  const issuer = 'https://writ.example'
  const server = await createServer({ data, issuer })
  try {
    const answer = await server.fetch(new Request(`${issuer}/api/v1/openapi.json`))
    const document = (await answer.json()) as OpenApi
    return {
      'docs/openapi.json': `${JSON.stringify(document, null, 2)}\n`,
      ...Object.fromEntries(
        Object.entries(renderClient(document)).map(([file, text]) => [file, formatted(file, text)]),
      ),
    }
  } finally {
    await server.close()
    rmSync(data, { recursive: true, force: true })
  }
}

/** As the formatter of the house would write it, so that generated code stands in review like any other. */
const formatted = (file: string, source: string): string =>
  execFileSync(join(root, 'node_modules/.bin/biome'), ['format', `--stdin-file-path=${file}`], {
    cwd: root,
    encoding: 'utf8',
    input: source,
  })

if (import.meta.main) {
  for (const [file, text] of Object.entries(await renderOpenapi())) {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    writeFileSync(join(root, file), text)
  }
}
