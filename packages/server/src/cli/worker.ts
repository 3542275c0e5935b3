import { type Command, Option } from 'commander'
import { ISOLATIONS } from '../config/settings.ts'
import { findServer, type ServerOptions, shownPath } from './client/find-server.ts'
import { CommandError } from './command-error.ts'
import { ExitCode } from './exit-code.ts'
import { addExamples, addServerOptions } from './options.ts'
import type { Session } from './session.ts'
import { duration, list, wholeNumber } from './values.ts'

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
    .requiredOption('-q, --queue <name>', 'the queue whose jobs to take; may be given several times', list)
    .option('-c, --concurrency <number>', 'jobs at once (default: as many as there are processors)', wholeNumber(1, 10_000))
    .addOption(new Option('--isolation <where>', 'where the file runs').choices(ISOLATIONS).default('inline'))
    .option(
      '--lease <time>',
      'how long a job stays with a worker that gives no sign of life (default: 30s)',
      duration(1, 86_400),
    )
    .option('--name <name>', 'what the worker is called on the server (default: the name of this machine)')
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
  const [{ TransportError, Worker, WorkerError }, { url, key }] = await Promise.all([
    import('@octoflow/worker'),
    findServer(host, options),
  ])
  const queues = options.queue.join(', ')
  try {
    const worker = new Worker({
      url,
      authorizationKey: key ?? undefined,
      queues: options.queue,
      process: file,
      isolation: options.isolation,
      concurrency: options.concurrency,
      leaseSeconds: options.lease,
      name: options.name,
    })
    // Signals are obeyed from here on. Nothing is announced before it has started: a file that cannot be used works on nothing.
    const ended = worker.run()
    await Promise.race([worker.start(), ended])
    out.line(
      `Working on ${queues} with ${shownPath(file, host.cwd)}, for ${url}. Ctrl-C ends it when the jobs in hand are done.`,
    )
    await ended
    out.line('The worker has ended; it holds no jobs.')
  } catch (error) {
    if (error instanceof TransportError)
      throw new CommandError(CODES[error.kind], error.message, HINTS[error.kind], { cause: error })
    if (!(error instanceof WorkerError)) throw error
    const code = error.code === 'options_invalid' ? ExitCode.usage : ExitCode.config
    throw new CommandError(code, error.message, '', { cause: error })
  }
}

const CODES = {
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
