import type { Instant } from '../../lib/time.ts'
import type { Attempt, AttemptOutcome, JobError } from '../../model/job.ts'
import type { JobRecord } from './job-record.ts'
import { Stage } from './stages.ts'

/** The columns of an attempt that has a row of its own. */
export const ATTEMPT_COLUMNS = 'fence, attempt, worker, started_at, finished_at, outcome, error'

/** A row of these. */
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

type LastAttempt = Pick<JobRecord, 'stage' | 'fence' | 'attempt' | 'worker' | 'startedAt' | 'finishedAt'>

/** All attempts of a job, oldest first. @param ended those that have rows of their own. */
export function attemptsOf(job: LastAttempt, ended: readonly Attempt[]): readonly Attempt[] {
  const { stage, fence, attempt, worker, startedAt, finishedAt } = job
  const known = ended.some((earlier) => earlier.fence === fence)
  // A running or completed attempt stands in the job's own row.
  if (known || startedAt === null || (stage !== Stage.running && stage !== Stage.completed)) return ended
  const completed = stage === Stage.completed
  const end = { finishedAt: completed ? finishedAt : null, outcome: completed ? ('completed' as const) : null, error: null }
  return [...ended, { fence, attempt, worker, startedAt, ...end }]
}
