import type { Job, JobState } from '@octoflow/protocol'
import { type Command, Option } from 'commander'
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
import { shortTime } from '../output/format.ts'
import { printList } from '../output/list.ts'
import type { Style } from '../output/screen.ts'
import type { Column } from '../output/table.ts'
import type { Session } from '../session.ts'
import { listOf } from '../values.ts'
import { addFilterOptions, type FilterOptions, filterQuery } from './filter.ts'
import { progressText, STATE_STYLES } from './view.ts'

interface Options extends ServerOptions, JsonOption, PageOptions, FilterOptions {
  readonly state?: readonly string[]
}

const STATES: readonly JobState[] = ['pending', 'running', 'completed', 'cancelled', 'dead']

export function listCommand(jobs: Command, session: Session): void {
  const command = jobs.command('list').summary('list jobs').description('List jobs, the newest first.')
  addFilterOptions(command)
  command.addOption(
    new Option('-s, --state <state>', `in this state (${STATES.join(', ')}); several with commas`).argParser(listOf(STATES)),
  )
  addPageOptions(command)
  addJsonOption(command)
  addServerOptions(command)
  addExamples(command, [
    ['octoflow jobs list', 'the newest 50'],
    ['octoflow jobs list -q emails --state dead --since 1d', 'what went wrong since yesterday'],
    ['octoflow jobs list --all --json | jq ".items[].id"', 'for programs'],
  ])
  command.action(async (options: Options) => {
    const client = await connect(session, options)
    const query = { ...filterQuery(options), state: options.state?.join(), order: options.order }
    await printList<Job>(session, pages(client, '/jobs', query, pageLimit(options)), {
      json: options.json,
      columns: COLUMNS,
      empty: 'No job matches.',
    })
  })
}

const COLUMNS: readonly Column<Job>[] = [
  { title: 'ID', value: ({ id }) => id, align: 'right' },
  { title: 'QUEUE', value: ({ queue }) => queue, flexible: true },
  { title: 'STATE', value: ({ state }) => state, style: ({ state }): Style => STATE_STYLES[state as JobState] },
  { title: 'ATTEMPT', value: ({ attempt }) => attempt, align: 'right', optional: 3 },
  { title: 'CREATED', value: ({ createdAt }) => shortTime(createdAt), optional: 2 },
  { title: 'FINISHED', value: ({ finishedAt }) => (finishedAt === null ? null : shortTime(finishedAt)), optional: 4 },
  { title: 'NOTE', value: note, flexible: true, optional: 1 },
]

/** What is worth knowing about a job beside its state. */
function note({ state, reason, statusLabel, progress, cancelRequested, labels }: Job): string {
  const parts = [
    cancelRequested ? 'cancel requested' : '',
    reason ?? '',
    statusLabel ?? '',
    state === 'running' && progress !== null ? progressText(progress) : '',
    ...Object.entries(labels).map(([name, value]) => `${name}=${value}`),
  ]
  return parts.filter((part) => part !== '').join(', ')
}
