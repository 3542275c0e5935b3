import type { Command } from 'commander'
import type { ServerOptions } from '../client/find-server.ts'
import { addExamples, addJsonOption, addServerOptions, type JsonOption } from '../options.ts'
import type { Session } from '../session.ts'
import { jobIds } from '../values.ts'
import { changeJobs } from './change.ts'

interface Options extends ServerOptions, JsonOption {}

export function deleteCommand(jobs: Command, session: Session): void {
  const command = jobs
    .command('delete')
    .summary('delete jobs')
    .description('Delete jobs with their requests, events and results.')
    .argument('<id...>', 'the jobs’ numbers, or last for the newest', jobIds)
  addJsonOption(command)
  addServerOptions(command)
  addExamples(command, [['octoflow jobs delete 12', 'for good']])
  command.action((ids: readonly string[], options: Options) =>
    changeJobs(session, ids, options, {
      async change(client, id) {
        await client.delete(`/jobs/${id}`)
        return { text: `{"id":${id},"deleted":true}`, value: { id } }
      },
      tell: ({ id }) => `Job ${id} is deleted.`,
    }),
  )
}
