import type { Job } from '@octoflow/protocol'
import type { Command } from 'commander'
import type { ServerOptions } from '../client/find-server.ts'
import { CommandError } from '../command-error.ts'
import { ExitCode } from '../exit-code.ts'
import { addExamples, addJsonOption, addServerOptions, type JsonOption } from '../options.ts'
import type { Session } from '../session.ts'
import { instant, jobIds, label, wholeNumber } from '../values.ts'
import { changeJobs } from './change.ts'

interface Options extends ServerOptions, JsonOption {
  readonly priority?: number
  readonly runAt?: string
  readonly label?: Readonly<Record<string, string>>
  /** `false` for `--no-labels`. */
  readonly labels: boolean
}

export function editCommand(jobs: Command, session: Session): void {
  const command = jobs
    .command('edit')
    .summary('change pending jobs')
    .description('Change what has not started yet.')
    .argument('<id...>', 'the jobs’ numbers, or last for the newest', jobIds)
    .option('--priority <0-9>', '0 is the most urgent', wholeNumber(0, 9))
    .option('--run-at <time>', 'not to be started before: 2026-11-21T10:15:30Z', instant)
    .option('--label <name=value>', 'take the place of all labels; may be given several times', label)
    .option('--no-labels', 'take all labels away')
  addJsonOption(command)
  addServerOptions(command)
  addExamples(command, [['octoflow jobs edit 12 --priority 0', 'the next to start']])
  command.action((ids: readonly string[], { priority, runAt, label: given, labels, ...options }: Options) => {
    const newLabels = labels ? given : {}
    const change = { priority, runAt, labels: newLabels }
    if (Object.values(change).every((value) => value === undefined))
      throw new CommandError(
        ExitCode.usage,
        'There is nothing to change.',
        'Give --priority, --run-at, --label or --no-labels.',
      )
    return changeJobs(session, ids, options, {
      change: (client, id) => client.patch<Job>(`/jobs/${id}`, change),
      tell: ({ id }) => `Job ${id} is changed.`,
    })
  })
}
