import type { Instant } from '../../../lib/time.ts'
import type { Attempt, AttemptOutcome, JobError } from '../../../model/job.ts'
import type { JobRecord } from '../../sql/job-record.ts'
import { Stage } from '../../sql/stages.ts'

export type AttemptRecord = readonly [
  fence: number,
  attempt: number,
  worker: string | null,
  startedAt: Instant,
  finishedAt: Instant,
  outcome: AttemptOutcome,
  error: string | null,
]

export const toAttempt = ([fence, attempt, worker, startedAt, finishedAt, outcome, error]: AttemptRecord): Attempt => ({
  fence,
  attempt,
  worker,
  startedAt,
  finishedAt,
  outcome,
  error: error === null ? null : (JSON.parse(error) as JobError),
})

/** The attempt that stands in the job's own row. */
export const currentAttempt = (job: JobRecord, startedAt: Instant): Attempt => ({
  fence: job.fence,
  attempt: job.attempt,
  worker: job.worker,
  startedAt,
  finishedAt: job.stage === Stage.completed ? job.finishedAt : null,
  outcome: job.stage === Stage.completed ? 'completed' : null,
  error: null,
})
