import type { CreatedKey } from '@octoflow/protocol'
import type { Command } from 'commander'
import { connect } from '../client/api-client.ts'
import type { ServerOptions } from '../client/find-server.ts'
import { addExamples, addJsonOption, addServerOptions, type JsonOption } from '../options.ts'
import type { Session } from '../session.ts'
import { printKey } from './view.ts'

interface Options extends ServerOptions, JsonOption {}

export function rotateCommand(keys: Command, session: Session): void {
  const command = keys
    .command('rotate')
    .summary('give an API key a new text')
    .description('Give an API key a new text, which goes to standard output this once. The old one is void at once.')
    .argument('<id>', 'the key’s id')
  addJsonOption(command)
  addServerOptions(command)
  addExamples(command, [['octoflow keys rotate 9f3c2a71b0de', '`octoflow keys list` tells the ids']])
  command.action(async (id: string, options: Options) => {
    const client = await connect(session, options)
    printKey(session, await client.post<CreatedKey>(`/keys/${encodeURIComponent(id)}/rotate`), options)
  })
}
