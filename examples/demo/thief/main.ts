// Somebody who has a copy of one request, token and proof included, but not the key. Prints what each attempt met.
import { randomUUID } from 'node:crypto'
import { text } from 'node:stream/consumers'
import { createProof } from '@writ/sdk/protocol/dpop'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'

interface Loot {
  readonly url: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

process.stdout.write(`thief: ready ${process.pid}\n`)
const { url, method, headers, body } = JSON.parse(await text(process.stdin)) as Loot
const token = headers['authorization']?.split(' ')[1] ?? ''
const { sign } = generateKeyPair('ES256')
const nowSeconds = Math.floor(Date.now() / 1000)
const ownProof = createProof({
  key: sign,
  method,
  uri: url,
  accessToken: token,
  nowSeconds,
  jti: randomUUID(),
})

const { dpop: capturedProof, ...withoutProof } = headers
const attempts = {
  ownKey: { ...headers, dpop: ownProof },
  sameProof: { ...headers, dpop: capturedProof ?? '' },
  bearer: { ...withoutProof, authorization: `Bearer ${token}` },
}
const met: Record<string, { status: number; error: unknown }> = {}
for (const [name, shown] of Object.entries(attempts)) {
  const answer = await fetch(url, { method, headers: shown, body })
  const said = (await answer.json().catch(() => ({}))) as Record<string, unknown>
  met[name] = { status: answer.status, error: said['error'] }
}
process.stdout.write(JSON.stringify(met))
