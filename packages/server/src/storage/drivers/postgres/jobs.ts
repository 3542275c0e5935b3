import { ATTEMPT_COLUMNS, type AttemptRecord, toAttempt } from '../../sql/attempts.ts'
import type { JobStatements } from '../../sql/jobs.ts'
import type { Queryable } from './connection.ts'
import { sendEvents } from './events.ts'
import { deleteLabels, insertLabels, JOB_COLUMNS, toJobRecord } from './job-rows.ts'
import { idsOf } from './listing.ts'
import type { Transaction } from './transaction.ts'
import { uniqueHolders } from './unique-keys.ts'
import { array, textArray } from './values.ts'
import { waitingStatements } from './waiting.ts'

export const jobStatements: JobStatements<Queryable, Transaction> = {
  idsOf,
  async load(from, ids) {
    const rows = await from.rows<[string, ...unknown[]]>(SELECT_JOBS, array(ids))
    return rows.map(([queue, ...row]) => [toJobRecord(row), queue])
  },
  async payloads(from, ids) {
    return new Map(await from.rows<[number, string]>(SELECT_PAYLOADS, array(ids)))
  },
  async loadWithAttempts(from, id) {
    const [[row], ended] = await Promise.all([
      from.rows(SELECT_RECORDS, array([id])),
      from.rows<AttemptRecord>(SELECT_ATTEMPTS, id),
    ])
    return row === undefined ? null : [toJobRecord(row), ended.map(toAttempt)]
  },
  holders: uniqueHolders,
  deleteResults: (transaction, jobIds) => transaction.send(DELETE_RESULTS, array(jobIds)),
  replacePayloads(transaction, payloads) {
    transaction.send(REPLACE_PAYLOADS, array(payloads.map(([id]) => id)), textArray(payloads.map(([, payload]) => payload)))
  },
  insertLabels,
  deleteLabels,
  sendEvents,
  waiting: waitingStatements,
}

const SELECT_RECORDS = `SELECT ${JOB_COLUMNS} FROM octoflow_requests r WHERE r.id = ANY ($1::bigint[]) AND r.stage IS NOT NULL`

const SELECT_JOBS = `SELECT q.name, ${JOB_COLUMNS} FROM octoflow_requests r JOIN octoflow_queues q ON q.id = r.queue_id
  WHERE r.id = ANY ($1::bigint[]) AND r.stage IS NOT NULL`

const SELECT_ATTEMPTS = `SELECT ${ATTEMPT_COLUMNS} FROM octoflow_attempts
  WHERE job_id = $1 ORDER BY fence`

const SELECT_PAYLOADS = `SELECT r.id, coalesce(p.body, r.body, b.body) FROM octoflow_requests r
  LEFT JOIN octoflow_payloads p ON r.revised AND p.job_id = r.id
  LEFT JOIN octoflow_bodies b ON r.body IS NULL AND b.id = r.id
  WHERE r.id = ANY ($1::bigint[]) AND r.stage IS NOT NULL`

const DELETE_RESULTS = 'DELETE FROM octoflow_results WHERE job_id = ANY ($1::bigint[])'

const REPLACE_PAYLOADS = `INSERT INTO octoflow_payloads (job_id, body) SELECT * FROM unnest($1::bigint[], $2::text[])
  ON CONFLICT (job_id) DO UPDATE SET body = excluded.body`
