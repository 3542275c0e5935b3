import { Command, CommanderError } from 'commander'
import { VERSION } from '../version.ts'
import { CommandError } from './command-error.ts'
import { ExitCode } from './exit-code.ts'
import type { Host } from './host.ts'
import { complain } from './output/complain.ts'
import { Session } from './session.ts'

/** Gives a command its options and what it does. */
type Define = (command: Command, session: Session) => void

interface Entry {
  readonly group: string
  readonly name: string
  readonly summary: string
  readonly load: () => Promise<Define>
}

/** A command is loaded when it is asked for, since `serve` should not wait for the others. */
const COMMANDS: readonly Entry[] = [
  {
    group: 'Run:',
    name: 'serve',
    summary: 'start the server',
    load: async () => (await import('./serve.ts')).serveCommand,
  },
  {
    group: 'Run:',
    name: 'worker',
    summary: 'run a handler file on the jobs of a server',
    load: async () => (await import('./worker.ts')).workerCommand,
  },
  {
    group: 'Use:',
    name: 'submit',
    summary: 'submit a job, or many',
    load: async () => (await import('./submit/index.ts')).submitCommand,
  },
  {
    group: 'Use:',
    name: 'jobs',
    summary: 'look at jobs and steer them',
    load: async () => (await import('./jobs/index.ts')).jobsCommand,
  },
  {
    group: 'Use:',
    name: 'queues',
    summary: 'look at queues and set their limits',
    load: async () => (await import('./queues/index.ts')).queuesCommand,
  },
  {
    group: 'Use:',
    name: 'dead',
    summary: 'look at dead letters and run them again',
    load: async () => (await import('./dead/index.ts')).deadCommand,
  },
  {
    group: 'Use:',
    name: 'operations',
    summary: 'follow and abort what acts on many jobs',
    load: async () => (await import('./operations/index.ts')).operationsCommand,
  },
  {
    group: 'Use:',
    name: 'events',
    summary: 'import, export and follow log events',
    load: async () => (await import('./events/index.ts')).eventsCommand,
  },
  {
    group: 'Use:',
    name: 'workers',
    summary: 'see who works, and drain workers',
    load: async () => (await import('./workers/index.ts')).workersCommand,
  },
  {
    group: 'Administer:',
    name: 'keys',
    summary: 'make and delete API keys',
    load: async () => (await import('./keys/index.ts')).keysCommand,
  },
  {
    group: 'Administer:',
    name: 'config',
    summary: 'show the configuration in force',
    load: async () => (await import('./config.ts')).configCommand,
  },
  {
    group: 'Administer:',
    name: 'doctor',
    summary: 'look for what is wrong',
    load: async () => (await import('./doctor/index.ts')).doctorCommand,
  },
  {
    group: 'Administer:',
    name: 'db',
    summary: 'look after the database, and move to another one',
    load: async () => (await import('./db/index.ts')).dbCommand,
  },
  {
    group: 'Administer:',
    name: 'openapi',
    summary: 'print the OpenAPI document',
    load: async () => (await import('./openapi.ts')).openapiCommand,
  },
  {
    group: 'Administer:',
    name: 'demo',
    summary: 'work off GitHub’s example webhooks and show what happened',
    load: async () => (await import('./demo/index.ts')).demoCommand,
  },
]

const HELP_HINT = 'Run the command with --help for its arguments and options.'

/** Runs the command that `argv` names. @returns the exit code. */
export async function run(argv: readonly string[], host: Host): Promise<ExitCode> {
  const session = new Session(host, asksForJson(argv))
  try {
    const program = await createProgram(argv, session)
    await program.parseAsync([...argv], { from: 'user' })
    const { endedBy, failure } = session
    if (endedBy !== null || failure === null) return endedBy ?? ExitCode.ok
    // People have been told by then.
    if (session.json) complain(session, failure)
    return failure.exitCode
  } catch (error) {
    return session.endedBy ?? (await failed(error, session))
  } finally {
    session.finish()
  }
}

/** Known before the command line is understood, since that may fail. */
function asksForJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  return argv.slice(0, end === -1 ? argv.length : end).includes('--json')
}

async function createProgram(argv: readonly string[], session: Session): Promise<Command> {
  const program = new Command('octoflow')
    .description('Takes work in, runs it, and keeps what happened.')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this page')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => session.out.write(text),
      writeErr: (text) => session.json || session.err.write(text),
      outputError: (text, write) => write(`octoflow: ${plainer(text)}`),
      getOutHelpWidth: () => Math.min(120, session.out.width),
      getErrHelpWidth: () => Math.min(120, session.err.width),
      getOutHasColors: () => true,
      getErrHasColors: () => true,
    })
    .configureHelp({ styleTitle: (title) => session.out.paint('bold', title) })
    .helpCommand(false)
    .showHelpAfterError(HELP_HINT)
  for (const { group, name, summary, load } of COMMANDS) {
    const command = program
      .command(name)
      .summary(summary)
      .description(`${sentence(summary)}.`)
      .helpGroup(group)
      .helpCommand(false)
    // Also for `octoflow help jobs`.
    if (argv.slice(0, 2).includes(name)) (await load())(command, session)
  }
  addHelpCommand(program)
  return program
}

/** Commander's own knows the pages of the first level only. */
function addHelpCommand(program: Command): void {
  program
    .command('help')
    .argument('[command...]', 'such as jobs list')
    .summary('print the page of a command')
    .description('Print the page of a command.')
    .helpGroup('Administer:')
    .action((names: readonly string[]) => {
      let page = program
      for (const name of names) {
        const next = page.commands.find((command) => command.name() === name)
        if (next === undefined) page.error(`error: unknown command '${name}'`)
        else page = next
      }
      page.outputHelp()
    })
}

/** Commander's words, as far as they are not everybody's. */
const plainer = (text: string): string =>
  text
    .replace(/^error: /, '')
    .replace(/^command-argument value '(.*?)' is invalid for argument '(.*?)'\./s, "'$1' does not fit as <$2>.")
    .replace(/^option '(.*?)' argument '(.*?)' is invalid\./s, "'$2' does not fit as $1.")

const sentence = (text: string): string => text[0]!.toUpperCase() + text.slice(1)

async function failed(error: unknown, session: Session): Promise<ExitCode> {
  if (error instanceof CommanderError && error.exitCode === 0) return ExitCode.ok
  const failure = await toFailure(error, session)
  // Commander has told people of its errors.
  if (session.json || !(error instanceof CommanderError)) complain(session, failure)
  return failure.exitCode
}

function toFailure(error: unknown, session: Session): CommandError | Promise<CommandError> {
  if (error instanceof CommanderError) return new CommandError(ExitCode.usage, plainer(error.message), HELP_HINT)
  return error instanceof CommandError ? error : session.explain(error)
}
