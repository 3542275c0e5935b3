import type { Worker } from '@octoflow/protocol'
import type { Command } from 'commander'
import { MILLISECOND } from '../../lib/time.ts'
import { connect } from '../client/api-client.ts'
import type { ServerOptions } from '../client/find-server.ts'
import { pages } from '../client/pages.ts'
import { addExamples, addJsonOption, addServerOptions, type JsonOption } from '../options.ts'
import { ago } from '../output/format.ts'
import { printList } from '../output/list.ts'
import type { Style } from '../output/screen.ts'
import type { Column } from '../output/table.ts'
import type { Session } from '../session.ts'

interface Options extends ServerOptions, JsonOption {}

export function listCommand(workers: Command, session: Session): void {
  const command = workers.command('list').summary('list workers').description('List the workers that were heard of lately.')
  addJsonOption(command)
  addServerOptions(command)
  addExamples(command, [['octoflow workers list', 'who works for which queues']])
  command.action(async (options: Options) => {
    const client = await connect(session, options)
    await printList<Worker>(session, pages(client, '/workers', {}, Number.POSITIVE_INFINITY), {
      json: options.json,
      columns: columns(Date.now() * MILLISECOND),
      empty: 'No worker was heard of lately.',
    })
  })
}

const columns = (now: number): readonly Column<Worker>[] => [
  { title: 'WORKER', value: ({ id }) => id, flexible: true },
  { title: 'STATE', value: stateOf, style: (worker) => STYLES[stateOf(worker)] },
  { title: 'QUEUES', value: ({ queues }) => queues.join(', '), flexible: true },
  { title: 'SEEN', value: ({ lastSeenAt }) => ago(lastSeenAt, now), optional: 1 },
  { title: 'AGENT', value: ({ agent }) => agent, flexible: true, optional: 2 },
]

const stateOf = ({ alive, draining }: Worker): keyof typeof STYLES => (!alive ? 'gone' : draining ? 'draining' : 'working')

const STYLES: Readonly<Record<'gone' | 'draining' | 'working', Style>> = { gone: 'gray', draining: 'yellow', working: 'green' }
