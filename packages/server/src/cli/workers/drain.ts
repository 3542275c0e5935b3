import type { Command } from 'commander'
import { connect } from '../client/api-client.ts'
import type { ServerOptions } from '../client/find-server.ts'
import { addExamples, addJsonOption, addServerOptions, type JsonOption } from '../options.ts'
import { oneLine } from '../output/text.ts'
import type { Session } from '../session.ts'

interface Options extends ServerOptions, JsonOption {}

export function drainCommand(workers: Command, session: Session): void {
  const command = workers
    .command('drain')
    .summary('ask a worker to finish what it has and take no more')
    .description('Ask a worker to finish what it has and take no more. One made with the SDK ends then.')
  define(command, session, 'drain', (id) => `Worker ${id} takes no more jobs.`)
  addExamples(command, [['octoflow workers drain host-7-4211-9f3a', '`octoflow workers list` tells the ids']])
}

export function resumeCommand(workers: Command, session: Session): void {
  const command = workers
    .command('resume')
    .summary('let a drained worker take jobs again')
    .description('Let a drained worker take jobs again, unless it has ended.')
  define(command, session, 'resume', (id) => `Worker ${id} may take jobs again.`)
  addExamples(command, [['octoflow workers resume host-7-4211-9f3a', 'after a drain']])
}

function define(command: Command, session: Session, verb: 'drain' | 'resume', tell: (id: string) => string): void {
  command.argument('<id>', 'the worker’s id')
  addJsonOption(command)
  addServerOptions(command)
  command.action(async (id: string, options: Options) => {
    const client = await connect(session, options)
    const { value } = await client.post<{ readonly draining: boolean }>(`/workers/${encodeURIComponent(id)}/${verb}`)
    if (options.json) session.out.json({ id, ...value })
    else session.out.line(tell(oneLine(id)))
  })
}
