import type { Instant } from '../../../lib/time.ts'
import type { Attempt, AttemptOutcome, JobError } from '../../../model/job.ts'
import type { JobRecord } from '../../sql/job-record.ts'
import { Stage } from '../../sql/stages.ts'
import type { Queryable } from './connection.ts'

type AttemptRecord = readonly [
  jobId: number,
  fence: number,
  attempt: number,
  worker: string | null,
  startedAt: Instant,
  finishedAt: Instant,
  outcome: AttemptOutcome,
  error: string | null,
]

const toAttempt = ([, fence, attempt, worker, startedAt, finishedAt, outcome, error]: AttemptRecord): Attempt => ({
  fence,
  attempt,
  worker,
  startedAt,
  finishedAt,
  outcome,
  error: error === null ? null : (JSON.parse(error) as JobError),
})

/** The attempts of each job that have rows of their own, oldest first. */
export async function loadEndedAttempts(from: Queryable, jobIds: readonly number[]): Promise<ReadonlyMap<number, Attempt[]>> {
  const attempts = new Map<number, Attempt[]>(jobIds.map((id) => [id, []]))
  for (const row of await from.rows<AttemptRecord>(SELECT, jobIds)) attempts.get(row[0])!.push(toAttempt(row))
  return attempts
}

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

const SELECT = `SELECT job_id, fence, attempt, worker, started_at, finished_at, outcome, error FROM octoflow_attempts
  WHERE job_id IN (?) ORDER BY job_id, fence`
