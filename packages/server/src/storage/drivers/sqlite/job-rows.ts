import type { Instant } from '../../../lib/time.ts'
import type { Labels } from '../../../model/job.ts'
import type { Settlement } from '../../../model/settle.ts'
import { ATTEMPTS_KEPT } from '../../contract/jobs.ts'
import { labelTerms, parseOptions } from '../../sql/options.ts'
import type { Stage } from '../../sql/stages.ts'
import type { Database } from './database.ts'
import type { QueueRow, Transaction } from './transaction.ts'

/** The part of a job's row that deciding about it takes. */
export interface JobRecord {
  readonly id: number
  readonly queue_id: number
  readonly stage: Stage
  readonly attempt: number
  readonly fence: number
  readonly run_at: Instant
  readonly started_at: Instant | null
  readonly worker: string | null
  readonly concurrency_key: string | null
  readonly max_attempts: number | null
  readonly options: string | null
  readonly cancel_requested: number
}

export const findJob = (db: Database, id: number): JobRecord | undefined => db.get<JobRecord>(SELECT_JOB, id)

/** The pending or running job that holds a unique key. */
export function findUnique(db: Database, queue: QueueRow, uniqueKey: string): number | null {
  return db.row<[number]>(SELECT_UNIQUE, queue.id, uniqueKey)?.[0] ?? null
}

export function recordAttempt(
  db: Database,
  job: Pick<JobRecord, 'id' | 'fence' | 'attempt' | 'worker' | 'started_at'>,
  { outcome, error }: Pick<Settlement, 'outcome' | 'error'>,
  finishedAt: Instant,
): void {
  const errorText = error === null ? null : JSON.stringify(error)
  db.run(
    INSERT_ATTEMPT,
    job.id,
    job.fence,
    job.attempt,
    job.worker,
    job.started_at ?? finishedAt,
    finishedAt,
    outcome,
    errorText,
  )
  // Each claim has one fence more than the one before.
  if (job.fence > ATTEMPTS_KEPT) db.run(FORGET_ATTEMPTS, job.id, job.fence - ATTEMPTS_KEPT)
}

export function insertLabels(db: Database, id: number, labels: Labels): void {
  for (const term of labelTerms(labels))
    db.run('INSERT OR IGNORE INTO octoflow_job_labels (label, job_id) VALUES (?, ?)', term, id)
}

export function deleteLabels(db: Database, id: number, labels: Labels | undefined): void {
  for (const term of labelTerms(labels ?? {}))
    db.run('DELETE FROM octoflow_job_labels WHERE label = ? AND job_id = ?', term, id)
}

/** Deletes a request with all that hangs on it. @returns whether there was one. */
export function deleteRequest(transaction: Transaction, id: number): boolean {
  const { db } = transaction
  const job = findJob(db, id)
  if (db.run('DELETE FROM octoflow_requests WHERE id = ?', id) === 0) return false
  db.run('DELETE FROM octoflow_bodies WHERE id = ?', id)
  if (job === undefined) return true
  transaction.move(transaction.queueById(job.queue_id), job.concurrency_key, job.stage, null)
  deleteLabels(db, id, parseOptions(job.options).labels)
  for (const sql of DELETE_WITH_JOB) db.run(sql, id)
  return true
}

const SELECT_JOB = `SELECT id, queue_id, stage, attempt, fence, run_at, started_at, worker, concurrency_key, max_attempts,
  options, cancel_requested FROM octoflow_requests WHERE id = ? AND stage IS NOT NULL`

const SELECT_UNIQUE = `SELECT id FROM octoflow_requests
  WHERE queue_id = ? AND unique_key = ? AND unique_key IS NOT NULL AND stage <= 3`

// An attempt whose lease ran out stays that, though a client without a token completed the job later.
const INSERT_ATTEMPT = `INSERT INTO octoflow_attempts
  (job_id, fence, attempt, worker, started_at, finished_at, outcome, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`

const FORGET_ATTEMPTS = 'DELETE FROM octoflow_attempts WHERE job_id = ? AND fence <= ?'

const DELETE_WITH_JOB = [
  'DELETE FROM octoflow_payloads WHERE job_id = ?',
  'DELETE FROM octoflow_attempts WHERE job_id = ?',
  'DELETE FROM octoflow_results WHERE job_id = ?',
  'DELETE FROM octoflow_events WHERE job_id = ?',
]
