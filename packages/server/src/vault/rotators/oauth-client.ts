// The rotator `oauth-client`: a new secret for a client of another authorization server, by an update (RFC 7592 §2.2).
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import { type JsonObject, parseJsonObject } from '@writ/sdk/protocol/json'
import { Secret } from '@writ/sdk/protocol/secret'
import { isSecureUrl } from '@writ/sdk/protocol/uri'
import { z } from 'zod'
import { type Answer, exchange, refusal } from './outbound.ts'
import type { Held, Rotator, RotatorContext } from './rotator.ts'

const text = z.string().regex(/^[\x20-\x7e]{1,1024}$/, 'is printable ASCII')

const options = z.strictObject({
  /** Where the new secret is tried, by a client_credentials request. */
  tokenEndpoint: z.string().refine(isSecureUrl, 'is an https URL'),
  /** Further parameters of that request, such as `scope` or `resource`. */
  parameters: z
    .record(z.string().regex(/^[a-z_]{1,64}$/), text)
    .refine(given => !Object.keys(given).some(name => /^(?:grant_type|client_)/.test(name)), 'are not those')
    .default({}),
  timeoutSeconds: z.int().min(1).max(30).default(10),
})

type Options = z.infer<typeof options>
type Context = RotatorContext<Options>

/** The whole value. The registration access token goes with each version, because each update may replace it. */
interface Credential {
  readonly clientId: string
  readonly clientSecret: string
  readonly registrationToken: string
  readonly registrationUri: string
}

// RFC 7592 §2.2: an update must not have them.
const neverSent: ReadonlySet<string> = new Set([
  'registration_access_token',
  'registration_client_uri',
  'client_secret_expires_at',
  'client_id_issued_at',
])
// The secret is right where the server says what this client, which it knows by then, may not (RFC 6749 §5.2).
const saidToAuthenticated = 'unauthorized_client'

export const oauthClient: Rotator<Options> = {
  kind: 'oauth-client',
  options,
  makes: 'versions',
  proof: 'last_use',
  async propose({ current }) {
    if (current !== null) return { value: format(credentialOf(current.value)), handle: null }
    throw new Fault(
      'conflict',
      'Register the client at its server, and give the whole answer (RFC 7591 §3.2.1) as the first version.',
      { kind: 'first_version' },
    )
  },
  async stage(context) {
    const { current, next } = context
    const known = credentialOf(next.value)
    // What the server answered is stored already: each further update would make one more secret.
    if (current === null || next.handle !== null) return {}
    const staged = await renewed(context, known)
    const isOld = staged.clientSecret === known.clientSecret
    // With a new token the old one is void: it has to be kept, and `verify` says the same of the secret.
    if (isOld && staged.registrationToken === known.registrationToken) throw unchanged(known)
    return { value: format(staged), handle: staged.clientId }
  },
  async verify(context) {
    const { current, next } = context
    const credential = credentialOf(next.value)
    if (current !== null && credential.clientSecret === credentialOf(current.value).clientSecret)
      throw unchanged(credential)
    await authenticate(context, credential)
  },
  async promote() {
    // The server has no such notion: it takes both.
  },
  given(value) {
    const { clientId, clientSecret } = credentialOf(value)
    return new Secret(JSON.stringify({ client_id: clientId, client_secret: clientSecret }))
  },
  async retire() {
    // RFC 7592 cannot end one secret of a client and leave the other: the server drains the former one by itself. Nothing
    // is asked of it either, for each use of the former secret would put its end off.
  },
}

/** What the server has after the update, as far as it says so. */
async function renewed(context: Context, known: Credential): Promise<Credential> {
  const metadata = await registration(context, known, 'GET')
  const read = merged(known, metadata)
  // An update whose answer was lost: what it made is told here, by servers that can tell it.
  if (read.clientSecret !== known.clientSecret) return read
  const asked = Object.entries(metadata).filter(([name]) => !neverSent.has(name))
  const body = { ...Object.fromEntries(asked), client_id: read.clientId, client_secret: read.clientSecret }
  try {
    return merged(read, await registration(context, read, 'PUT', JSON.stringify(body)))
  } catch (error) {
    // Reading may replace the token as well (RFC 7592 §3), and then this is the only place that has it.
    if (isFault(error) && read.registrationToken !== known.registrationToken) return read
    throw error
  }
}

