import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Instant } from '../../../lib/time.ts'
import { type Attempt, isFinished, type Job, type Labels } from '../../../model/job.ts'
import type { JobFilter } from '../../../model/job-filter.ts'
import { ATTEMPTS_KEPT, type JobStore, type Retry, type WaitingFacts } from '../../contract/jobs.ts'
import type { Page } from '../../contract/page.ts'
import type { ItemResult } from '../../contract/storage.ts'
import type { JobRecord } from '../../sql/job-record.ts'
import { formatOptions, labelTerms, parseOptions } from '../../sql/options.ts'
import { pendingStage, Stage, stateOf } from '../../sql/stages.ts'
import { type AttemptRecord, currentAttempt, toAttempt } from './attempts.ts'
import type { Queryable } from './connection.ts'
import type { Database } from './database.ts'
import { note } from './events.ts'
import { deleteLabels, insertLabels, JOB_COLUMNS, toJobRecord } from './job-rows.ts'
import { listIds } from './listing.ts'
import type { Transaction } from './transaction.ts'
import { array, textArray } from './values.ts'
import { waitingFacts } from './waiting.ts'
import type { Writer } from './writer.ts'

type Params<Verb extends keyof JobStore> = Parameters<JobStore[Verb]>[0]

export class PostgresJobs implements JobStore {
  readonly #db: Database
  readonly #writer: Writer

  constructor(db: Database, writer: Writer) {
    this.#db = db
    this.#writer = writer
  }

  find({ ids }: Params<'find'>): Promise<readonly Job[]> {
    return findJobs(this.#db, ids)
  }

  list({ filter, page }: Params<'list'>): Promise<Page<Job>> {
    return this.#db.reading((connection) => listJobs(connection, filter, page))
  }

  async attempts({ id }: Params<'attempts'>): Promise<readonly Attempt[]> {
    return this.#db.reading(async (connection) => {
      // In this order: an attempt moves from the job's row to the others, and would be missed between the two.
      const [rows, records] = await Promise.all([
        connection.rows(SELECT_RECORDS, array([id])),
        connection.rows<AttemptRecord>(SELECT_ATTEMPTS, id),
      ])
      if (rows.length === 0) return []
      const job = toJobRecord(rows[0]!)
      const earlier = records.map(toAttempt)
      const known = earlier.some((attempt) => attempt.fence === job.fence)
      // A running or completed attempt stands in the job's own row.
      const inRow = job.stage === Stage.running || job.stage === Stage.completed
      const attempts = inRow && !known && job.startedAt !== null ? [...earlier, currentAttempt(job, job.startedAt)] : earlier
      return attempts.slice(-ATTEMPTS_KEPT)
    })
  }

  async payload({ id }: Params<'payload'>): Promise<string | null> {
    return (await payloadsOf(this.#db, [id])).get(id) ?? null
  }

  waiting({ now, id }: Params<'waiting'>): Promise<WaitingFacts | null> {
    return this.#writer.write(async (transaction) => {
      const [job] = await findJobs(transaction, [id])
      return job === undefined || job.state !== 'pending' ? null : waitingFacts(transaction, job, now)
    })
  }

  cancel({ now, ids, reason, note: message }: Params<'cancel'>): Promise<readonly ItemResult[]> {
    return this.#writer.write(async (transaction) => {
      await transaction.jobs.lock(ids)
      const results = ids.map((id) => ({ id, error: cancelJob(transaction, id, reason, message, now) }))
      await transaction.lanes.balance(now)
      return results
    })
  }

  retry({ now, items, note: message }: Params<'retry'>): Promise<readonly ItemResult[]> {
    return this.#writer.write(async (transaction) => {
      const errors = await retryJobs(transaction, items, message, now)
      await transaction.lanes.balance(now)
      return items.map(({ id }, index) => ({ id, error: errors[index]! }))
    })
  }

  edit({ now, id, change, note: message }: Params<'edit'>): Promise<ItemResult> {
    return this.#writer.write(async (transaction) => {
      await transaction.jobs.lock([id])
      const job = transaction.jobs.find(id)
      if (job === undefined) return { id, error: new OctoflowError('job_not_found', { id }) }
      const state = stateOf(job.stage)
      if (state === 'running') return { id, error: new OctoflowError('job_running', { id }) }
      if (isFinished(state)) return { id, error: new OctoflowError('job_finished', { id, state }) }

      const { priority = job.priority, runAt = job.runAt, labels } = change
      const stage = change.runAt === undefined ? job.stage : pendingStage(runAt, job.concurrencyKey, now)
      transaction.jobs.change(job, { priority, runAt, stage })
      if (job.concurrencyKey !== null) transaction.lanes.touch(job.queueId, job.concurrencyKey)
      if (labels !== undefined) replaceLabels(transaction, job, labels)
      note(transaction, [id], message, now)
      await transaction.lanes.balance(now)
      return { id, error: null }
    })
  }

  label({ id, label }: Params<'label'>): Promise<ItemResult> {
    return this.#writer.write(async (transaction) => {
      await transaction.jobs.lock([id])
      const job = transaction.jobs.find(id)
      if (job === undefined) return { id, error: new OctoflowError('job_not_found', { id }) }
      transaction.jobs.change(job, { statusLabel: label })
      return { id, error: null }
    })
  }
}

