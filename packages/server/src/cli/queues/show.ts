import type { Queue } from '@octoflow/protocol'
import type { Command } from 'commander'
import { connect } from '../client/api-client.ts'
import type { ServerOptions } from '../client/find-server.ts'
import { addExamples, addJsonOption, addServerOptions, type JsonOption } from '../options.ts'
import type { Session } from '../session.ts'
import { printQueue } from './view.ts'

interface Options extends ServerOptions, JsonOption {}

export function showCommand(queues: Command, session: Session): void {
  const command = queues
    .command('show')
    .summary('show a queue and its settings')
    .description('Show a queue: its jobs by state, its workers and its settings.')
    .argument('<queue>', 'its name')
  addJsonOption(command)
  addServerOptions(command)
  addExamples(command, [['octoflow queues show emails', 'counts, limits, retries']])
  command.action(async (name: string, options: Options) => {
    const client = await connect(session, options)
    const { value, text } = await client.get<Queue>(`/queues/${encodeURIComponent(name)}`)
    if (options.json) session.out.jsonText(text)
    else printQueue(session.out, value)
  })
}
