// writ serve: the authority in the foreground, until a signal asks it to stop.
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import type { Command } from 'commander'
import { operatorFile, trialCertificateFile } from '../compose/places.ts'
import type { Started } from '../compose.ts'
import type { Config } from '../config.ts'
import { command, exitCodes, type Terminal } from './command.ts'
import { configOf, configurable } from './config/flags.ts'

export function serveCommand(terminal: Terminal): Command {
  return configurable(command('serve', 'run the authority')).action(
    async (_options: unknown, used: Command) => {
      const { config } = configOf(used, terminal)
      const stopping = stopSignal()
      const [{ processSurroundings }, { start }] = await Promise.all([
        import('../compose/surroundings.ts'),
        import('../compose.ts'),
      ])
      const around = processSurroundings(config)
      const isFirst = !existsSync(operatorFile(config.data))
      const started = await start(config, around)
      const sealed = started.opening.sealedBecause()
      if (sealed !== undefined) {
        terminal.stderr.write(`writ: sealed, and trying again: ${sealed}\n`)
        await Promise.race([started.opening.opened, stopping])
      }
      if (started.opening.sealedBecause() === undefined) {
        terminal.stdout.write(`writ: ready ${started.issuer}\n`)
        for (const hint of hintsOf(config, isFirst)) terminal.stderr.write(`writ: ${hint}\n`)
      }
      await stopping
      await closed(started, config, terminal)
      around.flush()
    },
  )
}

/** Beyond `shutdownSeconds`, for what closing the store takes. */
const graceMs = 700

/** A database that is away must keep nobody from stopping: whatever was answered is on its disk already. */
async function closed(started: Started, config: Config, terminal: Terminal): Promise<void> {
  const late = (): void => {
    terminal.stderr.write('writ: stopped without waiting for the database any longer\n')
    process.exit(exitCodes.done)
  }
  const timer = setTimeout(late, config.shutdownSeconds * 1000 + graceMs)
  await started.close()
  // From here on it keeps nothing alive by itself, and ends whatever else does.
  timer.unref()
}

function hintsOf(config: Config, isFirst: boolean): string[] {
  const operator = operatorFile(config.data)
  const data = config.data === '.writ' ? '' : ` --data ${config.data}`
  return [
    ...(config.rateLimits === 'off' ? ['rate limits are off; this is for load tests only'] : []),
    ...(config.tlsSelfSigned === 'on'
      ? [
          `the certificate is for trials; clients trust it by NODE_EXTRA_CA_CERTS=${trialCertificateFile(config.data)}`,
        ]
      : []),
    ...(isFirst && existsSync(operator)
      ? [
          `first start: the operator's key is in ${operator}, readable by you alone; in another terminal, ` +
            `writ agent create${data} --name reporter --purpose "weekly report" makes the first agent`,
        ]
      : []),
  ]
}

const stopSignals = ['SIGTERM', 'SIGINT'] as const

/** A terminal signals the whole group, and npm passes on what it got itself: two at once are one wish. */
const echoMs = 150

/** The first signal drains; who sends a second one does not want to wait. */
function stopSignal(): Promise<void> {
  return new Promise(resolve => {
    let askedMs: number | undefined
    for (const signal of stopSignals) {
      process.on(signal, () => {
        const nowMs = performance.now()
        if (askedMs !== undefined && nowMs - askedMs > echoMs) process.exit(128 + constants.signals[signal])
        askedMs ??= nowMs
        resolve()
      })
    }
  })
}