export async function listJobs(
  connection: Queryable,
  filter: JobFilter,
  page: Parameters<JobStore['list']>[0]['page'],
): Promise<Page<Job>> {
  const text = filter.text?.toLowerCase()
  return listIds(connection, filter, page, {
    async load(ids) {
      const jobs = (await findJobs(connection, ids)).filter((job) => matches(job, filter))
      if (text === undefined) return jobs
      const payloads = await payloadsOf(
        connection,
        jobs.map(({ id }) => id),
      )
      return jobs.filter(({ id }) => payloads.get(id)?.toLowerCase().includes(text))
    },
  })
}

/** The part of a filter that the source of ids may not have seen to. */
function matches(job: Job, { queues, states, label }: JobFilter): boolean {
  if (queues !== undefined && !queues.includes(job.queue)) return false
  if (states !== undefined && !states.includes(job.state)) return false
  return label === undefined || labelTerms(job.labels).includes(label)
}

/** Cancels a job that is locked. @returns what stood in the way. */
export function cancelJob(
  transaction: Transaction,
  id: number,
  reason: string,
  message: string,
  now: Instant,
): OctoflowError | null {
  const job = transaction.jobs.find(id)
  if (job === undefined) return new OctoflowError('job_not_found', { id })
  const state = stateOf(job.stage)
  if (isFinished(state)) return new OctoflowError('job_finished', { id, state })
  if (state === 'running') {
    if (job.cancelRequested) return null
    transaction.jobs.change(job, { cancelRequested: true, reason })
  } else {
    transaction.jobs.change(job, { stage: Stage.cancelled, finishedAt: now, reason })
    transaction.stats(job.queueId, now).cancelled++
  }
  note(transaction, [id], message, now)
  return null
}

/** Runs finished jobs again. @returns what stood in the way of each. */
export async function retryJobs(
  transaction: Transaction,
  items: readonly Retry[],
  message: string,
  now: Instant,
): Promise<readonly (OctoflowError | null)[]> {
  await transaction.jobs.lock(items.map(({ id }) => id))
  const targets = items.flatMap(({ id, queue }) => (queue !== null && isOver(transaction, id) ? [queue] : []))
  const queues = targets.length === 0 ? new Map<string, number>() : await transaction.makeQueues(targets, now)
  await transaction.settings([...queues.values()])
  const holders = await holdersOf(transaction, items, queues)
  const names = await transaction.names(items.flatMap(({ id }) => transaction.jobs.find(id)?.queueId ?? []))
  const rerun: number[] = []
  const payloads: [number, string][] = []
  const errors = items.map(({ id, payload, queue }) => {
    const job = transaction.jobs.find(id)
    if (job === undefined) return new OctoflowError('job_not_found', { id })
    const state = stateOf(job.stage)
    if (!isFinished(state)) return new OctoflowError('job_not_finished', { id, state })
    const queueId = queue === null ? job.queueId : queues.get(queue)!
    const { uniqueKey } = job
    const holder = uniqueKey === null ? undefined : holders.get(`${queueId}:${uniqueKey}`)
    if (holder !== undefined)
      return new OctoflowError('unique_key_taken', { holder, uniqueKey, queue: queue ?? names.get(queueId)! })
    if (uniqueKey !== null) holders.set(`${queueId}:${uniqueKey}`, id)
    rerunJob(transaction, job, queueId, payload, now)
    if (payload !== null) payloads.push([id, payload])
    rerun.push(id)
    return null
  })
  if (rerun.length > 0) transaction.send(DELETE_RESULTS, array(rerun))
  if (payloads.length > 0)
    transaction.send(REPLACE_PAYLOADS, array(payloads.map(([id]) => id)), textArray(payloads.map(([, payload]) => payload)))
  note(transaction, rerun, message, now)
  return errors
}

function isOver(transaction: Transaction, id: number): boolean {
  const job = transaction.jobs.find(id)
  return job !== undefined && isFinished(stateOf(job.stage))
}

