import type { Instant } from '../../../lib/time.ts'
import { CHARACTERS_AT_ONCE } from '../../contract/page.ts'
import type { JobOfRequest, RequestRecord } from '../../contract/transfer.ts'
import { type AttemptRecord, toAttempt } from '../../sql/attempts.ts'
import { formatMeta } from '../../sql/meta.ts'
import { formatOptions } from '../../sql/options.ts'
import { findRequests } from '../../sql/requests.ts'
import { pendingStage, type Stage, stagesOf } from '../../sql/stages.ts'
import { findJobs } from '../../sql/stored-jobs.ts'
import { isInline } from '../../sql/submits.ts'
import type { Queryable } from './connection.ts'
import { insertLabels } from './job-rows.ts'
import { jobStatements } from './jobs.ts'
import { requestStatements } from './requests.ts'
import type { Transaction } from './transaction.ts'
import { type Cell, type Columns, countOf, insertRows, type RecordTable } from './transfer-table.ts'
import { array } from './values.ts'

/** Requests with their jobs, each with all that hangs on it but its events. */
export const requests: RecordTable<'request'> = {
  table: 'octoflow_requests',
  count: (from) => countOf(from, 'octoflow_requests'),
  async read(from, after, limit) {
    const rows = await from.rows<[id: number, size: number]>(SELECT_SIZES, Number(after ?? 0), limit)
    const ids: number[] = []
    let size = 0
    for (const [id, characters] of rows) {
      if (size >= CHARACTERS_AT_ONCE) break
      ids.push(id)
      size += characters
    }
    const more = rows.length === limit || ids.length < rows.length
    return { records: await load(from, ids), next: more ? String(ids.at(-1)!) : null }
  },
  async insert(transaction, records, now) {
    const queues = await transaction.findQueues(records.flatMap(({ job }) => job?.queue ?? []))
    insertRows(
      transaction,
      'octoflow_requests',
      COLUMNS,
      records.map((record) => toRow(record, queues, now)),
    )
    const apart = records.filter((record) => !isInline(formatMeta(record), record.body))
    insertRows(
      transaction,
      'octoflow_bodies',
      { id: 'bigint', meta: 'text', body: 'text' },
      apart.map((record) => [record.id, formatMeta(record), record.body]),
    )
    insertWithJobs(transaction, records.filter(hasJob))
  },
}

type WithJob = RequestRecord & { readonly job: JobOfRequest }

const hasJob = (record: RequestRecord): record is WithJob => record.job !== null

async function load(from: Queryable, ids: readonly number[]): Promise<RequestRecord[]> {
  const given = array(ids)
  const [found, jobs, rest, attempts] = await Promise.all([
    findRequests(from, requestStatements, ids),
    findJobs(from, jobStatements, ids),
    from.rows<RestRecord>(SELECT_REST, given),
    from.rows<[jobId: number, ...AttemptRecord]>(SELECT_ATTEMPTS, given),
  ])
  const jobsById = new Map(jobs.map((job) => [job.id, job]))
  const restById = new Map(rest.map((row) => [row[0], row]))
  const attemptsById = Map.groupBy(attempts, ([jobId]) => jobId)
  return found.map(({ queue: _queue, ...request }) => {
    const job = jobsById.get(request.id)
    if (job === undefined) return { ...request, job: null }
    const { id, createdAt: _createdAt, ...told } = job
    const [, deadline, payload, resultAt, result] = restById.get(id)!
    return {
      ...request,
      job: {
        ...told,
        deadline,
        payload,
        result: resultAt === null || result === null ? null : { at: resultAt, value: result },
        attempts: (attemptsById.get(id) ?? []).map(([, ...attempt]) => toAttempt(attempt)),
      },
    }
  })
}

function toRow(record: RequestRecord, queues: ReadonlyMap<string, number>, now: Instant): Cell[] {
  const { id, receivedAt, handled, body, job } = record
  const meta = formatMeta(record)
  const inline = isInline(meta, body)
  const content = inline ? [meta, body] : [null, null]
  if (job === null) return [id, receivedAt, handled, ...content, inline ? null : body.length, ...NO_JOB]
  return [
    id,
    receivedAt,
    handled,
    ...content,
    job.payload !== null ? job.payload.length : inline ? null : body.length,
    queues.get(job.queue)!,
    stageOf(job, now),
    job.priority,
    job.runAt,
    job.leaseUntil,
    job.startedAt,
    job.finishedAt,
    job.attempt,
    job.fence,
    job.payload !== null,
    job.cancelRequested,
    job.maxAttempts,
    job.timeout,
    job.deadline,
    job.worker,
    job.concurrencyKey,
    job.uniqueKey,
    formatOptions({ ...job, timeout: null }),
    job.reason,
    job.statusLabel,
    job.progress === null ? null : JSON.stringify(job.progress),
  ]
}

