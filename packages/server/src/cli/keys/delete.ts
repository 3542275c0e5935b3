import type { Command } from 'commander'
import { connect } from '../client/api-client.ts'
import type { ServerOptions } from '../client/find-server.ts'
import { addExamples, addJsonOption, addServerOptions, type JsonOption } from '../options.ts'
import { oneLine } from '../output/text.ts'
import type { Session } from '../session.ts'

interface Options extends ServerOptions, JsonOption {}

export function deleteCommand(keys: Command, session: Session): void {
  const command = keys
    .command('delete')
    .summary('delete an API key')
    .description('Delete an API key; it is void at once.')
    .argument('<id>', 'the key’s id')
  addJsonOption(command)
  addServerOptions(command)
  addExamples(command, [['octoflow keys delete 9f3c2a71b0de', '`octoflow keys list` tells the ids']])
  command.action(async (id: string, options: Options) => {
    const client = await connect(session, options)
    await client.delete(`/keys/${encodeURIComponent(id)}`)
    if (options.json) session.out.json({ id, deleted: true })
    else session.out.line(`Key ${oneLine(id)} is deleted.`)
  })
}
