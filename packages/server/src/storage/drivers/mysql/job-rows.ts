import type { Instant } from '../../../lib/time.ts'
import type { AttemptOutcome, JobError, Labels } from '../../../model/job.ts'
import { ATTEMPTS_KEPT } from '../../contract/jobs.ts'
import type { JobRecord } from '../../sql/job-record.ts'
import { labelTerms, parseOptions } from '../../sql/options.ts'
import { Stage } from '../../sql/stages.ts'
import type { Transaction } from './transaction.ts'
import { format, type Scalar } from './values.ts'

const COLUMNS: Readonly<Record<keyof JobRecord, string>> = {
  id: 'id',
  receivedAt: 'received_at',
  maxAttempts: 'max_attempts',
  timeout: 'timeout',
  concurrencyKey: 'concurrency_key',
  uniqueKey: 'unique_key',
  queueId: 'queue_id',
  stage: 'stage',
  priority: 'priority',
  runAt: 'run_at',
  leaseUntil: 'lease_until',
  startedAt: 'started_at',
  finishedAt: 'finished_at',
  deadline: 'deadline',
  attempt: 'attempt',
  fence: 'fence',
  handled: 'handled',
  revised: 'revised',
  cancelRequested: 'cancel_requested',
  size: 'size',
  worker: 'worker',
  options: 'options',
  reason: 'reason',
  statusLabel: 'status_label',
  progress: 'progress',
}

const FIELDS = Object.keys(COLUMNS) as (keyof JobRecord)[]

const BOOLEANS: ReadonlySet<keyof JobRecord> = new Set(['handled', 'revised', 'cancelRequested'])

export function toJobRecord(row: readonly unknown[]): JobRecord {
  const record: Record<string, unknown> = {}
  for (const [index, field] of FIELDS.entries()) record[field] = BOOLEANS.has(field) ? row[index] === 1 : row[index]
  return record as unknown as JobRecord
}

/** The columns of a `JobRecord`, in order. */
export const JOB_COLUMNS = FIELDS.map((field) => `r.${COLUMNS[field]}`).join(', ')

/** The jobs that a transaction decides about: locked by one statement, changed in memory, saved by others. */
export class JobRows {
  readonly #transaction: Transaction
  readonly #locked = new Map<number, JobRecord>()
  readonly #changed = new Map<JobRecord, Set<keyof JobRecord>>()
  readonly #attempts: Scalar[][] = []

  constructor(transaction: Transaction) {
    this.#transaction = transaction
  }

