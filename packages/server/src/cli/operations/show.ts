import type { Operation } from '@octoflow/protocol'
import type { Command } from 'commander'
import { connect } from '../client/api-client.ts'
import type { ServerOptions } from '../client/find-server.ts'
import { addExamples, addJsonOption, addServerOptions, type JsonOption } from '../options.ts'
import type { Session } from '../session.ts'
import { operationId } from '../values.ts'
import { followOperation, printOperation } from './follow.ts'

interface Options extends ServerOptions, JsonOption {
  readonly follow?: boolean
}

export function showCommand(operations: Command, session: Session): void {
  const command = operations
    .command('show')
    .summary('show how far an operation has got')
    .description('Show how far an operation has got. One that was aborted gives exit code 1.')
    .argument('<id>', 'its number', operationId)
    .option('-f, --follow', 'until it has ended')
  addJsonOption(command)
  addServerOptions(command)
  addExamples(command, [['octoflow operations show 3 --follow', 'with its progress; Ctrl-C leaves it running']])
  command.action(async (id: string, options: Options) => {
    const client = await connect(session, options)
    const { value } = await client.get<Operation>(`/operations/${id}`)
    const shown = options.follow ? await followOperation(session, client, value, { total: null, json: options.json }) : value
    printOperation(session, shown, options)
  })
}
