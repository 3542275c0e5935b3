import type { Command } from 'commander'
import type { ServerOptions } from '../client/find-server.ts'
import { addExamples, addJsonOption, type JsonOption } from '../options.ts'
import type { Session } from '../session.ts'
import { wholeNumber } from '../values.ts'

export interface DemoOptions extends ServerOptions, JsonOption {
  readonly databaseUrl?: string
  readonly concurrency: number
}

export function demoCommand(command: Command, session: Session): void {
  command
    .description(
      'Capture all of GitHub’s example webhooks over HTTP, have a worker process work them off, and show what happened.\n' +
        'Uses a server of its own, which is gone afterwards, unless --url names a running one.',
    )
    .option('--database-url <url>', 'the database of its own server')
    .option('-c, --concurrency <number>', 'how many jobs the worker runs at once', wholeNumber(1, 10_000), 64)
  command.options.find(({ long }) => long === '--database-url')!.conflicts(['url'])
  addJsonOption(command)
    .optionsGroup('Instead of its own server:')
    .option('--url <url>', 'the address of a running one')
    .option('--key <key>', 'its key; else OCTOFLOW_KEY, else that of the configuration or the data directory')
    .option('--data <directory>', 'its data directory, if it is on this machine')
  addExamples(command, [
    ['octoflow demo', 'with a server and a database of its own'],
    ['octoflow demo --url http://127.0.0.1:5000', 'in a running server, whose queue github keeps the jobs'],
  ])
  command.action(async (options: DemoOptions) => {
    const { runDemo } = await import('./run.ts')
    await runDemo(session, options)
  })
}
