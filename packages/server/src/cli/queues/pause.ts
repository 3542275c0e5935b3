import type { Queue } from '@octoflow/protocol'
import type { Command } from 'commander'
import { connect } from '../client/api-client.ts'
import type { ServerOptions } from '../client/find-server.ts'
import { addExamples, addJsonOption, addServerOptions, type JsonOption } from '../options.ts'
import { countOf } from '../output/format.ts'
import { oneLine } from '../output/text.ts'
import type { Session } from '../session.ts'

interface Options extends ServerOptions, JsonOption {}

export function pauseCommand(queues: Command, session: Session): void {
  const command = queues
    .command('pause')
    .summary('let no more jobs of a queue start')
    .description('Let no more jobs of a queue start. Those that run go on.')
  define(command, session, true)
  addExamples(command, [['octoflow queues pause emails', 'jobs are still accepted']])
}

export function resumeCommand(queues: Command, session: Session): void {
  const command = queues
    .command('resume')
    .summary('let jobs of a queue start again')
    .description('Let jobs of a queue start again.')
  define(command, session, false)
  addExamples(command, [['octoflow queues resume emails', 'after a pause']])
}

function define(command: Command, session: Session, paused: boolean): void {
  command.argument('<queue>', 'its name')
  addJsonOption(command)
  addServerOptions(command)
  command.action(async (name: string, options: Options) => {
    const client = await connect(session, options)
    const path = `/queues/${encodeURIComponent(name)}`
    // The change would make a queue that is not there: a mistyped name should not.
    await client.get<Queue>(path)
    const { value, text } = await client.patch<Queue>(path, { paused })
    if (options.json) return session.out.jsonText(text)
    const waiting = value.counts.ready + value.counts.held
    session.out.line(
      `Queue ${oneLine(name)} is ${paused ? `paused while ${countOf(waiting, 'job waits', 'jobs wait')}` : 'active again'}.`,
    )
  })
}