  /** Locks jobs, in order of id, before lanes are. Those that do not exist are left out. */
  async lock(ids: readonly number[]): Promise<void> {
    const wanted = [...new Set(ids)].filter((id) => !this.#locked.has(id))
    if (wanted.length === 0) return
    const rows = await this.#transaction.rows(LOCK, wanted)
    for (const job of rows.map(toJobRecord)) {
      this.#locked.set(job.id, job)
      // While it is locked here a claim passes it by.
      if (job.stage === Stage.ready) this.#transaction.change(job.queueId).becameReady++
    }
    await this.#transaction.settings([...this.#locked.values()].map(({ queueId }) => queueId))
  }

  /** A job that was locked; `undefined` if there is none. */
  find(id: number): JobRecord | undefined {
    return this.#locked.get(id)
  }

  /** Changes a job, and the counts with its stage. */
  change(job: JobRecord, change: Partial<JobRecord>): void {
    const { queueId, stage } = job
    Object.assign(job, change)
    const changed = this.#changed.get(job) ?? new Set()
    for (const field of Object.keys(change)) changed.add(field as keyof JobRecord)
    this.#changed.set(job, changed)
    if (job.queueId === queueId) this.#transaction.move(queueId, job.concurrencyKey, stage, job.stage)
    else {
      this.#transaction.move(queueId, null, stage, null)
      this.#transaction.move(job.queueId, job.concurrencyKey, null, job.stage)
    }
  }

  recordAttempt(job: JobRecord, outcome: AttemptOutcome, error: JobError | null, finishedAt: Instant): void {
    const { id, fence, attempt, worker, startedAt } = job
    const errorText = error === null ? null : JSON.stringify(error)
    this.#attempts.push([id, fence, attempt, worker, startedAt ?? finishedAt, finishedAt, outcome, errorText])
  }

  /** Writes what was changed; jobs that are changed alike with one statement. */
  save(): void {
    this.#saveAttempts()
    const alike = new Map<string, number[]>()
    for (const [job, fields] of this.#changed) {
      const set = [...fields].map((field) => format(`${COLUMNS[field]} = ?`, [job[field]])).join(', ')
      const ids = alike.get(set)
      if (ids === undefined) alike.set(set, [job.id])
      else ids.push(job.id)
    }
    this.#changed.clear()
    for (const [set, ids] of alike)
      this.#transaction.send(`UPDATE octoflow_requests FORCE INDEX (PRIMARY) SET ${set} WHERE ${format(BY_ID, [ids])}`)
  }

  /** Deletes requests with all that hangs on them. @returns those that there were. */
  async delete(ids: readonly number[]): Promise<ReadonlySet<number>> {
    await this.lock(ids)
    this.save()
    const deleted = (await this.#transaction.rows<[number]>(LOCK_REQUESTS, ids)).map(([id]) => id)
    const labels: [number, string][] = []
    for (const id of deleted) {
      const job = this.#locked.get(id)
      if (job === undefined) continue
      this.#transaction.move(job.queueId, job.concurrencyKey, job.stage, null)
      for (const term of labelTerms(parseOptions(job.options).labels ?? {})) labels.push([id, term])
      this.#locked.delete(id)
    }
    if (deleted.length > 0) for (const sql of DELETE_WITH_REQUEST) this.#transaction.send(sql, deleted)
    deleteLabels(this.#transaction, labels)
    return new Set(deleted)
  }

  #saveAttempts(): void {
    const rows = this.#attempts.splice(0)
    this.#transaction.insert(INSERT_ATTEMPTS, rows)
    // Each claim has one fence more than the one before.
    for (const [id, fence] of rows)
      if ((fence as number) > ATTEMPTS_KEPT) this.#transaction.send(FORGET_ATTEMPTS, id!, (fence as number) - ATTEMPTS_KEPT)
  }
}

export function insertLabels(transaction: Transaction, labels: readonly (readonly [id: number, labels: Labels])[]): void {
  const terms = labels.flatMap(([id, of]) => labelTerms(of).map((term) => [term, id] as const))
  transaction.insert('INSERT IGNORE INTO octoflow_job_labels (label, job_id) VALUES ?', terms)
}

export function deleteLabels(transaction: Transaction, terms: readonly (readonly [id: number, term: string])[]): void {
  for (const [id, of] of Map.groupBy(terms, ([job]) => job))
    transaction.send(
      'DELETE FROM octoflow_job_labels WHERE label IN (?) AND job_id = ?',
      of.map(([, term]) => term),
      id,
    )
}

const BY_ID = 'id IN (?)'

const LOCK = `SELECT ${JOB_COLUMNS} FROM octoflow_requests r FORCE INDEX (PRIMARY)
  WHERE r.id IN (?) AND r.stage IS NOT NULL ORDER BY r.id FOR UPDATE`

const LOCK_REQUESTS = 'SELECT id FROM octoflow_requests FORCE INDEX (PRIMARY) WHERE id IN (?) ORDER BY id FOR UPDATE'

// An attempt whose lease ran out stays that, though a client without a token completed the job later.
const INSERT_ATTEMPTS = `INSERT IGNORE INTO octoflow_attempts
  (job_id, fence, attempt, worker, started_at, finished_at, outcome, error) VALUES ?`

const FORGET_ATTEMPTS = 'DELETE FROM octoflow_attempts WHERE job_id = ? AND fence <= ?'

const DELETE_WITH_REQUEST = [
  ['requests', 'id'],
  ['bodies', 'id'],
  ['payloads', 'job_id'],
  ['attempts', 'job_id'],
  ['results', 'job_id'],
  ['events', 'job_id'],
].map(([table, column]) => `DELETE FROM octoflow_${table} WHERE ${column} IN (?)`)
