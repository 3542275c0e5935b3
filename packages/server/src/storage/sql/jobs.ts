import { OctoflowError } from '../../errors/octoflow-error.ts'
import type { Attempt, Job } from '../../model/job.ts'
import { ATTEMPTS_KEPT, type JobStore, type WaitingFacts } from '../contract/jobs.ts'
import type { Page } from '../contract/page.ts'
import type { ItemResult } from '../contract/storage.ts'
import { attemptsOf } from './attempts.ts'
import type { Reading } from './database.ts'
import type { JobRecord } from './job-record.ts'
import type { JobTransaction } from './job-transaction.ts'
import { cancelJob, editJob, retryJobs, type SteeringStatements } from './steering.ts'
import { findJobs, type JobReader, listJobs } from './stored-jobs.ts'
import { type WaitingStatements, waitingFacts } from './waiting.ts'
import type { Writing } from './writer.ts'

type Params<Verb extends keyof JobStore> = Parameters<JobStore[Verb]>[0]

/** How a driver reads jobs, and writes what belongs to them. */
export interface JobStatements<From, In> extends JobReader<From>, SteeringStatements<In> {
  /**
   * A job, and then those of its attempts that have rows of their own, oldest first: an attempt moves from the job's row to the
   * others, and would be missed in the other order.
   */
  loadWithAttempts(from: From, id: number): Promise<readonly [job: JobRecord, ended: readonly Attempt[]] | null>
  readonly waiting: WaitingStatements<In>
}

export class SqlJobs<From, In extends JobTransaction & From> implements JobStore {
  readonly #db: Reading<From>
  readonly #writer: Writing<In>
  readonly #statements: JobStatements<From, In>

  constructor(db: Reading<From>, writer: Writing<In>, statements: JobStatements<From, In>) {
    this.#db = db
    this.#writer = writer
    this.#statements = statements
  }

  find({ ids }: Params<'find'>): Promise<readonly Job[]> {
    return findJobs(this.#db, this.#statements, ids)
  }

  list({ filter, page }: Params<'list'>): Promise<Page<Job>> {
    return this.#db.reading((connection) => listJobs(connection, this.#statements, filter, page))
  }

  async attempts({ id }: Params<'attempts'>): Promise<readonly Attempt[]> {
    const found = await this.#db.reading((connection) => this.#statements.loadWithAttempts(connection, id))
    return found === null ? [] : attemptsOf(...found).slice(-ATTEMPTS_KEPT)
  }

  async payload({ id }: Params<'payload'>): Promise<string | null> {
    return (await this.#statements.payloads(this.#db, [id])).get(id) ?? null
  }

  waiting({ now, id }: Params<'waiting'>): Promise<WaitingFacts | null> {
    const statements = this.#statements
    return this.#writer.write(async (transaction) => {
      const [job] = await findJobs(transaction, statements, [id])
      return job === undefined || job.state !== 'pending' ? null : waitingFacts(transaction, statements.waiting, job, now)
    })
  }

  cancel({ now, ids, reason, note }: Params<'cancel'>): Promise<readonly ItemResult[]> {
    return this.#writer.write(async (transaction) => {
      await transaction.jobs.lock(ids)
      const results = ids.map((id) => ({ id, error: cancelJob(transaction, this.#statements, id, reason, note, now) }))
      await transaction.lanes.balance(now)
      return results
    })
  }

  retry({ now, items, note }: Params<'retry'>): Promise<readonly ItemResult[]> {
    return this.#writer.write(async (transaction) => {
      const errors = await retryJobs(transaction, this.#statements, items, note, now)
      await transaction.lanes.balance(now)
      return items.map(({ id }, index) => ({ id, error: errors[index]! }))
    })
  }

  edit({ now, id, change, note }: Params<'edit'>): Promise<ItemResult> {
    return this.#writer.write(async (transaction) => {
      await transaction.jobs.lock([id])
      const error = editJob(transaction, this.#statements, id, change, note, now)
      if (error === null) await transaction.lanes.balance(now)
      return { id, error }
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
