import type { Command } from 'commander'
import { CommandError } from '../command-error.ts'
import { ExitCode } from '../exit-code.ts'
import { addExamples, addJsonOption, addServerOptions } from '../options.ts'
import type { Session } from '../session.ts'
import { duration, instant, label, wholeNumber } from '../values.ts'
import type { SubmitOptions } from './settings.ts'

export function submitCommand(command: Command, session: Session): void {
  command
    .argument('<queue>', 'the queue that the job is for')
    .argument('[payload]', 'JSON, or @file, or - for standard input (default: {})')
    .option('--file <lines>', 'submit a job for each line of this file (- for standard input), which is its payload as JSON')
    .option('--priority <0-9>', '0 is the most urgent (default: 5)', wholeNumber(0, 9))
    .option('--delay <time>', 'not to be started before this time has passed: 90s, 5m, 2h', duration(0, 315_360_000))
    .option('--run-at <time>', 'not to be started before: 2026-11-21T10:15:30Z', instant)
    .option('--max-attempts <number>', 'tried so often (default: as its queue says)', wholeNumber(1, 1_000))
    .option('--unique-key <key>', 'make no job while another with this key is unfinished in the queue')
    .option('--concurrency-key <key>', 'jobs with the same key run one after the other, or as many as the queue allows')
    .option('--timeout <time>', 'how long an attempt may take', duration(0.001, 31_536_000))
    .option('--label <name=value>', 'to find the job by; may be given several times', label)
    .option('--idempotency-key <key>', 'a repetition with the same key submits nothing again')
    .option('--wait [time]', 'wait until the job has finished, and print its result', duration(0, 2_000_000))
  command.options.find(({ long }) => long === '--run-at')!.conflicts(['delay'])
  command.options.find(({ long }) => long === '--file')!.conflicts(['wait'])
  addJsonOption(command)
  addServerOptions(command)
  addExamples(command, [
    [`octoflow submit greet '{"name":"Ada"}'`, 'a job for the queue greet'],
    [`octoflow submit greet '{"name":"Ada"}' --wait 30s`, 'and its result'],
    ['octoflow submit report @order.json --delay 2h', 'the payload from a file, in two hours'],
    ['octoflow submit import --file rows.ndjson', 'a job for every line'],
  ])
  command.action((queue: string, payload: string | undefined, options: SubmitOptions) =>
    submit(session, queue, payload, options),
  )
}

async function submit(session: Session, queue: string, payload: string | undefined, options: SubmitOptions): Promise<void> {
  if (options.file === undefined) {
    const { submitOne } = await import('./one.ts')
    return submitOne(session, queue, payload ?? '{}', options)
  }
  if (payload !== undefined)
    throw new CommandError(ExitCode.usage, 'A payload and --file cannot go together.', 'Give one of them.')
  const { submitLines } = await import('./lines.ts')
  await submitLines(session, queue, options.file, options)
}
