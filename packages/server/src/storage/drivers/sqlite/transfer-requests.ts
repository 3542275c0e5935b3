import type { Instant } from '../../../lib/time.ts'
import { CHARACTERS_AT_ONCE } from '../../contract/page.ts'
import type { JobOfRequest, RequestRecord } from '../../contract/transfer.ts'
import { formatOptions } from '../../sql/options.ts'
import { pendingStage, stagesOf } from '../../sql/stages.ts'
import type { Database } from './database.ts'
import { insertLabels, recordAttempt } from './job-rows.ts'
import { STORE_RESULT } from './reports.ts'
import { type Content, findRequest, storeContent } from './requests.ts'
import { loadEndedAttempts, loadJob } from './stored-jobs.ts'
import type { Transaction } from './transaction.ts'
import { countOf, type RecordTable } from './transfer-table.ts'

/** Requests with their jobs, each with all that hangs on it but its events. */
export const requests: RecordTable<'request'> = {
  count: (db) => countOf(db, 'octoflow_requests'),
  read(db, after, limit) {
    const ids = db.rows<[number]>(
      'SELECT id FROM octoflow_requests WHERE id > ? ORDER BY id LIMIT ?',
      Number(after ?? 0),
      limit,
    )
    const records: RequestRecord[] = []
    let size = 0
    for (const [id] of ids) {
      if (size >= CHARACTERS_AT_ONCE) break
      const record = load(db, id)
      records.push(record)
      size += sizeOf(record)
    }
    const more = ids.length === limit || records.length < ids.length
    return { records, next: more ? String(records.at(-1)!.id) : null }
  },
  insert(transaction, record, now) {
    const { id, receivedAt, handled, job } = record
    const { db } = transaction
    const content = storeContent(db, id, record)
    if (job === null) db.run(INSERT_WITHOUT_JOB, id, receivedAt, handled ? 1 : 0, content.meta, content.body)
    else insertJob(transaction, record, job, content, now)
  },
}

function sizeOf({ body, job }: RequestRecord): number {
  if (job === null) return body.length
  const errors = job.attempts.map(({ error }) => (error === null ? 0 : error.message.length + (error.detail?.length ?? 0)))
  return body.length + (job.payload?.length ?? 0) + (job.result?.value.length ?? 0) + errors.reduce((a, b) => a + b, 0)
}

function load(db: Database, id: number): RequestRecord {
  const { queue: _, ...request } = findRequest(db, id)!
  return { ...request, job: loadJobOf(db, id) }
}

function loadJobOf(db: Database, id: number): JobOfRequest | null {
  const job = loadJob(db, id)
  if (job === null) return null
  const { id: _id, createdAt: _createdAt, ...rest } = job
  const [deadline, payload, resultAt, result] = db.row<[number | null, string | null, number | null, string | null]>(
    SELECT_REST,
    id,
  )!
  return {
    ...rest,
    deadline,
    payload,
    result: resultAt === null || result === null ? null : { at: resultAt, value: result },
    attempts: loadEndedAttempts(db, id),
  }
}

function insertJob(
  transaction: Transaction,
  { id, receivedAt, handled }: RequestRecord,
  job: JobOfRequest,
  { meta, body }: Content,
  now: Instant,
): void {
  const { db } = transaction
  db.insert(
    'octoflow_requests',
    COLUMNS,
    id,
    transaction.findQueue(job.queue)!.id,
    job.state === 'pending' ? pendingStage(job.runAt, job.concurrencyKey, now) : stagesOf(job.state)[0]!,
    job.priority,
    job.runAt,
    job.leaseUntil,
    job.attempt,
    job.fence,
    job.startedAt,
    job.finishedAt,
    job.worker,
    handled ? 1 : 0,
    receivedAt,
    job.concurrencyKey,
    job.uniqueKey,
    job.maxAttempts,
    formatOptions(job),
    meta,
    body,
    job.payload === null ? 0 : 1,
    job.deadline,
    job.cancelRequested ? 1 : 0,
    job.reason,
    job.statusLabel,
    job.progress === null ? null : JSON.stringify(job.progress),
  )
  insertLabels(db, id, job.labels)
  if (job.payload !== null) db.run('INSERT INTO octoflow_payloads (job_id, body) VALUES (?, ?)', id, job.payload)
  if (job.result !== null) db.run(STORE_RESULT, id, job.result.at, job.result.value)
  for (const { outcome, error, finishedAt, startedAt, ...attempt } of job.attempts)
    recordAttempt(db, { ...attempt, id, started_at: startedAt }, { outcome: outcome!, error }, finishedAt!)
}

const COLUMNS = [
  'id',
  'queue_id',
  'stage',
  'priority',
  'run_at',
  'lease_until',
  'attempt',
  'fence',
  'started_at',
  'finished_at',
  'worker',
  'handled',
  'received_at',
  'concurrency_key',
  'unique_key',
  'max_attempts',
  'options',
  'meta',
  'body',
  'revised',
  'deadline',
  'cancel_requested',
  'reason',
  'status_label',
  'progress',
]

const INSERT_WITHOUT_JOB = 'INSERT INTO octoflow_requests (id, received_at, handled, meta, body) VALUES (?, ?, ?, ?, ?)'

const SELECT_REST = `SELECT r.deadline, p.body, x.at, x.value FROM octoflow_requests r
  LEFT JOIN octoflow_payloads p ON p.job_id = r.id
  LEFT JOIN octoflow_results x ON x.job_id = r.id
  WHERE r.id = ?`
