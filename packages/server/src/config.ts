// The one schema of the configuration: each key with its default, a sentence, and why someone would change it.
import { readFileSync } from 'node:fs'
import { isIP, isIPv6 } from 'node:net'
import { canonicalResource, isSecureUrl } from '@writ/sdk/protocol/uri'
import { z } from 'zod'

interface Row<S extends z.ZodType> {
  readonly schema: S
  readonly does: string
  /** Why someone would change it; a key without a reason has no place here. */
  readonly because: string
  /** Hidden when the effective configuration is printed. */
  readonly secret?: true
}

const row = <S extends z.ZodType>(schema: S, does: string, because: string, secret?: true): Row<S> =>
  secret ? { schema, does, because, secret } : { schema, does, because }

// Texts, as the environment and flags have them, are decimal and nothing else: an empty one, null or true is no number,
// and 0x10 or 1e3 says another than it looks like.
const decimal = /^-?(?:0|[1-9]\d{0,14})$/
const whole = (min: number, max: number, standard: number) =>
  z
    .preprocess(
      value => (typeof value === 'string' && decimal.test(value) ? Number(value) : value),
      z.number().int().min(min).max(max),
    )
    .default(standard)
const seconds = whole
const onOff = (standard: 'on' | 'off') => z.enum(['on', 'off']).default(standard)

export const configRows = {
  host: row(z.string().min(1).default('127.0.0.1'), 'The address to listen on.', 'To serve other machines.'),
  port: row(whole(0, 65535, 8455), 'The port to listen on; 0 takes a free one.', 'When the port is taken.'),
  data: row(
    z.string().min(1).default('.writ'),
    'The folder for the database, the sealing key and the operator file.',
    'To keep data elsewhere.',
  ),
  issuer: row(
    z.string().max(512).optional(),
    'The issuer identifier that clients see.',
    'Behind a reverse proxy or under a name.',
  ),
  sealer: row(
    z.string().min(1).max(2048).default('file:'),
    'What holds the root key of the vault: file:, passphrase:, pkcs11:, transit: or aws-kms:, each followed by its own place.',
    'To keep the root in a hardware module or a key service.',
  ),
  databaseUrl: row(
    z.string().max(2048).optional(),
    'A PostgreSQL URL; without it the embedded database is used.',
    'To run several nodes.',
    true,
  ),
  logLevel: row(
    z.enum(['silent', 'error', 'warn', 'info', 'debug']).default('info'),
    'How much is logged.',
    'To see more, or less.',
  ),
  rateLimits: row(onOff('on'), 'Whether callers and addresses are limited.', 'Off for load tests only.'),
  ratePerSecond: row(
    whole(1, 1_000_000, 200),
    'Requests a second that one caller or address may make on average.',
    'For busy clients behind one address.',
  ),
  trustedProxies: row(
    z.string().default(''),
    'Addresses, separated by spaces, whose X-Forwarded-For is believed.',
    'Behind a reverse proxy.',
  ),
  maxBodyBytes: row(
    whole(1024, 1_048_576, 65_536),
    'The largest request body in bytes.',
    'For very large resource definitions.',
  ),
  accessTokenSeconds: row(
    seconds(3, 900, 300),
    'How long an access token lives.',
    'To trade round trips for a smaller window of misuse.',
  ),
  assertionSeconds: row(
    seconds(30, 600, 300),
    'How far ahead a client assertion may expire.',
    'For clients with bad clocks.',
  ),
  clockSkewSeconds: row(
    seconds(0, 60, 5),
    'How far clocks of others may disagree with ours.',
    'For clients with bad clocks.',
  ),
  dpopNonce: row(
    z.enum(['required', 'optional']).default('required'),
    'Whether the token endpoint demands a nonce of ours in DPoP proofs.',
    'For clients that cannot answer nonces.',
  ),
  dpopProofSeconds: row(seconds(5, 300, 60), 'How old a DPoP proof may be.', 'For clients with bad clocks.'),
  enrollmentSeconds: row(
    seconds(10, 3600, 600),
    'How long an enrolment token may be used.',
    'For slow deployments.',
  ),
  agentKeySeconds: row(
    seconds(10, 31_536_000, 604_800),
    'How long an enrolled key lives before its agent has to rotate it.',
    'To rotate more or less often.',
  ),
  drainSeconds: row(
    seconds(1, 86_400, 300),
    'For how long nobody may have used the predecessor of a rotated key or secret before it ends.',
    'For callers that pause for long.',
  ),
  drainLimitSeconds: row(
    seconds(10, 31_536_000, 86_400),
    'After how long a rotation whose predecessor is still used is blocked and its owner named.',
    'To hear of stragglers sooner, or later.',
  ),
  rotationSpreadSeconds: row(
    seconds(0, 86_400, 30),
    'Over how long instances that are asked to rotate together spread it.',
    'For very many instances.',
  ),
  issuerKeySeconds: row(
    seconds(10, 31_536_000, 2_592_000),
    'After how long the key that signs tokens is rotated by itself.',
    'To rotate more or less often.',
  ),
  issuerKeyPublishSeconds: row(
    seconds(1, 86_400, 120),
    'How long a new issuer key is published before it signs.',
    'When verifiers cache the JWKS for longer.',
  ),
  jwksCacheSeconds: row(
    seconds(1, 86_400, 60),
    'How long verifiers may cache the JWKS.',
    'To trade requests for faster rotation.',
  ),
  revocationHeartbeatSeconds: row(
    seconds(1, 5, 1),
    'How often the revocation stream shows that it lives.',
    'For very many verifiers.',
  ),
  stalenessSeconds: row(
    seconds(2, 60, 5),
    'After how long without contact a verifier denies.',
    'To ride out longer outages.',
  ),
  checkpointSeconds: row(
    seconds(1, 60, 5),
    'How often the audit log publishes a signed checkpoint.',
    'For fewer, larger steps.',
  ),
  noiseSeconds: row(
    seconds(1, 300, 10),
    'How often refused anonymous requests are summed up in the audit log.',
    'For finer or coarser counts.',
  ),
  tlsCert: row(
    z.string().optional(),
    'A PEM file with the certificate chain.',
    'To serve TLS without a proxy.',
  ),
  tlsKey: row(z.string().optional(), 'A PEM file with the private key.', 'To serve TLS without a proxy.'),
  tlsSelfSigned: row(onOff('off'), 'Serve TLS with a certificate made at start.', 'For trials.'),
  shutdownSeconds: row(
    seconds(1, 60, 4),
    'How long open requests may take after a stop signal.',
    'For slow clients.',
  ),
} as const

