import type { CreatedKey, Role } from '@octoflow/protocol'
import { type Command, Option } from 'commander'
import { ROLES } from '../../model/access.ts'
import { connect } from '../client/api-client.ts'
import type { ServerOptions } from '../client/find-server.ts'
import { addExamples, addJsonOption, addServerOptions, type JsonOption } from '../options.ts'
import type { Session } from '../session.ts'
import { instant, names } from '../values.ts'
import { printKey } from './view.ts'

interface Options extends ServerOptions, JsonOption {
  readonly role: Role
  readonly queue?: readonly string[]
  readonly expires?: string
}

export function createCommand(keys: Command, session: Session): void {
  const command = keys
    .command('create')
    .summary('make an API key')
    .description('Make an API key. The key itself goes to standard output, this once; all else goes to standard error.')
    .argument('<name>', 'what the key is for')
    .addOption(new Option('-r, --role <role>', 'each may do all that those before it may').choices(ROLES).makeOptionMandatory())
    .option(
      '-q, --queue <name>',
      'for this queue only; several with commas, or by repeating it where names hold commas',
      names(),
    )
    .option('--expires <time>', 'void from then on: 2027-01-01T00:00:00Z', instant)
  addJsonOption(command)
  addServerOptions(command)
  addExamples(command, [
    ['octoflow keys create shop --role producer -q orders', 'may submit to one queue'],
    ['KEY=$(octoflow keys create ci --role worker)', 'in a script'],
  ])
  command.action(async (name: string, options: Options) => {
    const client = await connect(session, options)
    const { role, queue: queues, expires: expiresAt } = options
    printKey(session, await client.post<CreatedKey>('/keys', { name, role, queues, expiresAt }), options)
  })
}
