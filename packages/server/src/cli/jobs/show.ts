import type { JobDetail, TimelineEntry } from '@octoflow/protocol'
import type { Command } from 'commander'
import { type ApiClient, connect } from '../client/api-client.ts'
import type { ServerOptions } from '../client/find-server.ts'
import { jobIdFor, whyPending } from '../client/jobs.ts'
import { pages, type ReadPage } from '../client/pages.ts'
import { addExamples, addJsonOption, addServerOptions, type JsonOption } from '../options.ts'
import type { Session } from '../session.ts'
import { jobId } from '../values.ts'
import { printJob, printReasons, printTimeline } from './view.ts'

interface Options extends ServerOptions, JsonOption {}

export function showCommand(jobs: Command, session: Session): void {
  const command = jobs
    .command('show')
    .summary('show a job, its result and its timeline')
    .description('Show a job: its state, payload and result, all that happened to it, and why it waits if it does.')
    .argument('<id>', 'the job’s number, or last for the newest', jobId)
  addJsonOption(command)
  addServerOptions(command)
  addExamples(command, [
    ['octoflow jobs show last', 'the job submitted last'],
    ['octoflow jobs show 12 --json | jq .result', 'for programs; with the members timeline and waiting'],
  ])
  command.action((argument: string, options: Options) => show(session, argument, options))
}

async function show(session: Session, argument: string, options: Options): Promise<void> {
  const client = await connect(session, options)
  const id = await jobIdFor(client, argument)
  const [job, timeline] = await Promise.all([client.get<JobDetail>(`/jobs/${id}`), wholeTimeline(client, id)])
  const reasons = job.value.state === 'pending' ? await whyPending(client, id) : []
  const { out } = session
  if (options.json) {
    const entries = `[${timeline.texts.join()}]`
    return out.jsonText(`${job.text.trimEnd().slice(0, -1)},"timeline":${entries},"waiting":${JSON.stringify(reasons)}}`)
  }
  printJob(out, job.value, job.text)
  printTimeline(out, timeline.items)
  if (reasons.length > 0) printReasons(out, reasons)
}

async function wholeTimeline(client: ApiClient, id: string): Promise<Omit<ReadPage<TimelineEntry>, 'next'>> {
  const read = await Array.fromAsync(pages<TimelineEntry>(client, `/jobs/${id}/timeline`, {}, Number.POSITIVE_INFINITY))
  return { items: read.flatMap(({ items }) => items), texts: read.flatMap(({ texts }) => texts) }
}
