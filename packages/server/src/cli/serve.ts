// writ serve: the authority in the foreground, until a signal asks it to stop.
import type { Command } from 'commander'
import { processSurroundings } from '../compose/surroundings.ts'
import { start } from '../compose.ts'
import { configRows, readConfig } from '../config.ts'
import { command, type Terminal } from './command.ts'

/** `trustedProxies` → `--trusted-proxies`. */
function flagOf(key: string): string {
  return `--${key.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`
}

/** Flags that are spelt otherwise than their key. */
const spelt: Readonly<Record<string, string>> = {
  databaseUrl: '--database <url>',
  tlsSelfSigned: '--tls-self-signed',
}

export function serveCommand(terminal: Terminal): Command {
  const serve = command('serve', 'run the authority').option(
    '--config <file>',
    'a JSON file with configuration keys',
  )
  for (const [key, { does }] of Object.entries(configRows)) {
    if (key === 'data' || key === 'issuer') continue
    serve.option(spelt[key] ?? `${flagOf(key)} <value>`, does)
  }
  return serve.action(async (_options: unknown, used: Command) => {
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
    const { config } = readConfig(given, terminal.environment, file as string | undefined)
    const around = processSurroundings(config)
    if (config.rateLimits === 'off')
      terminal.stderr.write('writ: rate limits are off; this is for load tests only\n')
    const started = await start(config, around)
    terminal.stdout.write(`writ: ready ${started.issuer}\n`)
    await stopSignal()
    await started.close()
    around.flush()
  })
}

function stopSignal(): Promise<void> {
  return new Promise(resolve => {
    process.once('SIGTERM', resolve)
    process.once('SIGINT', resolve)
  })
}
