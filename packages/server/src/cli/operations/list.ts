import type { Operation } from '@octoflow/protocol'
import type { Command } from 'commander'
import { connect } from '../client/api-client.ts'
import type { ServerOptions } from '../client/find-server.ts'
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
import { count, shortTime } from '../output/format.ts'
import { printList } from '../output/list.ts'
import type { Column } from '../output/table.ts'
import type { Session } from '../session.ts'

interface Options extends ServerOptions, JsonOption, PageOptions {}

export function listCommand(operations: Command, session: Session): void {
  const command = operations.command('list').summary('list operations').description('List operations, the newest first.')
  addPageOptions(command)
  addJsonOption(command)
  addServerOptions(command)
  addExamples(command, [['octoflow operations list', 'what runs, and what ran']])
  command.action(async (options: Options) => {
    const client = await connect(session, options)
    await printList<Operation>(session, pages(client, '/operations', { order: options.order }, pageLimit(options)), {
      json: options.json,
      columns: COLUMNS,
      empty: 'There has been no operation.',
    })
  })
}

const COLUMNS: readonly Column<Operation>[] = [
  { title: 'ID', value: ({ id }) => id, align: 'right' },
  { title: 'ACTION', value: ({ action }) => action },
  { title: 'STATE', value: ({ state }) => state, style: ({ state }) => (state === 'running' ? 'cyan' : null) },
  { title: 'EXAMINED', value: ({ examined }) => count(examined), align: 'right', optional: 2 },
  { title: 'CHANGED', value: ({ changed }) => count(changed), align: 'right' },
  { title: 'SKIPPED', value: ({ skipped }) => count(skipped), align: 'right', optional: 3 },
  { title: 'BY', value: ({ createdBy }) => createdBy, flexible: true, optional: 4 },
  { title: 'STARTED', value: ({ createdAt }) => shortTime(createdAt), optional: 1 },
  { title: 'FILTER', value: ({ filter }) => JSON.stringify(filter), flexible: true, optional: 5 },
]