type Rows = typeof configRows
export type ConfigKey = keyof Rows
export type Config = { readonly [K in ConfigKey]: z.output<Rows[K]['schema']> }

export type Source = 'flag' | 'environment' | 'file' | 'default'

/** A configuration that cannot be made safe, or is not one: names the key and says why. */
export class ConfigProblem extends Error {
  readonly key: string

  constructor(key: string, say: string) {
    super(`${key}: ${say}`)
    this.key = key
  }
}

/** `accessTokenSeconds` → `WRIT_ACCESS_TOKEN_SECONDS`. */
export function environmentName(key: string): string {
  return `WRIT_${key.replace(/[A-Z]/g, letter => `_${letter}`).toUpperCase()}`
}

export interface Effective {
  readonly config: Config
  readonly sources: Readonly<Record<ConfigKey, Source>>
}

/** Flags win over the environment, the environment over the file. Throws ConfigProblem. */
export function readConfig(
  flags: Readonly<Record<string, unknown>>,
  environment: Readonly<Record<string, string | undefined>>,
  file?: string,
): Effective {
  const fromFile = file === undefined ? {} : readFile(file)
  for (const key of Object.keys(fromFile)) {
    if (!(key in configRows))
      throw new ConfigProblem(key, `is not a configuration key; see docs/configuration.md`)
  }
  const config: Record<string, unknown> = {}
  const sources: Record<string, Source> = {}
  for (const [key, { schema }] of Object.entries(configRows)) {
    const candidates: readonly [Source, unknown][] = [
      ['flag', flags[key]],
      ['environment', environment[environmentName(key)] || undefined],
      ['file', fromFile[key]],
    ]
    const [source, value] = candidates.find(([, given]) => given !== undefined) ?? [
      'default' as const,
      undefined,
    ]
    const parsed = schema.safeParse(value)
    if (!parsed.success) {
      const place = { flag: 'a flag', environment: environmentName(key), file, default: 'the default' }[
        source
      ]
      throw new ConfigProblem(key, `${sayIssue(parsed.error.issues[0])} (from ${place})`)
    }
    config[key] = parsed.data
    sources[key] = source
  }
  const effective = { config: config as Config, sources: sources as Record<ConfigKey, Source> }
  refuseUnsafe(effective.config)
  return effective
}

/** What is wrong with a value, to follow its name: `must be at most 65535`. */
export function sayIssue(issue: z.core.$ZodIssue | undefined): string {
  switch (issue?.code) {
    case 'invalid_type':
      return issue.expected === 'string' ? 'must be a text' : 'must be a whole number'
    case 'too_small':
      return issue.origin === 'string' ? 'must not be empty' : `must be at least ${issue.minimum}`
    case 'too_big':
      return `must be at most ${issue.maximum}${issue.origin === 'string' ? ' characters long' : ''}`
    case 'invalid_value':
      return `must be ${issue.values.slice(0, -1).join(', ')} or ${String(issue.values.at(-1))}`
    default:
      return 'is not valid'
  }
}

