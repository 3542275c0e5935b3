import type { DeadLetter } from '@octoflow/protocol'
import type { Command } from 'commander'
import { connect } from '../client/api-client.ts'
import type { ServerOptions } from '../client/find-server.ts'
import { pages } from '../client/pages.ts'
import { addFilterOptions, type FilterOptions, filterQuery } from '../jobs/filter.ts'
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

interface Options extends ServerOptions, JsonOption, PageOptions, FilterOptions {}

export function listCommand(dead: Command, session: Session): void {
  const command = dead.command('list').summary('list dead letters').description('List dead letters, the newest job first.')
  addFilterOptions(command)
  addPageOptions(command)
  addJsonOption(command)
  addServerOptions(command)
  addExamples(command, [['octoflow dead list -q emails', 'those of one queue, with their errors']])
  command.action(async (options: Options) => {
    const client = await connect(session, options)
    const query = { ...filterQuery(options), order: options.order }
    await printList<DeadLetter>(session, pages(client, '/dead-letters', query, pageLimit(options)), {
      json: options.json,
      columns: COLUMNS,
      empty: 'There are no dead letters.',
    })
  })
}

const COLUMNS: readonly Column<DeadLetter>[] = [
  { title: 'ID', value: ({ id }) => id, align: 'right' },
  { title: 'QUEUE', value: ({ queue }) => queue, flexible: true },
  { title: 'DIED', value: ({ diedAt }) => shortTime(diedAt), optional: 2 },
  { title: 'ATTEMPTS', value: ({ attempts }) => attempts, align: 'right', optional: 3 },
  { title: 'REASON', value: ({ reason }) => reason, optional: 1 },
  { title: 'ERROR', value: ({ error }) => error?.message ?? null, flexible: true, style: () => 'red' },
]
