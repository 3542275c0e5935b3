import type { Queue } from '@octoflow/protocol'
import type { Command } from 'commander'
import { connect } from '../client/api-client.ts'
import type { ServerOptions } from '../client/find-server.ts'
import { pages } from '../client/pages.ts'
import { addExamples, addJsonOption, addServerOptions, type JsonOption } from '../options.ts'
import { count } from '../output/format.ts'
import { printList } from '../output/list.ts'
import type { Column } from '../output/table.ts'
import type { Session } from '../session.ts'

interface Options extends ServerOptions, JsonOption {}

export function listCommand(queues: Command, session: Session): void {
  const command = queues
    .command('list')
    .summary('list queues')
    .description('List queues, their jobs by state and their workers.')
  addJsonOption(command)
  addServerOptions(command)
  addExamples(command, [['octoflow queues list', 'READY jobs can start, SCHEDULED wait for their time, HELD for their key']])
  command.action(async (options: Options) => {
    const client = await connect(session, options)
    await printList<Queue>(session, pages(client, '/queues', {}, Number.POSITIVE_INFINITY), {
      json: options.json,
      columns: COLUMNS,
      empty: 'There is no queue yet; the first job makes one.',
    })
  })
}

const counter = (title: string, state: keyof Queue['counts'], more: Partial<Column<Queue>> = {}): Column<Queue> => ({
  title,
  value: ({ counts }) => count(counts[state]),
  align: 'right',
  ...more,
})

const COLUMNS: readonly Column<Queue>[] = [
  { title: 'QUEUE', value: ({ name, paused }) => `${name}${paused ? ' (paused)' : ''}`, flexible: true },
  counter('READY', 'ready'),
  counter('SCHEDULED', 'scheduled', { optional: 3 }),
  counter('HELD', 'held', { optional: 2 }),
  counter('RUNNING', 'running', { style: ({ counts }) => (counts.running > 0 ? 'cyan' : null) }),
  counter('COMPLETED', 'completed'),
  counter('CANCELLED', 'cancelled', { optional: 4 }),
  counter('DEAD', 'dead', { style: ({ counts }) => (counts.dead > 0 ? 'red' : null) }),
  {
    title: 'WORKERS',
    value: ({ workers }) => workers,
    align: 'right',
    optional: 1,
    style: ({ workers, counts }) => (workers === 0 && counts.ready > 0 ? 'yellow' : null),
  },
]