async function registration(
  { options: { timeoutSeconds }, signal }: Context,
  { clientId, registrationToken, registrationUri }: Credential,
  method: 'GET' | 'PUT',
  body?: string,
): Promise<JsonObject> {
  const sent = {
    method,
    url: registrationUri,
    headers: {
      accept: 'application/json',
      // RFC 6750 §2.1.
      authorization: `Bearer ${registrationToken}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body }),
    timeoutSeconds,
    reads: true,
  }
  const answer = await exchange(sent, signal)
  if (answer.status === 401) throw tokenRefused(registrationUri)
  // No refusal of the client: two secrets are in use there, and a third comes once the older one is drained.
  if (answer.status === 409)
    throw new Fault(
      'temporarily_unavailable',
      `${originOf(registrationUri)} has two secrets in use already.`,
      {
        kind: 'upstream_busy',
        origin: originOf(registrationUri),
      },
    )
  if (answer.status !== 200)
    throw refusal(sent, answer.status, method === 'GET' ? 'read the client' : 'update it')
  const members = parseJsonObject(answer.body)
  if (members?.['client_id'] === clientId) return members
  throw new Fault('conflict', `${originOf(registrationUri)} answers with something else than this client.`, {
    kind: 'upstream_unlike',
  })
}

/** RFC 7592 §3: the client has to use what the newest answer has. */
function merged(known: Credential, answer: JsonObject): Credential {
  const said = (name: string): string | undefined => {
    const value = answer[name]
    return typeof value === 'string' && isPlain(value) ? value : undefined
  }
  const uri = said('registration_client_uri')
  // The token never goes to a place that only an answer has named.
  const isNear = uri !== undefined && isSecureUrl(uri) && originOf(uri) === originOf(known.registrationUri)
  return {
    clientId: known.clientId,
    clientSecret: said('client_secret') ?? known.clientSecret,
    registrationToken: said('registration_access_token') ?? known.registrationToken,
    registrationUri: isNear ? uri : known.registrationUri,
  }
}

async function authenticate(context: Context, { clientId, clientSecret }: Credential): Promise<void> {
  const { tokenEndpoint, parameters, timeoutSeconds } = context.options
  // RFC 6749 §2.3.1: both are form-encoded before they are joined, so that a colon in one is none between them.
  const pair = `${formEncoded(clientId)}:${formEncoded(clientSecret)}`
  const sent = {
    method: 'POST' as const,
    url: tokenEndpoint,
    headers: {
      accept: 'application/json',
      'content-type': 'application/x-www-form-urlencoded',
      authorization: `Basic ${Buffer.from(pair).toString('base64')}`,
    },
    body: new URLSearchParams({ ...parameters, grant_type: 'client_credentials' }).toString(),
    timeoutSeconds,
    reads: true,
  }
  const answer = await exchange(sent, context.signal)
  if (answer.status === 200 || errorOf(answer) === saidToAuthenticated) return
  throw refusal(sent, answer.status, 'take the new client secret')
}

function errorOf({ status, body }: Answer): unknown {
  return status === 400 || status === 403 ? parseJsonObject(body)?.['error'] : undefined
}

function credentialOf(value: Held['value']): Credential {
  const members = parseJsonObject(value.reveal()) ?? {}
  const [clientId, clientSecret, registrationToken, registrationUri] = [
    members['client_id'],
    members['client_secret'],
    members['registration_access_token'],
    members['registration_client_uri'],
  ]
  if (isPlain(clientId) && isPlain(clientSecret) && isPlain(registrationToken) && isPlain(registrationUri))
    if (isSecureUrl(registrationUri)) return { clientId, clientSecret, registrationToken, registrationUri }
  throw new Fault(
    'conflict',
    'The version is no JSON object with client_id, client_secret, registration_access_token and an https ' +
      'registration_client_uri (RFC 7591 §3.2.1): give one that is.',
    { kind: 'value_unusable' },
  )
}

function format({ clientId, clientSecret, registrationToken, registrationUri }: Credential): Secret<string> {
  return new Secret(
    JSON.stringify({
      client_id: clientId,
      client_secret: clientSecret,
      registration_access_token: registrationToken,
      registration_client_uri: registrationUri,
    }),
  )
}

// RFC 6749 appendix A.1 and A.2 (VSCHAR): what can stand in a header, and so begin no other.
function isPlain(value: unknown): value is string {
  return typeof value === 'string' && /^[\x20-\x7e]{1,4096}$/.test(value)
}

function formEncoded(plain: string): string {
  return new URLSearchParams([['', plain]]).toString().slice(1)
}

function originOf(url: string): string {
  return new URL(url).origin
}

function unchanged({ registrationUri }: Credential): Fault {
  return new Fault(
    'conflict',
    `${originOf(registrationUri)} returns the old secret: rotate it there by hand, and give the new one as a version.`,
    { kind: 'upstream_unchanged', origin: originOf(registrationUri) },
  )
}

function tokenRefused(registrationUri: string): Fault {
  return new Fault(
    'conflict',
    `${originOf(registrationUri)} does not take the registration access token any more: have a new one issued there, ` +
      'and give the whole credential as a version.',
    { kind: 'registration_token_refused', origin: originOf(registrationUri) },
  )
}
