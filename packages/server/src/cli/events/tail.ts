import { setTimeout as pause } from 'node:timers/promises'
import type { Command } from 'commander'
import { type ApiClient, connect, LOG_EVENTS, withQuery } from '../client/api-client.ts'
import { isPassing } from '../client/api-errors.ts'
import type { ServerOptions } from '../client/find-server.ts'
import { addExamples, addServerOptions } from '../options.ts'
import type { Session } from '../session.ts'
import { addEventFilterOptions, type EventFilterOptions, eventQuery } from './filter.ts'

interface Options extends ServerOptions, EventFilterOptions {}

const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 10_000

export function tailCommand(events: Command, session: Session): void {
  const command = events
    .command('tail')
    .summary('follow events as they are stored')
    .description(
      'Print every event on a line as it is stored, until Ctrl-C. A lost connection is made again, and no event is missed.',
    )
    // Each line is a JSON document with and without it; with it errors are, too.
    .option('--json', 'print errors as JSON, too')
  addEventFilterOptions(command)
  addServerOptions(command)
  addExamples(command, [
    ['octoflow events tail --type system', 'those of a type'],
    ['octoflow events tail | jq -r .event.username', 'who does something, as it happens'],
  ])
  command.action(async (options: Options) => {
    const client = await connect(session, options)
    try {
      await follow(session, client, withQuery('/stream', eventQuery(options)))
    } catch (error) {
      // A signal is how this is meant to end.
      if (session.endedBy === null) throw error
      session.endedAsMeant()
    }
  })
}

/** @throws what keeps it from being connected for the first time, and what trying again cannot mend. */
async function follow({ signal, out, err }: Session, client: ApiClient, path: string): Promise<never> {
  let lastId: string | null = null
  let connected = false
  for (let failures = 0; ; ) {
    try {
      const events = await client.stream(lastId, signal, { root: LOG_EVENTS, path })
      if (!connected) err.line(err.paint('dim', `Following ${client.address.url}. Ctrl-C ends it.`))
      else if (failures > 0) err.line('Connected again.')
      connected = true
      failures = 0
      for await (const { id, name, data } of events) {
        lastId = id ?? lastId
        if (name === 'reset') err.line('The server does not know the last event any more; some may have been missed.')
        else if (name === 'message') out.jsonText(data)
      }
    } catch (error) {
      if (!connected || signal.aborted || !isPassing(error)) throw error
    }
    if (failures++ === 0) err.line('The connection to the server is lost; trying to make it again.')
    await pause(Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures), undefined, { signal })
  }
}
