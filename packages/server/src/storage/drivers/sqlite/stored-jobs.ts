import type { Instant } from '../../../lib/time.ts'
import type { Attempt, Job } from '../../../model/job.ts'
import { ATTEMPT_COLUMNS, type AttemptRecord, attemptsOf, toAttempt } from '../../sql/attempts.ts'
import { parseOptions } from '../../sql/options.ts'
import { type Stage, stateOf } from '../../sql/stages.ts'
import type { Database } from './database.ts'

/** Jobs and attempts as the model knows them, read from their rows. */

export interface JobRow {
  readonly id: number
  readonly queue: string
  readonly queue_id: number
  readonly stage: Stage
  readonly priority: number
  readonly received_at: Instant
  readonly run_at: Instant
  readonly attempt: number
  readonly fence: number
  readonly lease_until: Instant | null
  readonly started_at: Instant | null
  readonly finished_at: Instant | null
  readonly worker: string | null
  readonly concurrency_key: string | null
  readonly unique_key: string | null
  readonly max_attempts: number | null
  readonly options: string | null
  readonly cancel_requested: number
  readonly reason: string | null
  readonly status_label: string | null
  readonly progress: string | null
}

export function loadJob(db: Database, id: number): Job | null {
  const row = db.get<JobRow>(SELECT_JOB, id)
  if (row === undefined) return null
  const options = parseOptions(row.options)
  return {
    id,
    queue: row.queue,
    state: stateOf(row.stage),
    priority: row.priority,
    createdAt: row.received_at,
    runAt: row.run_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    attempt: row.attempt,
    maxAttempts: row.max_attempts,
    fence: row.fence,
    leaseUntil: row.lease_until,
    worker: row.worker,
    uniqueKey: row.unique_key,
    concurrencyKey: row.concurrency_key,
    backoff: options.backoff ?? null,
    timeout: options.timeout ?? null,
    labels: options.labels ?? {},
    statusLabel: row.status_label,
    progress: row.progress === null ? null : JSON.parse(row.progress),
    cancelRequested: row.cancel_requested === 1,
    reason: row.reason,
  }
}

/** All attempts of a job, oldest first; none of an unknown job. */
export function loadAttempts(db: Database, id: number): readonly Attempt[] {
  const job = db.get<JobRow>(SELECT_JOB, id)
  if (job === undefined) return []
  return attemptsOf({ ...job, startedAt: job.started_at, finishedAt: job.finished_at }, loadEndedAttempts(db, id))
}

/** The attempts that have rows of their own. */
export const loadEndedAttempts = (db: Database, id: number): Attempt[] =>
  db.rows<AttemptRecord>(SELECT_ATTEMPTS, id).map(toAttempt)

export const SELECT_JOB = `SELECT j.id, q.name AS queue, j.queue_id, j.stage, j.priority, j.received_at, j.run_at, j.attempt,
    j.fence, j.lease_until, j.started_at, j.finished_at, j.worker, j.concurrency_key, j.unique_key, j.max_attempts,
    j.options, j.cancel_requested, j.reason, j.status_label, j.progress
  FROM octoflow_requests j
  JOIN octoflow_queues q ON q.id = j.queue_id
  WHERE j.id = ? AND j.stage IS NOT NULL`

const SELECT_ATTEMPTS = `SELECT ${ATTEMPT_COLUMNS} FROM octoflow_attempts
  WHERE job_id = ? ORDER BY fence`
