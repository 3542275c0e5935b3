import type { JobDetail, Submitted } from '@octoflow/protocol'
import { memberText, withMembers } from '../../lib/raw-json.ts'
import { type Answer, type ApiClient, connect } from '../client/api-client.ts'
import { isFinished, JobWatch } from '../client/job-watch.ts'
import { whyPending } from '../client/jobs.ts'
import { CommandError } from '../command-error.ts'
import { ExitCode } from '../exit-code.ts'
import { between, humanSeconds, prettyJson } from '../output/format.ts'
import { bar, StatusLine } from '../output/progress.ts'
import { manyLines, oneLine } from '../output/text.ts'
import { readPayload } from '../payload.ts'
import type { Session } from '../session.ts'
import { jobSettings, type SubmitOptions } from './settings.ts'

/** Submits a job and, where that is wanted, waits for it. */
export async function submitOne(session: Session, queue: string, argument: string, options: SubmitOptions): Promise<void> {
  const payload = await readPayload(session, argument)
  const client = await connect(session, options)
  // Listening begins before the job exists, so that nothing of it is missed.
  const watch = options.wait === undefined ? null : await JobWatch.open(client)
  try {
    const submitted = await client.call<Submitted>({
      method: 'POST',
      path: '/jobs',
      body: withMembers(jobSettings(queue, options), { payload }),
      headers: options.idempotencyKey === undefined ? {} : { 'idempotency-key': options.idempotencyKey },
    })
    if (watch === null) printSubmitted(session, submitted.value, submitted.text, options)
    else await waitFor(session, client, watch, submitted.value.id, options)
  } finally {
    watch?.close()
  }
}

function printSubmitted(
  { out }: Session,
  { id, queue, outcome }: Submitted,
  text: string,
  { json, uniqueKey }: SubmitOptions,
): void {
  if (json) {
    out.jsonText(text)
    return
  }
  const said = {
    created: `Job ${id} was submitted to ${oneLine(queue)}.`,
    repeated: `Job ${id} was submitted before under this idempotency key; no other was made.`,
    existing: `Job ${id} holds the unique key ${oneLine(uniqueKey ?? '')}; no other was made.`,
  }
  out.line(said[outcome as keyof typeof said])
}

async function waitFor(
  session: Session,
  client: ApiClient,
  watch: JobWatch,
  id: number,
  { wait, json }: SubmitOptions,
): Promise<void> {
  const { out, signal } = session
  const timeout = typeof wait === 'number' ? AbortSignal.timeout(Math.ceil(wait * 1_000)) : null
  const { value: job, text } = await watched(session, watch, id, {
    signal: timeout === null ? signal : AbortSignal.any([signal, timeout]),
    shown: !json && session.err.isTerminal,
  })
  if (json) out.jsonText(text)
  else if (job.state === 'completed') printResult(session, job, text)
  if (job.state !== 'completed') throw await notCompleted(client, job, typeof wait === 'number' ? wait : 0)
}

async function watched(
  { err, signal: interrupt }: Session,
  watch: JobWatch,
  id: number,
  { signal, shown }: { readonly signal: AbortSignal; readonly shown: boolean },
): Promise<Answer<JobDetail>> {
  const status = new StatusLine(err)
  try {
    return await watch.untilFinished(id, { signal, onLook: shown ? (job) => status.show(statusOf(job)) : undefined })
  } finally {
    status.clear()
    if (interrupt.aborted) err.line(`Job ${id} goes on in the server; \`octoflow jobs show ${id}\` tells how.`)
  }
}

function statusOf({ id, state, attempt, progress }: JobDetail): string {
  const shown = [`Job ${id}`, state === 'running' ? `running (attempt ${attempt})` : state]
  if (progress?.fraction != null) shown.push(bar(progress.fraction), `${Math.round(progress.fraction * 100)} %`)
  if (progress?.message != null) shown.push(oneLine(progress.message))
  return shown.join('  ')
}

function printResult({ out }: Session, job: JobDetail, text: string): void {
  const took = between(job.startedAt ?? job.createdAt, job.finishedAt ?? job.createdAt)
  out.line(`${out.paint('green', 'completed')}  job ${job.id} in ${took}`)
  const result = memberText(text, 'result')
  if (result !== null && result !== 'null') out.line(manyLines(prettyJson(result)))
}

async function notCompleted(client: ApiClient, job: JobDetail, waited: number): Promise<CommandError> {
  const hint = `\`octoflow jobs show ${job.id}\` tells all that happened to it.`
  if (isFinished(job.state)) {
    const reason = job.error?.message ?? job.reason
    return new CommandError(
      ExitCode.failed,
      `Job ${job.id} is ${job.state}${reason === null ? '' : `: ${oneLine(reason)}`}.`,
      hint,
    )
  }
  const reasons = job.state === 'pending' ? ` ${(await whyPending(client, job.id)).join(' ')}` : ''
  return new CommandError(ExitCode.failed, `Job ${job.id} is still ${job.state} after ${humanSeconds(waited)}.${reasons}`, hint)
}
