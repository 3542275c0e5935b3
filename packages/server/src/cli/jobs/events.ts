import type { JobEvent } from '@octoflow/protocol'
import type { Command } from 'commander'
import { connect } from '../client/api-client.ts'
import type { ServerOptions } from '../client/find-server.ts'
import { jobIdFor } from '../client/jobs.ts'
import { pages } from '../client/pages.ts'
import {
  addExamples,
  addJsonOption,
  addPageOptions,
  addServerOptions,
  type JsonOption,
  type PageOptions,
  pageLimit,
} from '../options.ts'
import { shortTime } from '../output/format.ts'
import { printList } from '../output/list.ts'
import type { Column } from '../output/table.ts'
import type { Session } from '../session.ts'
import { jobId } from '../values.ts'

interface Options extends ServerOptions, JsonOption, PageOptions {}

export function eventsCommand(jobs: Command, session: Session): void {
  const command = jobs
    .command('events')
    .summary('list the events and log lines of a job')
    .description('List the events and log lines of a job, the oldest first.')
    .argument('<id>', 'the job’s number, or last for the newest', jobId)
  addPageOptions(command)
  addJsonOption(command)
  addServerOptions(command)
  addExamples(command, [['octoflow jobs events last --all', 'everything its handler said']])
  command.action(async (argument: string, options: Options) => {
    const client = await connect(session, options)
    const id = await jobIdFor(client, argument)
    const list = pages<JobEvent>(client, `/jobs/${id}/events`, { order: options.order }, pageLimit(options))
    await printList(session, list, { json: options.json, columns: COLUMNS, empty: `Job ${id} has no events.` })
  })
}

const COLUMNS: readonly Column<JobEvent>[] = [
  { title: 'TIME', value: ({ at }) => shortTime(at) },
  { title: 'KIND', value: ({ kind }) => kind, optional: 2 },
  { title: 'LEVEL', value: ({ level }) => level, style: ({ level }) => (level === 'error' ? 'red' : null) },
  { title: 'MESSAGE', value: ({ message }) => message, flexible: true },
  { title: 'DATA', value: ({ data }) => (data == null ? null : JSON.stringify(data)), flexible: true, optional: 1 },
]
