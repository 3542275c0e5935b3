import type { Backoff, Queue, QueueChange, RateLimit } from '@octoflow/protocol'
import type { Command } from 'commander'
import { connect } from '../client/api-client.ts'
import type { ServerOptions } from '../client/find-server.ts'
import { CommandError } from '../command-error.ts'
import { ExitCode } from '../exit-code.ts'
import { addExamples, addJsonOption, addServerOptions, type JsonOption } from '../options.ts'
import type { Session } from '../session.ts'
import { backoff, daysNumber, NONE, orNone, rateLimit, wholeNumber } from '../values.ts'
import { printQueue } from './view.ts'

interface Options extends ServerOptions, JsonOption {
  readonly concurrency?: number | typeof NONE
  readonly keyConcurrency?: number | typeof NONE
  readonly rateLimit?: RateLimit | typeof NONE
  readonly keyRateLimit?: RateLimit | typeof NONE
  readonly maxAttempts?: number | typeof NONE
  readonly backoff?: Backoff | typeof NONE
  readonly retentionDays?: number | typeof NONE
  readonly handler?: string | typeof NONE
}

/** With no limit for each key, a key would do nothing: jobs of one key run one after the other unless more is said. */
const DEFAULT_KEY_CONCURRENCY = 1

export function setCommand(queues: Command, session: Session): void {
  const limit = orNone(wholeNumber(1, 1_000_000))
  const command = queues
    .command('set')
    .summary('change the settings of a queue')
    .description(
      'Change the settings of a queue; it is made if there is none of that name. The word none takes a setting away.',
    )
    .argument('<queue>', 'its name')
    .option('--concurrency <number>', 'so many of its jobs run at once', limit)
    .option('--key-concurrency <number>', 'so many jobs of one concurrency key run at once (none: 1)', limit)
    .option('--rate-limit <rate>', 'so many jobs start within so much time: 100/60s', orNone(rateLimit))
    .option('--key-rate-limit <rate>', 'likewise for each concurrency key', orNone(rateLimit))
    .option('--max-attempts <number>', 'its jobs are tried so often (none: 3)', orNone(wholeNumber(1, 1_000)))
    .option(
      '--backoff <waits>',
      'between attempts: the first wait, the factor of the next, the longest, the random share: 5s,2,1h,0.2',
      orNone(backoff),
    )
    .option(
      '--retention-days <number>',
      'its finished jobs are kept so long (none: as the configuration says)',
      orNone(daysNumber),
    )
    .option('--handler <file>', 'the server runs its jobs with this file, relative to the app’s root', orNone(String))
  addJsonOption(command)
  addServerOptions(command)
  addExamples(command, [
    ['octoflow queues set emails --rate-limit 100/60s', 'at most 100 a minute'],
    ['octoflow queues set emails --rate-limit none --concurrency 4', 'four at once, at any rate'],
  ])
  command.action((name: string, options: Options) => set(session, name, options))
}

async function set(session: Session, name: string, options: Options): Promise<void> {
  const change = changeOf(options)
  if (Object.values(change).every((value) => value === undefined))
    throw new CommandError(ExitCode.usage, 'There is nothing to change.', 'Give at least one setting; --help lists them.')
  const client = await connect(session, options)
  const { value, text } = await client.patch<Queue>(`/queues/${encodeURIComponent(name)}`, change)
  if (options.json) session.out.jsonText(text)
  else printQueue(session.out, value)
}

const changeOf = (options: Options): { readonly [Name in keyof QueueChange]: QueueChange[Name] | undefined } => ({
  concurrency: orNull(options.concurrency),
  keyConcurrency: options.keyConcurrency === NONE ? DEFAULT_KEY_CONCURRENCY : options.keyConcurrency,
  rateLimit: orNull(options.rateLimit),
  keyRateLimit: orNull(options.keyRateLimit),
  maxAttempts: orNull(options.maxAttempts),
  backoff: orNull(options.backoff),
  retentionDays: orNull(options.retentionDays),
  handler: orNull(options.handler),
})

const orNull = <Value>(value: Value | typeof NONE | undefined): Value | null | undefined =>
  value === NONE ? null : (value as Value)
