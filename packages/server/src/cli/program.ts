// The program: one file per noun, of which only the one that was named is loaded.
import { readFileSync } from 'node:fs'
import { type Command, CommanderError } from 'commander'
import type { Reach } from './audit/audit.ts'
import { command, exitCodes, helpCommand, programCommand, type Terminal } from './command.ts'
import { endingOf } from './failure.ts'

interface Noun {
  readonly does: string
  load(terminal: Terminal): Promise<Command>
}

/** Every command; a new one is a file and a row. */
const nouns: Readonly<Record<string, Noun>> = {
  serve: { does: 'run the authority', load: async on => (await import('./serve.ts')).serveCommand(on) },
  agent: {
    does: 'create, see, change and stop agents, and let instances enrol',
    load: async on => (await import('./agents/agent.ts')).agentCommand(on),
  },
  instance: {
    does: 'see the running instances of an agent',
    load: async on => (await import('./agents/instance.ts')).instanceCommand(on),
  },
  key: {
    does: 'see, register and revoke keys of agents; see and rotate those of this authority',
    load: async on => (await import('./agents/key.ts')).keyCommand(on),
  },
  rotate: {
    does: 'rotate one key or secret, or everything',
    load: async on => (await import('./rotation/rotate.ts')).rotateCommand(on),
  },
  rotation: {
    does: 'see rotations and who still uses an old version, and decide them',
    load: async on => (await import('./rotation/status.ts')).rotationCommand(on),
  },
  schedule: {
    does: 'rotate by a cron expression or a maximum age',
    load: async on => (await import('./rotation/schedule.ts')).scheduleCommand(on),
  },
  resource: {
    does: 'register, see, change and delete protected resources',
    load: async on => (await import('./resource.ts')).resourceCommand(on),
  },
  grant: {
    does: 'give, see and take back rights',
    load: async on => (await import('./grant.ts')).grantCommand(on),
  },
  grants: {
    does: 'the same as grant',
    load: async on => (await import('./grant.ts')).grantCommand(on).name('grants'),
  },
  eligibility: {
    does: 'say what an agent may have opened for a while, and by whose approval',
    load: async on => (await import('./activation/eligibility.ts')).eligibilityCommand(on),
  },
  activate: {
    does: 'ask that rights an agent is eligible for are opened for a while',
    load: async on => (await import('./activation/activate.ts')).activateCommand(on),
  },
  approval: {
    does: 'see what waits for a decision, and decide it',
    load: async on => (await import('./activation/approval.ts')).approvalCommand(on),
  },
  halt: {
    does: 'stop something at once until it is lifted, and see that it has arrived',
    load: async on => (await import('./enforcement/halt.ts')).haltCommand(on),
  },
  drill: {
    does: 'halt a canary and measure until every connected enforcement point enforces it',
    load: async on => (await import('./enforcement/drill.ts')).drillCommand(on),
  },
  risk: {
    does: 'say how risky an agent, an instance, a session or a person is',
    load: async on => (await import('./enforcement/risk.ts')).riskCommand(on),
  },
  session: {
    does: 'see and end sessions of agents',
    load: async on => (await import('./enforcement/session.ts')).sessionCommand(on),
  },
  secret: {
    does: 'put secrets into the vault, and say who may have them',
    load: async on => (await import('./secret.ts')).secretCommand(on),
  },
  client: {
    does: 'register, see, change, stop and delete other OAuth clients',
    load: async on => (await import('./client.ts')).clientCommand(on),
  },
  person: {
    does: 'create, see, change, stop and delete people',
    load: async on => (await import('./person.ts')).personCommand(on),
  },
  group: {
    does: 'create, see and delete groups of people, and say who belongs to them',
    load: async on => (await import('./policy/group.ts')).groupCommand(on),
  },
  policy: {
    does: 'check policies, store them, try them, put them into force and take them back',
    load: async on => (await import('./policy/policy.ts')).policyCommand(on),
  },
  events: {
    does: 'read the audit log',
    load: async on => (await import('./audit/events.ts')).eventsCommand(on),
  },
  why: {
    does: 'show the path from person to action, and what decided it',
    load: async on => (await import('./audit/why.ts')).whyCommand(on, await reachOf(on)),
  },
  'why-not': {
    does: 'say what refuses an operation of an agent, and the smallest grant that would help',
    load: async on => (await import('./audit/why-not.ts')).whyNotCommand(on),
  },
  audit: {
    does: 'export and verify the audit log',
    load: async on => (await import('./audit/audit.ts')).auditCommand(on, await reachOf(on)),
  },
  token: {
    does: 'print an access token for the operator, as JSON',
    load: async on => (await import('./token.ts')).tokenCommand(on),
  },
  config: {
    does: 'check the configuration, and say what there is to set',
    load: async on => (await import('./config/config.ts')).configCommand(on),
  },
  migrate: {
    does: 'bring the database to the schema of this version, and say what was done',
    load: async on => (await import('./migrate.ts')).migrateCommand(on),
  },
}

async function reachOf(terminal: Terminal): Promise<Reach> {
  const { connect } = await import('./operator/connect.ts')
  let open = fetch
  return {
    async connect(options) {
      const connection = await connect(terminal, options)
      open = connection.openFetch
      return connection
    },
    fetch: (input, init) => open(input, init),
  }
}

/** Runs one command line and answers the exit code; errors are one sentence on stderr. */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const program = await programOf(terminal, named(args))
    await program.parseAsync(args, { from: 'user' })
    return exitCodes.done
  } catch (error) {
    // Help and version have been printed, and are no errors.
    if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.done
    const { say, exitCode } = endingOf(error)
    terminal.stderr.write(`writ: ${say}\n`)
    return exitCode
  }
}

/** The program with every noun; whole where `isWanted` says so, else with its name and what it does. */
export async function programOf(terminal: Terminal, isWanted: (noun: string) => boolean): Promise<Command> {
  const program = programCommand().version(version(), '--version', 'print the version').helpCommand(false)
  for (const [name, { does, load }] of Object.entries(nouns)) {
    program.addCommand(isWanted(name) ? await load(terminal) : command(name, does))
  }
  program.addCommand(helpCommand())
  const output = {
    writeOut: (text: string) => void terminal.stdout.write(text),
    writeErr: (text: string) => void terminal.stderr.write(text),
  }
  const printTo = (one: Command): void => {
    one.configureOutput(output)
    one.commands.forEach(printTo)
  }
  printTo(program)
  return program
}

/** Which noun a command line names: also that of `writ help agent`. Names that are values of options load one more. */
function named(args: readonly string[]): (noun: string) => boolean {
  const words = new Set(args)
  return noun => words.has(noun)
}

function version(): string {
  const manifest = new URL('../../package.json', import.meta.url)
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { readonly version: string }).version
}
