import type { Job } from '@octoflow/protocol'
import type { Command } from 'commander'
import type { ServerOptions } from '../client/find-server.ts'
import { addExamples, addJsonOption, addServerOptions, type JsonOption } from '../options.ts'
import type { Session } from '../session.ts'
import { jobIds } from '../values.ts'
import { changeJobs } from './change.ts'

interface Options extends ServerOptions, JsonOption {
  readonly reason?: string
}

export function cancelCommand(jobs: Command, session: Session): void {
  const command = jobs
    .command('cancel')
    .summary('cancel jobs')
    .description('Cancel jobs: a pending one at once, a running one as soon as its worker hears of it.')
    .argument('<id...>', 'the jobs’ numbers, or last for the newest', jobIds)
    .option('--reason <text>', 'for the job’s timeline')
  addJsonOption(command)
  addServerOptions(command)
  addExamples(command, [['octoflow jobs cancel 12 13 --reason "sent by mistake"', 'two jobs']])
  command.action((ids: readonly string[], options: Options) =>
    changeJobs(session, ids, options, {
      change: (client, id) =>
        client.post<Job>(`/jobs/${id}/cancel`, options.reason === undefined ? {} : { reason: options.reason }),
      tell: ({ id, state }) =>
        state === 'cancelled' ? `Job ${id} is cancelled.` : `Job ${id} is asked to stop; it is ${state}.`,
    }),
  )
}
