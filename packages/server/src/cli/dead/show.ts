import type { DeadLetter } from '@octoflow/protocol'
import type { Command } from 'commander'
import { connect } from '../client/api-client.ts'
import type { ServerOptions } from '../client/find-server.ts'
import { addExamples, addJsonOption, addServerOptions, type JsonOption } from '../options.ts'
import { shortTime } from '../output/format.ts'
import { fields } from '../output/table.ts'
import { manyLines, oneLine } from '../output/text.ts'
import type { Session } from '../session.ts'
import { jobNumber } from '../values.ts'

interface Options extends ServerOptions, JsonOption {}

export function showCommand(dead: Command, session: Session): void {
  const command = dead
    .command('show')
    .summary('show a dead letter')
    .description('Show a dead letter: why it died, and the error of its last attempt in full.')
    .argument('<id>', 'the number of the job that died', jobNumber)
  addJsonOption(command)
  addServerOptions(command)
  addExamples(command, [['octoflow dead show 12', '`octoflow jobs show 12` tells its whole timeline']])
  command.action((id: string, options: Options) => show(session, id, options))
}

async function show(session: Session, id: string, options: Options): Promise<void> {
  const client = await connect(session, options)
  const { value, text } = await client.get<DeadLetter>(`/dead-letters/${id}`)
  const { out } = session
  if (options.json) return out.jsonText(text)
  out.line(`${out.paint('bold', `Dead letter ${value.id}`)}  ${out.paint('red', oneLine(value.reason))}`)
  fields(out, [
    ['queue', oneLine(value.queue)],
    ['submitted', `${shortTime(value.createdAt)} (${oneLine(value.origin.source)})`],
    ['died', shortTime(value.diedAt)],
    ['attempts', String(value.attempts)],
    ['error', value.error === null ? null : oneLine(value.error.message)],
    ['code', value.error?.code == null ? null : oneLine(value.error.code)],
  ])
  if (value.error?.detail == null) return
  out.line()
  out.line(manyLines(value.error.detail))
}
