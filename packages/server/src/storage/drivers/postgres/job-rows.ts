import type { Instant } from '../../../lib/time.ts'
import type { AttemptOutcome, JobError, Labels } from '../../../model/job.ts'
import { ATTEMPTS_KEPT } from '../../contract/jobs.ts'
import type { JobRecord } from '../../sql/job-record.ts'
import { labelTerms, parseOptions } from '../../sql/options.ts'
import type { Transaction } from './transaction.ts'
import { array, textArray } from './values.ts'

type Columns = readonly (readonly [field: keyof JobRecord, column: string, type: string])[]

const FIXED: Columns = [
  ['id', 'id', 'bigint'],
  ['receivedAt', 'received_at', 'bigint'],
  ['maxAttempts', 'max_attempts', 'integer'],
  ['timeout', 'timeout', 'bigint'],
  ['concurrencyKey', 'concurrency_key', 'text'],
  ['uniqueKey', 'unique_key', 'text'],
]

const CHANGING: Columns = [
  ['queueId', 'queue_id', 'integer'],
  ['stage', 'stage', 'smallint'],
  ['priority', 'priority', 'smallint'],
  ['runAt', 'run_at', 'bigint'],
  ['leaseUntil', 'lease_until', 'bigint'],
  ['startedAt', 'started_at', 'bigint'],
  ['finishedAt', 'finished_at', 'bigint'],
  ['deadline', 'deadline', 'bigint'],
  ['attempt', 'attempt', 'integer'],
  ['fence', 'fence', 'integer'],
  ['handled', 'handled', 'boolean'],
  ['revised', 'revised', 'boolean'],
  ['cancelRequested', 'cancel_requested', 'boolean'],
  ['size', 'size', 'integer'],
  ['worker', 'worker', 'text'],
  ['options', 'options', 'text'],
  ['reason', 'reason', 'text'],
  ['statusLabel', 'status_label', 'text'],
  ['progress', 'progress', 'text'],
]

const ALL = [...FIXED, ...CHANGING]

export function toJobRecord(row: readonly unknown[]): JobRecord {
  const record: Record<string, unknown> = {}
  for (const [index, [field]] of ALL.entries()) record[field] = row[index]
  return record as unknown as JobRecord
}

/** The columns of a `JobRecord`, in order. */
export const JOB_COLUMNS = ALL.map(([, column]) => `r.${column}`).join(', ')

/** The jobs that a transaction decides about: locked by one statement, changed in memory, saved by another. */
export class JobRows {
  readonly #transaction: Transaction
  readonly #locked = new Map<number, JobRecord>()
  readonly #changed = new Set<JobRecord>()
  readonly #attempts: (readonly unknown[])[] = []

  constructor(transaction: Transaction) {
    this.#transaction = transaction
  }

