import type { ApiKey } from '@octoflow/protocol'
import type { Command } from 'commander'
import { MILLISECOND } from '../../lib/time.ts'
import { connect } from '../client/api-client.ts'
import type { ServerOptions } from '../client/find-server.ts'
import { pages } from '../client/pages.ts'
import { addExamples, addJsonOption, addServerOptions, type JsonOption } from '../options.ts'
import { ago, shortTime } from '../output/format.ts'
import { printList } from '../output/list.ts'
import type { Column } from '../output/table.ts'
import type { Session } from '../session.ts'

interface Options extends ServerOptions, JsonOption {}

export function listCommand(keys: Command, session: Session): void {
  const command = keys.command('list').summary('list API keys').description('List API keys. The keys themselves are not kept.')
  addJsonOption(command)
  addServerOptions(command)
  addExamples(command, [['octoflow keys list', 'who may do what, and when it was used last']])
  command.action(async (options: Options) => {
    const client = await connect(session, options)
    await printList<ApiKey>(session, pages(client, '/keys', {}, Number.POSITIVE_INFINITY), {
      json: options.json,
      columns: columns(Date.now() * MILLISECOND),
      empty: 'There is no API key; `octoflow keys create` makes one.',
    })
  })
}

const columns = (now: number): readonly Column<ApiKey>[] => [
  { title: 'ID', value: ({ id }) => id },
  { title: 'NAME', value: ({ name }) => name, flexible: true },
  { title: 'ROLE', value: ({ role }) => role },
  { title: 'QUEUES', value: ({ queues }) => queues?.join(', ') ?? 'all', flexible: true },
  { title: 'EXPIRES', value: ({ expiresAt }) => (expiresAt === null ? 'never' : shortTime(expiresAt)), optional: 1 },
  { title: 'USED', value: ({ lastUsedAt }) => (lastUsedAt === null ? 'never' : ago(lastUsedAt, now)), optional: 2 },
  {
    title: 'MADE',
    value: ({ createdAt, createdBy }) => `${shortTime(createdAt)} by ${createdBy}`,
    flexible: true,
    optional: 3,
  },
]
