// Every configuration key as a flag, its value judged where it is typed: a wrong value is wrong usage.
import { type Command, InvalidArgumentError, Option } from 'commander'
import {
  type ConfigKey,
  configRows,
  type Effective,
  environmentName,
  readConfig,
  sayIssue,
} from '../../config.ts'
import type { Terminal } from '../command.ts'

/** Flags that are spelt otherwise than their key, and what their values are called. */
const spelt: Readonly<Partial<Record<ConfigKey, string>>> = {
  databaseUrl: '--database <url>',
  host: '--host <address>',
  logLevel: '--log-level <level>',
  maxBodyBytes: '--max-body-bytes <bytes>',
  port: '--port <port>',
  ratePerSecond: '--rate-per-second <requests>',
  rateLimits: '--rate-limits <on|off>',
  dpopNonce: '--dpop-nonce <required|optional>',
  tlsCert: '--tls-cert <file>',
  tlsKey: '--tls-key <file>',
  tlsSelfSigned: '--tls-self-signed',
  trustedProxies: '--trusted-proxies <addresses>',
}

/** On the program already, because every command has them. */
const forAll: ReadonlySet<string> = new Set(['data', 'issuer'])

/** `trustedProxies` → `--trusted-proxies`. */
export function flagOf(key: ConfigKey): string {
  const own = spelt[key]?.split(' ')[0]
  return own ?? `--${key.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`
}

export function configurable(made: Command): Command {
  made.option('--config <file>', 'a JSON file with configuration keys')
  for (const [name, { does }] of Object.entries(configRows)) {
    const key = name as ConfigKey
    if (forAll.has(key)) continue
    const option = new Option(spelt[key] ?? `${flagOf(key)} <seconds>`, sayOption(key, does))
    made.addOption(option.required ? option.argParser(judge(key)) : option)
  }
  return made
}

function sayOption(key: ConfigKey, does: string): string {
  const standard = configRows[key].schema.safeParse(undefined).data
  const unless =
    standard === undefined || standard === '' || standard === 'off' ? '' : `; default ${standard}`
  return `${does.charAt(0).toLowerCase()}${does.slice(1).replace(/\.$/, '')} (${environmentName(key)}${unless})`
}

function judge(key: ConfigKey): (text: string) => string {
  return text => {
    const problem = problemOf(key, text)
    if (problem === undefined) return text
    throw new InvalidArgumentError(`${problem}.`)
  }
}

function problemOf(key: ConfigKey, text: string): string | undefined {
  const parsed = configRows[key].schema.safeParse(text)
  return parsed.success ? undefined : sayIssue(parsed.error.issues[0])
}

/** The configuration of a command that takes these flags. Throws ConfigProblem. */
export function configOf(used: Command, { environment }: Pick<Terminal, 'environment'>): Effective {
  const {
    database,
    tlsSelfSigned,
    config: file,
    json: _json,
    ...flags
  } = used.optsWithGlobals<Record<string, unknown>>()
  const given = {
    ...flags,
    databaseUrl: database,
    ...(tlsSelfSigned === true ? { tlsSelfSigned: 'on' } : {}),
  }
  return readConfig(given, environment, file as string | undefined)
}