/** Who holds the unique keys of the jobs, in the queues in which they are to run. */
async function holdersOf(
  transaction: Transaction,
  items: readonly Retry[],
  queues: ReadonlyMap<string, number>,
): Promise<Map<string, number>> {
  const keys = items.flatMap(({ id, queue }) => {
    const job = transaction.jobs.find(id)
    if (job === undefined || job.uniqueKey === null) return []
    return [[queue === null ? job.queueId : (queues.get(queue) ?? job.queueId), job.uniqueKey] as const]
  })
  if (keys.length === 0) return new Map()
  const rows = await transaction.rows<[number, string, number]>(
    SELECT_HOLDERS,
    array(keys.map(([queueId]) => queueId)),
    textArray(keys.map(([, key]) => key)),
  )
  return new Map(rows.map(([queueId, key, id]) => [`${queueId}:${key}`, id]))
}

function rerunJob(transaction: Transaction, job: JobRecord, queueId: number, payload: string | null, now: Instant): void {
  if (job.stage === Stage.completed && job.startedAt !== null)
    transaction.jobs.recordAttempt(job, 'completed', null, job.finishedAt!)
  transaction.jobs.change(job, {
    queueId,
    stage: pendingStage(now, job.concurrencyKey, now),
    runAt: now,
    attempt: 0,
    finishedAt: null,
    startedAt: null,
    cancelRequested: false,
    reason: null,
    statusLabel: null,
    progress: null,
    handled: false,
    ...(payload !== null && { revised: true, size: payload.length }),
  })
}

function replaceLabels(transaction: Transaction, job: JobRecord, labels: Labels): void {
  const options = parseOptions(job.options)
  deleteLabels(
    transaction,
    labelTerms(options.labels ?? {}).map((term) => [job.id, term] as const),
  )
  insertLabels(transaction, [[job.id, labels]])
  transaction.jobs.change(job, { options: formatOptions({ backoff: options.backoff ?? null, timeout: null, labels }) })
}

/** In the order asked for; those that do not exist are left out. */
export async function findJobs(from: Queryable, ids: readonly number[]): Promise<Job[]> {
  if (ids.length === 0) return []
  const rows = await from.rows<[string, ...unknown[]]>(SELECT_JOBS, array(ids))
  const found = new Map(
    rows.map(([queue, ...row]) => {
      const job = toJobRecord(row)
      return [job.id, toJob(job, queue)]
    }),
  )
  return ids.flatMap((id) => found.get(id) ?? [])
}

function toJob(record: JobRecord, queue: string): Job {
  const options = parseOptions(record.options)
  const { queueId: _queueId, handled: _handled, revised: _revised, deadline: _deadline, size: _size, ...job } = record
  const { stage, receivedAt, options: _options, progress, ...rest } = job
  return {
    ...rest,
    queue,
    state: stateOf(stage),
    createdAt: receivedAt,
    backoff: options.backoff ?? null,
    labels: options.labels ?? {},
    progress: progress === null ? null : JSON.parse(progress),
  }
}

async function payloadsOf(from: Queryable, ids: readonly number[]): Promise<ReadonlyMap<number, string>> {
  return new Map(await from.rows<[number, string]>(SELECT_PAYLOADS, array(ids)))
}

const SELECT_RECORDS = `SELECT ${JOB_COLUMNS} FROM octoflow_requests r WHERE r.id = ANY ($1::bigint[]) AND r.stage IS NOT NULL`

const SELECT_JOBS = `SELECT q.name, ${JOB_COLUMNS} FROM octoflow_requests r JOIN octoflow_queues q ON q.id = r.queue_id
  WHERE r.id = ANY ($1::bigint[]) AND r.stage IS NOT NULL`

const SELECT_ATTEMPTS = `SELECT fence, attempt, worker, started_at, finished_at, outcome, error FROM octoflow_attempts
  WHERE job_id = $1 ORDER BY fence`

const SELECT_PAYLOADS = `SELECT r.id, coalesce(p.body, r.body, b.body) FROM octoflow_requests r
  LEFT JOIN octoflow_payloads p ON r.revised AND p.job_id = r.id
  LEFT JOIN octoflow_bodies b ON r.body IS NULL AND b.id = r.id
  WHERE r.id = ANY ($1::bigint[]) AND r.stage IS NOT NULL`

const SELECT_HOLDERS = `SELECT r.queue_id, r.unique_key, r.id
  FROM unnest($1::integer[], $2::text[]) AS u (queue_id, key)
  JOIN octoflow_requests r ON r.queue_id = u.queue_id AND r.unique_key = u.key AND r.unique_key IS NOT NULL AND r.stage <= 3`

const DELETE_RESULTS = 'DELETE FROM octoflow_results WHERE job_id = ANY ($1::bigint[])'

const REPLACE_PAYLOADS = `INSERT INTO octoflow_payloads (job_id, body) SELECT * FROM unnest($1::bigint[], $2::text[])
  ON CONFLICT (job_id) DO UPDATE SET body = excluded.body`
