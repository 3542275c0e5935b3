import { OctoflowError } from '../../../errors/octoflow-error.ts'
import { isCondition } from '../../sql/conditions.ts'
import type { Connection } from './connection.ts'
import type { Database } from './database.ts'
import { isConflict } from './errors.ts'
import type { Signals } from './signals.ts'
import { Transaction } from './transaction.ts'

/** How often a transaction is begun anew that met another one's, or whose connection was lost before its commit. */
const TRIES = 8

export interface WriteOptions {
  /** Whether doing it twice is as good as once, so that it may be repeated where nobody knows whether it was committed. */
  readonly repeatable?: boolean
  /** Whether it is a single statement, which needs neither a begin nor a commit: one round trip instead of two. */
  readonly alone?: boolean
}

type Work<Result> = (transaction: Transaction) => Promise<Result> | Result

/** Runs transactions, and tells of what they made ready. */
export class Writer {
  readonly #db: Database
  readonly #signals: Signals

  constructor(db: Database, signals: Signals) {
    this.#db = db
    this.#signals = signals
  }

  /** One transaction, of a verb that nobody calls often. @param work a function of the database only: it may run again. */
  write<Result>(work: Work<Result>, options?: WriteOptions): Promise<Result> {
    return this.#db.underWay(() => this.transact(work, options))
  }

  /** One transaction of those that verbs under way consist of. */
  async transact<Result>(work: Work<Result>, { repeatable = false, alone = false }: WriteOptions = {}): Promise<Result> {
    for (let tries = 1; ; tries++) {
      const connection = await this.#db.pool.acquire()
      const transaction = new Transaction(connection, this.#db.queueNames, { alone })
      try {
        const result = await work(transaction)
        await transaction.commit()
        this.#db.pool.release(connection)
        this.#signals.raise(transaction.ready(), transaction.logEvents.appended)
        return result
      } catch (thrown) {
        const error = transaction.failure ?? thrown
        const { lost } = connection
        await this.#giveUp(connection, transaction, error)
        const again = isConflict(error) || (lost && (repeatable || !transaction.inDoubt))
        if (again && tries < TRIES) continue
        throw lost && transaction.inDoubt ? new OctoflowError('storage_outcome_unknown', {}, { cause: error }) : error
      }
    }
  }

  async #giveUp(connection: Connection, transaction: Transaction, error: unknown): Promise<void> {
    // An interrupted statement may leave a lock that outlasts the transaction; see octoflow_allocate.
    if (isCondition(error)) connection.destroy()
    else await transaction.rollback().catch(() => connection.destroy())
    this.#db.pool.release(connection)
    this.#signals.raise([], transaction.logEvents.appended)
  }
}
