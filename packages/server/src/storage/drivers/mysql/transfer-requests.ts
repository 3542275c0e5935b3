import type { Instant } from '../../../lib/time.ts'
import type { StoredResult } from '../../contract/results.ts'
import type { JobOfRequest, RequestRecord } from '../../contract/transfer.ts'
import { formatMeta } from '../../sql/meta.ts'
import { formatOptions } from '../../sql/options.ts'
import { pageBy } from '../../sql/paging.ts'
import { findRequests } from '../../sql/requests.ts'
import { pendingStage, stagesOf } from '../../sql/stages.ts'
import { toJob } from '../../sql/stored-jobs.ts'
import { isInline } from '../../sql/submits.ts'
import type { Queryable } from './connection.ts'
import { insertLabels } from './job-rows.ts'
import { jobStatements, loadEndedAttempts } from './jobs.ts'
import { STORE_RESULTS } from './reports.ts'
import { requestStatements } from './requests.ts'
import type { Transaction } from './transaction.ts'
import { countOf, type RecordTable } from './transfer-table.ts'
import type { Scalar } from './values.ts'

/** Requests with their jobs, each with all that hangs on it but its events. */
export const requests: RecordTable<'request'> = {
  count: (from) => countOf(from, 'octoflow_requests', ['id']),
  async read(from, after, limit) {
    const rows = await from.rows<[id: number, size: number]>(SELECT_SIZES, Number(after ?? 0), limit + 1)
    const page = { order: 'asc', after: null, limit } as const
    const { items, next } = pageBy(
      rows,
      page,
      ([id]) => id,
      ([, size]) => size,
    )
    return {
      records: await load(
        from,
        items.map(([id]) => id),
      ),
      next: next === null ? null : String(next),
    }
  },
  async insert(transaction, records, now) {
    const queueIds = await transaction.findQueues(records.flatMap(({ job }) => job?.queue ?? []))
    const rows: Scalar[][] = []
    const bodies: Scalar[][] = []
    for (const record of records) {
      const meta = formatMeta(record)
      const inline = isInline(meta, record.body)
      if (!inline) bodies.push([record.id, meta, record.body])
      rows.push([
        record.id,
        record.receivedAt,
        record.handled,
        inline ? meta : null,
        inline ? record.body : null,
        ...(record.job === null ? WITHOUT_JOB : columnsOf(record.job, queueIds, inline ? null : record.body, now)),
      ])
    }
    transaction.insert(INSERT, rows)
    transaction.insert('INSERT INTO octoflow_bodies (id, meta, body) VALUES ?', bodies)
    insertHangingOn(transaction, records)
  },
}

async function load(from: Queryable, ids: readonly number[]): Promise<RequestRecord[]> {
  if (ids.length === 0) return []
  const [found, jobs, attempts, payloads, results] = await Promise.all([
    findRequests(from, requestStatements, ids),
    jobStatements.load(from, ids),
    loadEndedAttempts(from, ids),
    from.rows<[number, string]>('SELECT job_id, body FROM octoflow_payloads WHERE job_id IN (?)', ids),
    from.rows<[number, Instant, string]>('SELECT job_id, at, value FROM octoflow_results WHERE job_id IN (?)', ids),
  ])
  const jobOf = new Map(jobs.map((stored) => [stored[0].id, stored]))
  const payloadOf = new Map(payloads)
  const resultOf = new Map(results.map(([id, at, value]): [number, Omit<StoredResult, 'jobId'>] => [id, { at, value }]))
  return found.map(({ queue: _, ...request }) => {
    const { id } = request
    const stored = jobOf.get(id)
    if (stored === undefined) return { ...request, job: null }
    const { id: _id, createdAt: _createdAt, ...rest } = toJob(...stored)
    const [{ deadline }] = stored
    const hanging = { payload: payloadOf.get(id) ?? null, result: resultOf.get(id) ?? null, attempts: attempts.get(id) ?? [] }
    return { ...request, job: { ...rest, deadline, ...hanging } }
  })
}

/** What hangs on jobs: labels, payloads, results and attempts. */
function insertHangingOn(transaction: Transaction, records: readonly RequestRecord[]): void {
  const payloads: Scalar[][] = []
  const results: Scalar[][] = []
  const attempts: Scalar[][] = []
  const labels: (readonly [number, JobOfRequest['labels']])[] = []
  for (const { id, job } of records) {
    if (job === null) continue
    labels.push([id, job.labels])
    if (job.payload !== null) payloads.push([id, job.payload])
    if (job.result !== null) results.push([id, job.result.at, job.result.value])
    for (const { fence, attempt, worker, startedAt, finishedAt, outcome, error } of job.attempts) {
      const errorText = error === null ? null : JSON.stringify(error)
      attempts.push([id, fence, attempt, worker, startedAt, finishedAt, outcome, errorText])
    }
  }
  insertLabels(transaction, labels)
  transaction.insert('INSERT INTO octoflow_payloads (job_id, body) VALUES ?', payloads)
  transaction.insert(STORE_RESULTS, results)
  transaction.insert(INSERT_ATTEMPTS, attempts)
}

const JOB_COLUMNS = [
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
  'concurrency_key',
  'unique_key',
  'max_attempts',
  'timeout',
  'options',
  'size',
  'revised',
  'deadline',
  'cancel_requested',
  'reason',
  'status_label',
  'progress',
]

/** @param bodyApart the body, where it does not stand in the row. */
const columnsOf = (
  job: JobOfRequest,
  queueIds: ReadonlyMap<string, number>,
  bodyApart: string | null,
  now: Instant,
): Scalar[] => [
  queueIds.get(job.queue)!,
  job.state === 'pending' ? pendingStage(job.runAt, job.concurrencyKey, now) : stagesOf(job.state)[0]!,
  job.priority,
  job.runAt,
  job.leaseUntil,
  job.attempt,
  job.fence,
  job.startedAt,
  job.finishedAt,
  job.worker,
  job.concurrencyKey,
  job.uniqueKey,
  job.maxAttempts,
  job.timeout,
  formatOptions({ ...job, timeout: null }),
  job.payload?.length ?? bodyApart?.length ?? null,
  job.payload !== null,
  job.deadline,
  job.cancelRequested,
  job.reason,
  job.statusLabel,
  job.progress === null ? null : JSON.stringify(job.progress),
]

const WITHOUT_JOB: readonly Scalar[] = JOB_COLUMNS.map((column) =>
  ['attempt', 'fence', 'revised', 'cancel_requested'].includes(column) ? 0 : null,
)

const INSERT = `INSERT INTO octoflow_requests (id, received_at, handled, meta, body, ${JOB_COLUMNS.join(', ')}) VALUES ?`

const INSERT_ATTEMPTS = `INSERT INTO octoflow_attempts
  (job_id, fence, attempt, worker, started_at, finished_at, outcome, error) VALUES ?`

const SELECT_SIZES = `SELECT r.id,
    COALESCE(CHAR_LENGTH(b.body), 0) + COALESCE(CHAR_LENGTH(p.body), 0) + COALESCE(CHAR_LENGTH(x.value), 0)
    + COALESCE((SELECT SUM(CHAR_LENGTH(a.error)) FROM octoflow_attempts a WHERE a.job_id = r.id), 0)
  FROM octoflow_requests r
  LEFT JOIN octoflow_bodies b ON b.id = r.id
  LEFT JOIN octoflow_payloads p ON p.job_id = r.id
  LEFT JOIN octoflow_results x ON x.job_id = r.id
  WHERE r.id > ? ORDER BY r.id LIMIT ?`