  /** Locks jobs, in order of id, before lanes are. Those that do not exist are left out. */
  async lock(ids: readonly number[]): Promise<void> {
    const wanted = [...new Set(ids)].filter((id) => !this.#locked.has(id))
    if (wanted.length === 0) return
    const rows = await this.#transaction.rows(LOCK, array(wanted))
    for (const job of rows.map(toJobRecord)) {
      this.#locked.set(job.id, job)
      // While it is locked here a claim passes it by.
      if (job.stage === 0) this.#transaction.change(job.queueId).becameReady++
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
    this.#changed.add(job)
    if (job.queueId === queueId) this.#transaction.move(queueId, job.concurrencyKey, stage, job.stage)
    else {
      this.#transaction.move(queueId, null, stage, null)
      this.#transaction.move(job.queueId, job.concurrencyKey, null, job.stage)
    }
  }

  /** Has a change of stage that was written already known to those who look later. */
  forget(id: number): void {
    this.#locked.delete(id)
  }

  recordAttempt(job: JobRecord, outcome: AttemptOutcome, error: JobError | null, finishedAt: Instant): void {
    const { id, fence, attempt, worker, startedAt } = job
    const errorText = error === null ? null : JSON.stringify(error)
    this.#attempts.push([id, fence, attempt, worker, startedAt ?? finishedAt, finishedAt, outcome, errorText])
  }

  save(): void {
    this.#saveAttempts()
    if (this.#changed.size === 0) return
    const jobs = [...this.#changed].sort((a, b) => a.id - b.id)
    const columns = CHANGING.map(([field, , type]) =>
      type === 'text'
        ? textArray(jobs.map((job) => job[field] as string | null))
        : array(jobs.map((job) => job[field] as number | null)),
    )
    this.#transaction.send(SAVE, array(jobs.map(({ id }) => id)), ...columns)
    this.#changed.clear()
  }

  /** Deletes requests with all that hangs on them. @returns those that there were. */
  async delete(ids: readonly number[]): Promise<ReadonlySet<number>> {
    await this.lock(ids)
    this.save()
    const deleted = new Set((await this.#transaction.rows<[number]>(DELETE, array(ids))).map(([id]) => id))
    const labels: [number, string][] = []
    for (const id of deleted) {
      const job = this.#locked.get(id)
      if (job === undefined) continue
      this.#transaction.move(job.queueId, job.concurrencyKey, job.stage, null)
      for (const term of labelTerms(parseOptions(job.options).labels ?? {})) labels.push([id, term])
      this.#locked.delete(id)
    }
    const gone = array([...deleted])
    for (const sql of DELETE_WITH_REQUEST) this.#transaction.send(sql, gone)
    deleteLabels(this.#transaction, labels)
    return deleted
  }

  #saveAttempts(): void {
    const rows = this.#attempts.splice(0)
    if (rows.length === 0) return
    const numbers = (at: number) => array(rows.map((row) => row[at] as number))
    const texts = (at: number) => textArray(rows.map((row) => row[at] as string | null))
    this.#transaction.send(
      INSERT_ATTEMPTS,
      numbers(0),
      numbers(1),
      numbers(2),
      texts(3),
      numbers(4),
      numbers(5),
      texts(6),
      texts(7),
    )
    // Each claim has one fence more than the one before.
    const many = rows.filter(([, fence]) => (fence as number) > ATTEMPTS_KEPT)
    if (many.length > 0)
      this.#transaction.send(
        FORGET_ATTEMPTS,
        array(many.map(([id]) => id as number)),
        array(many.map(([, fence]) => (fence as number) - ATTEMPTS_KEPT)),
      )
  }
}

export function insertLabels(transaction: Transaction, labels: readonly (readonly [id: number, labels: Labels])[]): void {
  const terms = labels.flatMap(([id, of]) => labelTerms(of).map((term) => [id, term] as const))
  if (terms.length === 0) return
  transaction.send(INSERT_LABELS, textArray(terms.map(([, term]) => term)), array(terms.map(([id]) => id)))
}

export function deleteLabels(transaction: Transaction, terms: readonly (readonly [id: number, term: string])[]): void {
  if (terms.length === 0) return
  transaction.send(DELETE_LABELS, textArray(terms.map(([, term]) => term)), array(terms.map(([id]) => id)))
}

const LOCK = `SELECT ${JOB_COLUMNS} FROM octoflow_requests r
  WHERE r.id = ANY ($1::bigint[]) AND r.stage IS NOT NULL ORDER BY r.id FOR NO KEY UPDATE`

const SAVE = `UPDATE octoflow_requests r SET ${CHANGING.map(([, column]) => `${column} = s.${column}`).join(', ')}
  FROM unnest($1::bigint[], ${CHANGING.map(([, , type], index) => `$${index + 2}::${type}[]`).join(', ')})
    AS s (id, ${CHANGING.map(([, column]) => column).join(', ')})
  WHERE r.id = s.id`

// An attempt whose lease ran out stays that, though a client without a token completed the job later.
const INSERT_ATTEMPTS = `INSERT INTO octoflow_attempts
  (job_id, fence, attempt, worker, started_at, finished_at, outcome, error)
  SELECT * FROM unnest($1::bigint[], $2::integer[], $3::integer[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $8::text[])
  ON CONFLICT DO NOTHING`

const FORGET_ATTEMPTS = `DELETE FROM octoflow_attempts a USING unnest($1::bigint[], $2::integer[]) AS f (job_id, upto)
  WHERE a.job_id = f.job_id AND a.fence <= f.upto`

const DELETE = 'DELETE FROM octoflow_requests WHERE id = ANY ($1::bigint[]) RETURNING id'

const DELETE_WITH_REQUEST = [
  ['bodies', 'id'],
  ['payloads', 'job_id'],
  ['attempts', 'job_id'],
  ['results', 'job_id'],
  ['events', 'job_id'],
].map(([table, column]) => `DELETE FROM octoflow_${table} WHERE ${column} = ANY ($1::bigint[])`)

const INSERT_LABELS = `INSERT INTO octoflow_job_labels (label, job_id)
  SELECT label, job_id FROM unnest($1::text[], $2::bigint[]) AS l (label, job_id) ON CONFLICT DO NOTHING`

const DELETE_LABELS = `DELETE FROM octoflow_job_labels l USING unnest($1::text[], $2::bigint[]) AS gone (label, job_id)
  WHERE l.label = gone.label AND l.job_id = gone.job_id`
