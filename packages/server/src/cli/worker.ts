import { resolve } from 'node:path'
import type { LogFields, Logger, LogLevel } from '@octoflow/worker'
import { type Command, Option } from 'commander'
import { ISOLATIONS } from '../config/settings.ts'
import { describeFailure, whyUnreadable } from '../config/text-file.ts'
import { keyRefused } from './client/api-errors.ts'
import { findServer, type ServerOptions, shownPath } from './client/find-server.ts'
import { CommandError } from './command-error.ts'
import { ExitCode } from './exit-code.ts'
import { addExamples, addServerOptions } from './options.ts'
import type { Session } from './session.ts'
import { duration, names, wholeNumber } from './values.ts'

interface Options extends ServerOptions {
  readonly queue: readonly string[]
  readonly concurrency?: number
  readonly isolation: (typeof ISOLATIONS)[number]
  readonly lease?: number
  readonly name?: string
}

export function workerCommand(command: Command, session: Session): void {
  command
    .description('Take jobs from a server and run a file that exports `process` on them, until a signal ends it.')
    .argument('<file>', 'TypeScript or JavaScript that exports a function named process')
    .requiredOption('-q, --queue <name>', 'the queue whose jobs to take; may be given several times', names())
    .option('-c, --concurrency <number>', 'jobs at once (default: as many as there are processors)', wholeNumber(1, 10_000))
    .addOption(new Option('--isolation <where>', 'where the file runs').choices(ISOLATIONS).default('inline'))
    .option(
      '--lease <time>',
      'how long a job stays with a worker that gives no sign of life (default: 30s)',
      duration(1, 86_400),
    )
    .option('--name <name>', 'what the worker is called on the server (default: the name of this machine)')
    .option('--json', 'print a JSON document when it begins and one when it has ended, and log JSON lines')
  addServerOptions(command)
  addExamples(command, [
    ['octoflow worker workers/greet.ts --queue greet', 'as many jobs at once as there are processors'],
    ['octoflow worker thumbnail.ts -q images -c 4 --isolation process', 'four child processes'],
  ])
  command.action((file: string, options: Options) => work(session, file, options))
}

async function work(session: Session, file: string, options: Options): Promise<void> {
  const { host, out } = session
  session.detach()
  const path = resolve(host.cwd, file)
  const reason = whyUnreadable(path)
  if (reason !== null) throw new CommandError(ExitCode.usage, `${file} cannot be read: ${describeFailure(reason)}.`, NAME_FILE)
  const [{ TransportError, Worker, WorkerError }, address] = await Promise.all([
    import('@octoflow/worker'),
    findServer(host, options),
  ])
  const { url, key } = address
  const queues = options.queue.join(', ')
  const say = (text: string, document: object): void => (session.json ? out.json(document) : out.line(text))
  try {
    const worker = new Worker({
      url,
      authorizationKey: key ?? undefined,
      queues: options.queue,
      process: path,
      isolation: options.isolation,
      concurrency: options.concurrency,
      leaseSeconds: options.lease,
      name: options.name,
      logger: session.json ? await jsonLogger(session) : undefined,
    })
    // Signals are obeyed from here on. Nothing is announced before it has started: a file that cannot be used works on nothing.
    const ended = worker.run()
    await Promise.race([worker.start(), ended])
    say(`Working on ${queues} with ${shownPath(file, host.cwd)}, for ${url}. Ctrl-C ends it when the jobs in hand are done.`, {
      state: 'working',
      queues: options.queue,
      file: path,
      url,
    })
    await ended
    say('The worker has ended; it holds no jobs.', { state: 'ended' })
  } catch (error) {
    if (!(error instanceof WorkerError)) throw error
    const { code, message } = error
    if (error instanceof TransportError) {
      const shown = code === 'unauthorized' ? keyRefused(address) : message
      throw new CommandError(EXIT_CODES[error.kind], shown, HINTS[error.kind], { code, cause: error })
    }
    if (code === 'options_invalid') throw new CommandError(ExitCode.usage, message, HELP, { code, cause: error })
    throw new CommandError(ExitCode.failed, message, MEND_FILE, { code, cause: error })
  }
}

/** Takes what handlers log, whatever it is, for a line of JSON. */
async function jsonLogger({ err }: Session): Promise<Logger> {
  const { pino, stdTimeFunctions, stdSerializers } = await import('pino')
  const lines = pino(
    {
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
      serializers: { error: stdSerializers.err },
    },
    { write: (line: string) => err.jsonPart(line) },
  )
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}): void =>
      lines[level](fields, message)
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

const NAME_FILE = 'Name a TypeScript or JavaScript file that exports a function named process.'
const MEND_FILE = 'Mend the file; nothing was taken from the server yet.'
const HELP = '`octoflow worker --help` tells what fits.'

const EXIT_CODES = {
  refused: ExitCode.denied,
  rejected: ExitCode.failed,
  misdirected: ExitCode.unreachable,
  unavailable: ExitCode.unreachable,
} as const

const HINTS = {
  refused: 'Give a key with the role worker, or a higher one, with --key or OCTOFLOW_KEY.',
  rejected: 'Update the worker and the server to the same version.',
  misdirected: 'Name the server with --url or OCTOFLOW_URL; it says its address at its start.',
  unavailable: 'Look at the server’s log.',
} as const
