import type { Job, Operation, Queue } from '@octoflow/protocol'
import type { Command } from 'commander'
import { type ApiClient, connect } from '../client/api-client.ts'
import type { ServerOptions } from '../client/find-server.ts'
import { pages } from '../client/pages.ts'
import { CommandError } from '../command-error.ts'
import { ExitCode } from '../exit-code.ts'
import { changeJobs } from '../jobs/change.ts'
import { addFilterOptions, type FilterOptions, filterBody } from '../jobs/filter.ts'
import { followOperation, printOperation } from '../operations/follow.ts'
import { addExamples, addJsonOption, addServerOptions, type JsonOption } from '../options.ts'
import { readPayload } from '../payload.ts'
import type { Session } from '../session.ts'
import { jobNumbers } from '../values.ts'

interface Options extends ServerOptions, JsonOption, FilterOptions {
  readonly all?: boolean
  readonly payload?: string
  readonly target?: string
  /** `false` for `--no-wait`. */
  readonly wait: boolean
}

export function replayCommand(dead: Command, session: Session): void {
  const command = dead
    .command('replay')
    .summary('run dead letters again')
    .description('Run dead letters again: those named, or all that match.')
    .argument('[id...]', 'the numbers of the jobs that died', jobNumbers)
    .option('-a, --all', 'all that match the options below')
    .option('--payload <json>', 'those named: with this payload instead: JSON, @file, or - for standard input')
    .option('--target <queue>', 'those named: in this queue instead')
    .option('--no-wait', 'with --all: do not wait for the server to have done it')
  addFilterOptions(command.optionsGroup('With --all, those:'))
  addJsonOption(command.optionsGroup('Output:'))
  addServerOptions(command)
  addExamples(command, [
    ['octoflow dead replay 12 13', 'two of them'],
    ['octoflow dead replay --all -q emails --since 1d', 'all of a queue since yesterday'],
  ])
  command.action((ids: readonly string[], options: Options) =>
    options.all ? replayAll(session, ids, options) : replay(session, ids, options),
  )
}

async function replay(session: Session, ids: readonly string[], options: Options): Promise<void> {
  if (ids.length === 0)
    throw new CommandError(ExitCode.usage, 'It is not said which dead letters.', 'Name them by their numbers, or give --all.')
  const given = Object.keys(filterBody(options))
  if (given.length > 0)
    throw new CommandError(
      ExitCode.usage,
      'A filter goes with --all, not with numbers.',
      'Give --all, or leave the filter out.',
    )
  const payload = options.payload === undefined ? null : await readPayload(session, options.payload)
  const parts = [
    ...(payload === null ? [] : [`"payload":${payload}`]),
    ...(options.target === undefined ? [] : [`"target":${JSON.stringify(options.target)}`]),
  ]
  await changeJobs(session, ids, options, {
    change: (client, id) => client.call<Job>({ method: 'POST', path: `/dead-letters/${id}/replay`, body: `{${parts.join()}}` }),
    tell: ({ id, queue }) => `Job ${id} is pending again in ${queue}.`,
  })
}

async function replayAll(session: Session, ids: readonly string[], options: Options): Promise<void> {
  if (ids.length > 0) throw new CommandError(ExitCode.usage, 'Numbers and --all cannot go together.', 'Give one of them.')
  if (options.payload !== undefined || options.target !== undefined)
    throw new CommandError(ExitCode.usage, '--payload and --target go with numbers, not with --all.', 'Name the dead letters.')
  const client = await connect(session, options)
  const filter = filterBody(options)
  const total = await countDead(client, filter)
  const { value } = await client.post<Operation>('/operations', { action: 'retry', filter: { ...filter, state: 'dead' } })
  const operation = options.wait ? await followOperation(session, client, value, { total, json: options.json }) : value
  printOperation(session, operation, options)
}

/** How many there are, for the progress; `null` where only looking at each job could tell. */
async function countDead(client: ApiClient, { queue, ...others }: ReturnType<typeof filterBody>): Promise<number | null> {
  if (Object.keys(others).length > 0) return null
  const wanted = queue === undefined ? null : [queue].flat()
  let dead = 0
  for await (const { items } of pages<Queue>(client, '/queues', {}, Number.POSITIVE_INFINITY))
    for (const { name, counts } of items) if (wanted === null || wanted.includes(name)) dead += counts.dead
  return dead
}
