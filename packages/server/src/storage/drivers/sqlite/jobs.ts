import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Instant } from '../../../lib/time.ts'
import { type Attempt, isFinished, type Job, type Labels } from '../../../model/job.ts'
import type { JobFilter } from '../../../model/job-filter.ts'
import { ATTEMPTS_KEPT, type JobStore, type Retry, type WaitingFacts } from '../../contract/jobs.ts'
import type { Page } from '../../contract/page.ts'
import type { ItemResult } from '../../contract/storage.ts'
import { formatOptions, parseOptions } from '../../sql/options.ts'
import { pendingStage, Stage, stateOf } from '../../sql/stages.ts'
import { matchesJob } from '../../sql/stored-jobs.ts'
import type { Database } from './database.ts'
import { note } from './events.ts'
import { deleteLabels, findJob, findUnique, insertLabels, recordAttempt } from './job-rows.ts'
import { listIds } from './listing.ts'
import { type JobRow, loadAttempts, loadJob, SELECT_JOB } from './stored-jobs.ts'
import type { Transaction } from './transaction.ts'
import { waitingFacts } from './waiting.ts'
import type { Writer } from './writer.ts'

type Params<Verb extends keyof JobStore> = Parameters<JobStore[Verb]>[0]

export class SqliteJobs implements JobStore {
  readonly #db: Database
  readonly #writer: Writer

  constructor(db: Database, writer: Writer) {
    this.#db = db
    this.#writer = writer
  }

  async find({ ids }: Params<'find'>): Promise<readonly Job[]> {
    return ids.map((id) => loadJob(this.#db, id)).filter((job) => job !== null)
  }

  async list({ filter, page }: Params<'list'>): Promise<Page<Job>> {
    return listJobs(this.#db, filter, page)
  }

  async attempts({ id }: Params<'attempts'>): Promise<readonly Attempt[]> {
    return loadAttempts(this.#db, id).slice(-ATTEMPTS_KEPT)
  }

  async payload({ id }: Params<'payload'>): Promise<string | null> {
    return this.#db.row<[string]>(SELECT_PAYLOAD, id)?.[0] ?? null
  }

  async waiting({ now, id }: Params<'waiting'>): Promise<WaitingFacts | null> {
    const job = loadJob(this.#db, id)
    if (job === null || job.state !== 'pending') return null
    return waitingFacts(this.#db, job, now)
  }

  cancel({ now, ids, reason, note }: Params<'cancel'>): Promise<readonly ItemResult[]> {
    return this.#writer.write((transaction) => {
      const results = ids.map((id) => ({ id, error: cancelJob(transaction, id, reason, note, now) }))
      transaction.lanes.balance(now)
      return results
    })
  }

  retry({ now, items, note }: Params<'retry'>): Promise<readonly ItemResult[]> {
    return this.#writer.write((transaction) => {
      const results = items.map((item) => ({ id: item.id, error: retryJob(transaction, item, note, now) }))
      transaction.lanes.balance(now)
      return results
    })
  }

  edit({ now, id, change, note: message }: Params<'edit'>): Promise<ItemResult> {
    return this.#writer.write((transaction) => {
      const { db } = transaction
      const job = findJob(db, id)
      if (job === undefined) return { id, error: new OctoflowError('job_not_found', { id }) }
      const state = stateOf(job.stage)
      if (state === 'running') return { id, error: new OctoflowError('job_running', { id }) }
      if (isFinished(state)) return { id, error: new OctoflowError('job_finished', { id, state }) }

      const queue = transaction.queueById(job.queue_id)
      const runAt = change.runAt ?? job.run_at
      const stage = change.runAt === undefined ? job.stage : pendingStage(runAt, job.concurrency_key, now)
      if (change.priority !== undefined) db.run('UPDATE octoflow_requests SET priority = ? WHERE id = ?', change.priority, id)
      db.run('UPDATE octoflow_requests SET run_at = ?, stage = ? WHERE id = ?', runAt, stage, id)
      transaction.move(queue, job.concurrency_key, job.stage, stage)
      if (job.concurrency_key !== null) transaction.lanes.touch(queue, job.concurrency_key)
      if (change.labels !== undefined) replaceLabels(db, id, job.options, change.labels)
      note(db, id, message, now)
      transaction.lanes.balance(now)
      return { id, error: null }
    })
  }

