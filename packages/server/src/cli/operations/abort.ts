import type { Operation } from '@octoflow/protocol'
import type { Command } from 'commander'
import { connect } from '../client/api-client.ts'
import type { ServerOptions } from '../client/find-server.ts'
import { addExamples, addJsonOption, addServerOptions, type JsonOption } from '../options.ts'
import { countOf } from '../output/format.ts'
import type { Session } from '../session.ts'
import { operationId } from '../values.ts'

interface Options extends ServerOptions, JsonOption {}

export function abortCommand(operations: Command, session: Session): void {
  const command = operations
    .command('abort')
    .summary('abort an operation')
    .description('Abort an operation. What it has done stays done.')
    .argument('<id>', 'its number', operationId)
  addJsonOption(command)
  addServerOptions(command)
  addExamples(command, [['octoflow operations abort 3', 'the jobs not come by yet stay as they are']])
  command.action(async (id: string, options: Options) => {
    const client = await connect(session, options)
    const { value, text } = await client.delete<Operation>(`/operations/${id}`)
    if (options.json) session.out.jsonText(text)
    else session.out.line(`Operation ${id} is aborted; it had changed ${countOf(value.changed, 'job')}.`)
  })
}