const stageOf = ({ state, runAt, concurrencyKey }: JobOfRequest, now: Instant): Stage =>
  state === 'pending' ? pendingStage(runAt, concurrencyKey, now) : stagesOf(state)[0]!

function insertWithJobs(transaction: Transaction, records: readonly WithJob[]): void {
  insertLabels(
    transaction,
    records.map(({ id, job }) => [id, job.labels]),
  )
  const payloads = records.flatMap(({ id, job }) => (job.payload === null ? [] : [[id, job.payload]]))
  insertRows(transaction, 'octoflow_payloads', { job_id: 'bigint', body: 'text' }, payloads)
  const results = records.flatMap(({ id, job: { result } }) => (result === null ? [] : [[id, result.at, result.value]]))
  insertRows(transaction, 'octoflow_results', { job_id: 'bigint', at: 'bigint', value: 'text' }, results)
  const attempts = records.flatMap(({ id, job }) =>
    job.attempts.map(({ fence, attempt, worker, startedAt, finishedAt, outcome, error }) => {
      const errorText = error === null ? null : JSON.stringify(error)
      return [id, fence, attempt, worker, startedAt, finishedAt, outcome, errorText]
    }),
  )
  insertRows(transaction, 'octoflow_attempts', ATTEMPT_COLUMNS, attempts)
}

const COLUMNS: Columns = {
  id: 'bigint',
  received_at: 'bigint',
  handled: 'boolean',
  meta: 'text',
  body: 'text',
  size: 'integer',
  queue_id: 'integer',
  stage: 'smallint',
  priority: 'smallint',
  run_at: 'bigint',
  lease_until: 'bigint',
  started_at: 'bigint',
  finished_at: 'bigint',
  attempt: 'integer',
  fence: 'integer',
  revised: 'boolean',
  cancel_requested: 'boolean',
  max_attempts: 'integer',
  timeout: 'bigint',
  deadline: 'bigint',
  worker: 'text',
  concurrency_key: 'text',
  unique_key: 'text',
  options: 'text',
  reason: 'text',
  status_label: 'text',
  progress: 'text',
}

/** What stands in the columns from `queue_id` on where there is no job. */
const NO_JOB: readonly Cell[] = [null, null, null, null, null, null, null, 0, 0, false, false, ...Array<null>(10).fill(null)]

const ATTEMPT_COLUMNS: Columns = {
  job_id: 'bigint',
  fence: 'integer',
  attempt: 'integer',
  worker: 'text',
  started_at: 'bigint',
  finished_at: 'bigint',
  outcome: 'text',
  error: 'text',
}

type RestRecord = readonly [
  id: number,
  deadline: Instant | null,
  payload: string | null,
  resultAt: Instant | null,
  result: string | null,
]

const FROM = `FROM octoflow_requests r
  LEFT JOIN octoflow_bodies b ON b.id = r.id
  LEFT JOIN octoflow_payloads p ON p.job_id = r.id
  LEFT JOIN octoflow_results x ON x.job_id = r.id`

const SELECT_SIZES = `SELECT r.id, octet_length(coalesce(r.body, b.body)) + coalesce(octet_length(p.body), 0)
    + coalesce(octet_length(x.value), 0)
    + coalesce((SELECT sum(octet_length(a.error)) FROM octoflow_attempts a WHERE a.job_id = r.id), 0)
  ${FROM} WHERE r.id > $1 ORDER BY r.id LIMIT $2`

const SELECT_REST = `SELECT r.id, r.deadline, p.body, x.at, x.value ${FROM} WHERE r.id = ANY ($1::bigint[])`

const SELECT_ATTEMPTS = `SELECT job_id, fence, attempt, worker, started_at, finished_at, outcome, error FROM octoflow_attempts
  WHERE job_id = ANY ($1::bigint[]) ORDER BY job_id, fence`
