// RFC 6749 §2.3.1 and RFC 7617: client id and secret in the Authorization header, each form-encoded before the base64.
import { parseBase64 } from '@writ/sdk/protocol/base64'
import { Secret } from '@writ/sdk/protocol/secret'
import { one } from '../evidence.ts'
import { proveSecret, type Shown } from './client-secret.ts'
import type { ClientAuthMethod } from './method.ts'

/** RFC 9110 §11.4: the scheme in any case, one space, and a token68 within bounds. */
const credentials = /^Basic ([A-Za-z0-9+/]{4,2048}={0,2})$/i

export const clientSecretBasic: ClientAuthMethod = {
  name: 'client_secret_basic',

  // The scheme alone decides: credentials that cannot be read are bad ones, not none.
  isUsed: ({ authorization }) => authorization !== undefined && /^Basic(?: |$)/i.test(authorization),

  async prove(ctx, deps, evidence) {
    const shown = parseBasic(evidence.authorization ?? '')
    const named = one(evidence.form, 'client_id')
    // A client_id beside the header must name the same client, or two readers of the request see two clients.
    const agreed = named === undefined || named === shown?.client
    return proveSecret(ctx, deps, this.name, agreed ? shown : undefined)
  },
}

/** Undefined where the header is not exactly what a client writes. */
export function parseBasic(authorization: string): Shown | undefined {
  const bytes = parseBase64(credentials.exec(authorization)?.[1] ?? '')
  const text = bytes && decodeUtf8(bytes)
  if (text === undefined) return undefined
  // RFC 7617 §2: the first colon ends the user id; those of the id itself are encoded.
  const colon = text.indexOf(':')
  if (colon < 1) return undefined
  const client = decodeForm(text.slice(0, colon))
  const secret = decodeForm(text.slice(colon + 1))
  return client === undefined || !secret ? undefined : { client, secret: new Secret(secret) }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    return undefined
  }
}

/** RFC 6749 Appendix B, once: what was encoded twice stays encoded, and names nobody. */
function decodeForm(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch (error) {
    if (!(error instanceof URIError)) throw error
    return undefined
  }
}
