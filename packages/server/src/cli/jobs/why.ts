import type { Waiting } from '@octoflow/protocol'
import type { Command } from 'commander'
import { connect } from '../client/api-client.ts'
import type { ServerOptions } from '../client/find-server.ts'
import { jobIdFor } from '../client/jobs.ts'
import { addExamples, addJsonOption, addServerOptions, type JsonOption } from '../options.ts'
import { oneLine } from '../output/text.ts'
import type { Session } from '../session.ts'
import { jobId } from '../values.ts'

interface Options extends ServerOptions, JsonOption {}

export function whyCommand(jobs: Command, session: Session): void {
  const command = jobs
    .command('why')
    .summary('say why a job has not started')
    .description('Say everything that keeps a job from starting, the firmest first.')
    .argument('<id>', 'the job’s number, or last for the newest', jobId)
  addJsonOption(command)
  addServerOptions(command)
  addExamples(command, [['octoflow jobs why 12', 'paused, a limit, no worker, not due, others before it']])
  command.action((argument: string, options: Options) => why(session, argument, options))
}

async function why(session: Session, argument: string, options: Options): Promise<void> {
  const client = await connect(session, options)
  const id = await jobIdFor(client, argument)
  const { value, text } = await client.get<Waiting>(`/jobs/${id}/waiting`)
  const { out } = session
  if (options.json) return out.jsonText(text)
  if (!value.waiting) return out.line(`Job ${id} does not wait: it is ${value.state}.`)
  out.line(`Job ${id} is pending:`)
  for (const { message } of value.reasons) out.line(`  ${oneLine(message)}`)
}