  label({ id, label }: Params<'label'>): Promise<ItemResult> {
    return this.#writer.write(({ db }) => {
      const found = db.run('UPDATE octoflow_requests SET status_label = ? WHERE id = ? AND stage IS NOT NULL', label, id) > 0
      return { id, error: found ? null : new OctoflowError('job_not_found', { id }) }
    })
  }
}

export function listJobs(db: Database, filter: JobFilter, page: Parameters<JobStore['list']>[0]['page']): Page<Job> {
  const text = filter.text?.toLowerCase()
  return listIds(db, filter, page, (id) => {
    const job = loadJob(db, id)
    if (job === null || !matchesJob(job, filter)) return null
    return text === undefined || db.row<[string]>(SELECT_PAYLOAD, id)![0].toLowerCase().includes(text) ? job : null
  })
}

/** @returns what stood in the way. */
export function cancelJob(
  transaction: Transaction,
  id: number,
  reason: string,
  message: string,
  now: Instant,
): OctoflowError | null {
  const { db } = transaction
  const job = findJob(db, id)
  if (job === undefined) return new OctoflowError('job_not_found', { id })
  const state = stateOf(job.stage)
  if (isFinished(state)) return new OctoflowError('job_finished', { id, state })
  if (state === 'running') {
    if (job.cancel_requested === 1) return null
    db.run('UPDATE octoflow_requests SET cancel_requested = 1, reason = ? WHERE id = ?', reason, id)
  } else {
    const queue = transaction.queueById(job.queue_id)
    db.run('UPDATE octoflow_requests SET stage = ?, finished_at = ?, reason = ? WHERE id = ?', Stage.cancelled, now, reason, id)
    transaction.move(queue, job.concurrency_key, job.stage, Stage.cancelled)
    transaction.stats(queue, now).cancelled++
  }
  note(db, id, message, now)
  return null
}

/** @returns what stood in the way. */
export function retryJob(
  transaction: Transaction,
  { id, payload, queue: name }: Retry,
  message: string,
  now: Instant,
): OctoflowError | null {
  const { db } = transaction
  const job = db.get<JobRow>(SELECT_JOB, id)
  if (job === undefined) return new OctoflowError('job_not_found', { id })
  const state = stateOf(job.stage)
  if (!isFinished(state)) return new OctoflowError('job_not_finished', { id, state })
  const from = transaction.queueById(job.queue_id)
  const to = name === null ? from : transaction.queue(name, now)
  const holder = job.unique_key === null ? null : findUnique(db, to, job.unique_key)
  if (holder !== null) return new OctoflowError('unique_key_taken', { holder, uniqueKey: job.unique_key, queue: to.name })

  if (job.stage === Stage.completed && job.started_at !== null)
    recordAttempt(db, job, { outcome: 'completed', error: null }, job.finished_at!)
  db.run('DELETE FROM octoflow_results WHERE job_id = ?', id)
  if (payload !== null) db.run('INSERT OR REPLACE INTO octoflow_payloads (job_id, body) VALUES (?, ?)', id, payload)
  const stage = pendingStage(now, job.concurrency_key, now)
  db.run(RERUN, to.id, stage, now, payload === null ? 0 : 1, id)
  transaction.move(from, null, job.stage, null)
  transaction.move(to, job.concurrency_key, null, stage)
  note(db, id, message, now)
  return null
}

function replaceLabels(db: Database, id: number, optionsText: string | null, labels: Labels): void {
  const options = parseOptions(optionsText)
  deleteLabels(db, id, options.labels)
  insertLabels(db, id, labels)
  const text = formatOptions({ backoff: options.backoff ?? null, timeout: options.timeout ?? null, labels })
  db.run('UPDATE octoflow_requests SET options = ? WHERE id = ?', text, id)
}

const SELECT_PAYLOAD = `SELECT coalesce(p.body, r.body, b.body) FROM octoflow_requests r
  LEFT JOIN octoflow_payloads p ON p.job_id = r.id
  LEFT JOIN octoflow_bodies b ON b.id = r.id
  WHERE r.id = ? AND r.stage IS NOT NULL`

const RERUN = `UPDATE octoflow_requests SET queue_id = ?, stage = ?, run_at = ?, attempt = 0, revised = revised | ?,
  finished_at = NULL, started_at = NULL, cancel_requested = 0, reason = NULL, status_label = NULL, progress = NULL, handled = 0
  WHERE id = ?`
