import type { Attempt } from '../../../model/job.ts'
import { ATTEMPT_COLUMNS, type AttemptRecord, toAttempt } from '../../sql/attempts.ts'
import type { JobStatements } from '../../sql/jobs.ts'
import type { Queryable } from './connection.ts'
import { sendEvents } from './events.ts'
import { deleteLabels, insertLabels, JOB_COLUMNS, toJobRecord } from './job-rows.ts'
import { idsOf } from './listing.ts'
import type { Transaction } from './transaction.ts'
import { uniqueHolders } from './unique-keys.ts'
import { waitingStatements } from './waiting.ts'

export const jobStatements: JobStatements<Queryable, Transaction> = {
  idsOf,
  async load(from, ids) {
    const rows = await from.rows<[string, ...unknown[]]>(SELECT_JOBS, ids)
    return rows.map(([queue, ...row]) => [toJobRecord(row), queue])
  },
  async payloads(from, ids) {
    return new Map(await from.rows<[number, string]>(SELECT_PAYLOADS, ids))
  },
  async loadWithAttempts(from, id) {
    const [row] = await from.rows(SELECT_RECORDS, [id])
    return row === undefined ? null : [toJobRecord(row), (await loadEndedAttempts(from, [id])).get(id)!]
  },
  holders: uniqueHolders,
  deleteResults: (transaction, jobIds) => transaction.send('DELETE FROM octoflow_results WHERE job_id IN (?)', jobIds),
  replacePayloads: (transaction, payloads) => transaction.insert(REPLACE_PAYLOADS, payloads),
  insertLabels,
  deleteLabels,
  sendEvents,
  waiting: waitingStatements,
}

/** The attempts of each job that have rows of their own, oldest first. */
export async function loadEndedAttempts(from: Queryable, jobIds: readonly number[]): Promise<ReadonlyMap<number, Attempt[]>> {
  const attempts = new Map<number, Attempt[]>(jobIds.map((id) => [id, []]))
  const rows = await from.rows<[jobId: number, ...AttemptRecord]>(SELECT_ATTEMPTS, jobIds)
  for (const [jobId, ...attempt] of rows) attempts.get(jobId)!.push(toAttempt(attempt))
  return attempts
}

const SELECT_RECORDS = `SELECT ${JOB_COLUMNS} FROM octoflow_requests r WHERE r.id IN (?) AND r.stage IS NOT NULL`

const SELECT_JOBS = `SELECT q.name, ${JOB_COLUMNS} FROM octoflow_requests r JOIN octoflow_queues q ON q.id = r.queue_id
  WHERE r.id IN (?) AND r.stage IS NOT NULL`

const SELECT_PAYLOADS = `SELECT r.id, COALESCE(p.body, r.body, b.body) FROM octoflow_requests r
  LEFT JOIN octoflow_payloads p ON p.job_id = r.id
  LEFT JOIN octoflow_bodies b ON b.id = r.id
  WHERE r.id IN (?) AND r.stage IS NOT NULL`

const SELECT_ATTEMPTS = `SELECT job_id, ${ATTEMPT_COLUMNS} FROM octoflow_attempts
  WHERE job_id IN (?) ORDER BY job_id, fence`

const REPLACE_PAYLOADS = `INSERT INTO octoflow_payloads (job_id, body) VALUES ?
  ON DUPLICATE KEY UPDATE body = VALUES(body)`
