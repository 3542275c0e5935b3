import { type Command, Option } from 'commander'
import { connect, LOG_EVENTS, withQuery } from '../client/api-client.ts'
import type { ServerOptions } from '../client/find-server.ts'
import { addExamples, addServerOptions } from '../options.ts'
import type { Session } from '../session.ts'
import { addEventFilterOptions, type EventFilterOptions, eventQuery } from './filter.ts'

interface Options extends ServerOptions, EventFilterOptions {
  readonly format: 'ndjson' | 'csv'
  readonly order?: 'asc' | 'desc'
}

export function exportCommand(events: Command, session: Session): void {
  const command = events
    .command('export')
    .summary('write events to standard output')
    .description('Write all events that match to standard output, in order of time, however many there are.')
    .addOption(
      new Option('--format <format>', 'a JSON document on each line, or CSV').choices(['ndjson', 'csv']).default('ndjson'),
    )
    .addOption(new Option('--order <order>', 'asc: the oldest first').choices(['asc', 'desc']))
  addEventFilterOptions(command)
  addServerOptions(command)
  addExamples(command, [
    ['octoflow events export > events.ndjson', 'all of them'],
    ['octoflow events export --format csv --since 7d > week.csv', 'those of the last seven days'],
  ])
  command.action(async (options: Options) => {
    const client = await connect(session, options)
    const { format, order } = options
    const path = withQuery('/export', { ...eventQuery(options), format, order })
    const text = (await client.open({ root: LOG_EVENTS, path })).pipeThrough(
      new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>,
    )
    for await (const part of text) await session.out.written(part)
  })
}
