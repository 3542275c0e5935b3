/**
 * A handler that shows what a job can do: events and log lines on its timeline, progress, a failure that is tried again,
 * putting itself off, giving up for good, and stopping when it is cancelled.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { type CapturedRequest, type ChosenOutcome, discard, type Job, snooze } from '@octoflow/worker'

export const example = { rows: 5 }

interface Payload {
  readonly rows: number
  /** So many attempts fail before one succeeds. */
  readonly failures?: number
  /** Not before this time, ISO 8601; until then the job puts itself off, which costs no attempt. */
  readonly notBefore?: string
}

const MILLISECONDS_PER_ROW = 200

export async function process({ body }: CapturedRequest<Payload>, job: Job): Promise<object | ChosenOutcome> {
  // No further attempt can mend a payload that makes no sense.
  if (!Number.isInteger(body.rows) || body.rows < 0) return discard('rows must be a whole number')

  const waitMs = Date.parse(body.notBefore ?? '') - Date.now()
  if (waitMs > 0) return snooze(waitMs / 1_000)

  await job.event(`Importing ${body.rows} rows`, { attempt: job.attempt })
  for (let row = 1; row <= body.rows; row++) {
    // The job's signal fires when somebody cancels it, when its time is up and when the worker must stop.
    await pause(MILLISECONDS_PER_ROW, undefined, { signal: job.signal })
    job.log('debug', `row ${row}`)
    job.progress(row / body.rows, `row ${row} of ${body.rows}`)
    // Thrown once in a while, this shows the wait before the next attempt on the timeline.
    if (job.attempt <= (body.failures ?? 0)) throw new Error(`The connection was lost at row ${row}.`)
  }
  return { imported: body.rows }
}