function readFile(path: string): Record<string, unknown> {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new ConfigProblem('config', `the file ${path} cannot be read: ${(cause as Error).message}`)
  }
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>
  } catch (cause) {
    throw new ConfigProblem('config', `the file ${path} is not JSON: ${(cause as Error).message}`)
  }
  throw new ConfigProblem('config', `the file ${path} must hold one JSON object`)
}

/** Refuses to start rather than to warn: each of these has let somebody in elsewhere. */
function refuseUnsafe(config: Config): void {
  const loopback = isLoopbackHost(config.host)
  const tls = config.tlsCert !== undefined || config.tlsSelfSigned === 'on'
  if ((config.tlsCert === undefined) !== (config.tlsKey === undefined)) {
    throw new ConfigProblem(
      config.tlsCert === undefined ? 'tlsCert' : 'tlsKey',
      'certificate and key go together; give both',
    )
  }
  if (config.tlsCert !== undefined && config.tlsSelfSigned === 'on') {
    throw new ConfigProblem('tlsSelfSigned', 'a certificate is given already; leave one of the two')
  }
  if (config.issuer !== undefined) checkIssuer(config.issuer)
  for (const proxy of proxiesOf(config)) checkProxy(proxy)
  if (config.databaseUrl !== undefined && !/^postgres(?:ql)?:\/\//.test(config.databaseUrl)) {
    throw new ConfigProblem('databaseUrl', 'must begin with postgres://')
  }
  // Tokens and proofs in clear on a network can be taken; only TLS here or in a proxy that is named makes that safe.
  if (!loopback && !tls && proxiesOf(config).length === 0) {
    throw new ConfigProblem(
      'host',
      `${config.host} is reachable by others without TLS; give --tls-cert and --tls-key, or name the TLS proxy in trustedProxies`,
    )
  }
  if (!loopback && config.issuer === undefined) {
    throw new ConfigProblem(
      'issuer',
      `is needed when listening on ${config.host}: clients must know under which URL`,
    )
  }
  if (!loopback && config.rateLimits === 'off') {
    throw new ConfigProblem('rateLimits', 'may be off on a loopback address only')
  }
  // A verifier that caches the JWKS longer than a key is staged would meet tokens of a key it has never seen.
  if (config.issuerKeyPublishSeconds < config.jwksCacheSeconds) {
    throw new ConfigProblem(
      'issuerKeyPublishSeconds',
      `must be at least jwksCacheSeconds (${config.jwksCacheSeconds})`,
    )
  }
  if (config.stalenessSeconds < 2 * config.revocationHeartbeatSeconds) {
    throw new ConfigProblem('stalenessSeconds', 'must span at least two heartbeats of the revocation stream')
  }
}

/** The addresses of `trustedProxies`. */
export function proxiesOf({ trustedProxies }: Pick<Config, 'trustedProxies'>): readonly string[] {
  return trustedProxies.split(/[ ,]+/).filter(Boolean)
}

/** One address in the spelling that sockets report: a network or a name would look like a rule and never match. */
function checkProxy(proxy: string): void {
  const canonical = isIPv6(proxy) ? new URL(`http://[${proxy}]`).hostname.slice(1, -1) : proxy
  if (isIP(proxy) === 0 || canonical !== proxy) {
    throw new ConfigProblem(
      'trustedProxies',
      `${proxy} is not an address in its canonical form; list each proxy by its own, such as 192.0.2.1 or 2001:db8::1`,
    )
  }
}

/** RFC 8414 §2: https, no query, no fragment; http on loopback only; no final slash, so that one issuer has one text. */
function checkIssuer(issuer: string): void {
  if (!URL.canParse(issuer)) throw new ConfigProblem('issuer', 'is not a URL')
  const url = new URL(issuer)
  if (!isSecureUrl(issuer))
    throw new ConfigProblem('issuer', 'must be https; http is for loopback addresses only')
  if (url.search || url.hash || url.username || url.password) {
    throw new ConfigProblem('issuer', 'must have no query, fragment or user')
  }
  if (issuer.endsWith('/') || (url.pathname === '/' ? url.origin : url.origin + url.pathname) !== issuer) {
    throw new ConfigProblem(
      'issuer',
      `must be written in its canonical form: ${(url.origin + url.pathname).replace(/\/+$/, '')}`,
    )
  }
  // The management API below it has to be a resource that can be asked for.
  if (canonicalResource(issuer) !== issuer) {
    throw new ConfigProblem('issuer', 'must need no percent-encoding for its letters and no dot segments')
  }
}

function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}
