// Token requests made ahead, as agents would make them.
import { randomUUID } from 'node:crypto'
import { createProof, proofHeader } from '@writ/sdk/protocol/dpop'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import { preparedHeader, signJws } from '@writ/sdk/protocol/jws'
import { requestBytes } from './load.ts'
import { api, type Caller } from './population.ts'

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** Token requests as the agents would make them, each with an assertion and a proof of its own. */
export async function tokenRequests(
  issuer: string,
  by: readonly Caller[],
  count: number,
  resource = api,
): Promise<readonly Buffer[]> {
  const { port } = new URL(issuer)
  const nonce = await nonceOf(issuer)
  const now = Math.floor(Date.now() / 1000)
  const uri = `${issuer}/token`
  const headers = by.map(({ key }) => ({
    assertion: preparedHeader({ typ: 'client-authentication+jwt', kid: key.jkt }, key.alg),
    proof: proofHeader(key),
  }))
  return Array.from({ length: count }, (_, at) => {
    const caller = by[at % by.length] as Caller
    const header = headers[at % by.length] as (typeof headers)[number]
    const { clientId, key } = caller
    const claims = { iss: clientId, sub: clientId, aud: issuer, jti: randomUUID(), iat: now, exp: now + 240 }
    const body = new URLSearchParams({
      grant_type: 'client_credentials',
      resource,
      client_assertion_type: assertionType,
      client_assertion: signJws(header.assertion, claims, key),
    })
    const dpop = createProof({ key, method: 'POST', uri, nonce, nowSeconds: now, header: header.proof })
    return requestBytes(
      Number(port),
      '/token',
      { 'content-type': 'application/x-www-form-urlencoded', dpop },
      body.toString(),
    )
  })
}

/** A nonce of the token endpoint, as a stranger gets it. */
async function nonceOf(issuer: string): Promise<string> {
  const uri = `${issuer}/token`
  const { sign } = generateKeyPair('ES256')
  const answer = await fetch(uri, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      dpop: createProof({ key: sign, method: 'POST', uri, nowSeconds: Math.floor(Date.now() / 1000) }),
    },
    body: 'grant_type=client_credentials',
  })
  const nonce = answer.headers.get('dpop-nonce')
  await answer.body?.cancel()
  if (nonce === null) throw new Error(`no nonce: ${answer.status}`)
  return nonce
}

/** One access token, for the API unless told. */
export async function tokenFor(issuer: string, caller: Caller, resource = api): Promise<string> {
  const [request] = await tokenRequests(issuer, [caller], 1, resource)
  const [head = '', body = ''] = String(request).split('\r\n\r\n')
  const dpop = /^dpop: (.*)$/m.exec(head)?.[1]?.trim() ?? ''
  const answer = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', dpop },
    body,
  })
  return ((await answer.json()) as { access_token: string }).access_token
}
