import type { Job } from '@octoflow/protocol'
import type { Command } from 'commander'
import type { ServerOptions } from '../client/find-server.ts'
import { addExamples, addJsonOption, addServerOptions, type JsonOption } from '../options.ts'
import { readPayload } from '../payload.ts'
import type { Session } from '../session.ts'
import { jobIds } from '../values.ts'
import { changeJobs } from './change.ts'

interface Options extends ServerOptions, JsonOption {
  readonly payload?: string
}

export function retryCommand(jobs: Command, session: Session): void {
  const command = jobs
    .command('retry')
    .summary('run finished jobs again')
    .description('Run completed, cancelled or dead jobs again.')
    .argument('<id...>', 'the jobs’ numbers, or last for the newest', jobIds)
    .option('--payload <json>', 'with this payload instead: JSON, @file, or - for standard input')
  addJsonOption(command)
  addServerOptions(command)
  addExamples(command, [
    ['octoflow jobs retry 12', 'as it was'],
    ['octoflow jobs retry 12 --payload @mended.json', 'with another payload'],
  ])
  command.action(async (ids: readonly string[], options: Options) => {
    const payload = options.payload === undefined ? null : await readPayload(session, options.payload)
    const body = payload === null ? '{}' : `{"payload":${payload}}`
    await changeJobs(session, ids, options, {
      change: (client, id) => client.call<Job>({ method: 'POST', path: `/jobs/${id}/retry`, body }),
      tell: ({ id, queue }) => `Job ${id} is pending again in ${queue}.`,
    })
  })
}
