import { OctoflowError } from '../../errors/octoflow-error.ts'
import type { SharedDatabase } from './database.ts'
import type { PooledConnection } from './pool.ts'
import type { Ready } from './queue-change.ts'

/** How often a transaction is begun anew that met another one's, or whose connection was lost before its commit. */
const TRIES = 8

export interface WriteOptions {
  /** Whether doing it twice is as good as once, so that it may be repeated where nobody knows whether it was committed. */
  readonly repeatable?: boolean
}

/** What is done in a transaction: a function of the database only, for it may run again. */
export type Work<In, Result> = (transaction: In) => Promise<Result> | Result

/** What the verbs of a store write with: `write` for those that nobody calls often, `transact` within what is under way. */
export interface Writing<In> {
  write<Result>(work: Work<In, Result>): Promise<Result>
  transact<Result>(work: Work<In, Result>, options?: WriteOptions): Promise<Result>
}

interface WritingTransaction {
  readonly logEvents: { readonly appended: boolean }
  /** Whether it may have been committed, for all that is known. */
  readonly inDoubt: boolean
  commit(): Promise<void>
  ready(): readonly Ready[]
}

interface Signals {
  raise(ready: readonly Ready[], logEvents: boolean): void
}

/** Runs transactions, and tells of what they made ready. */
export abstract class SharedWriter<
  Connection extends PooledConnection,
  In extends WritingTransaction,
  Options extends WriteOptions,
> {
  protected readonly db: SharedDatabase<Connection>
  protected readonly signals: Signals

  constructor(db: SharedDatabase<Connection>, signals: Signals) {
    this.db = db
    this.signals = signals
  }

  /** One transaction, of a verb that nobody calls often. */
  write<Result>(work: Work<In, Result>, options?: Options): Promise<Result> {
    return this.db.underWay(() => this.transact(work, options))
  }

  /** One transaction of those that verbs under way consist of. */
  async transact<Result>(work: Work<In, Result>, options?: Options): Promise<Result> {
    for (let tries = 1; ; tries++) {
      const connection = await this.db.pool.acquire()
      const transaction = this.begin(connection, options)
      try {
        const result = await work(transaction)
        await transaction.commit()
        this.db.pool.release(connection)
        this.signals.raise(transaction.ready(), transaction.logEvents.appended)
        return result
      } catch (thrown) {
        const { lost } = connection
        const error = await this.giveUp(connection, transaction, thrown)
        const again = this.isConflict(error) || (lost && (options?.repeatable === true || !transaction.inDoubt))
        if (again && tries < TRIES) continue
        throw lost && transaction.inDoubt ? new OctoflowError('storage_outcome_unknown', {}, { cause: error }) : error
      }
    }
  }

  protected abstract begin(connection: Connection, options: Options | undefined): In

  /** Whether a transaction failed because of another one's. */
  protected abstract isConflict(error: unknown): boolean

  /** Rolls back, and releases the connection. @returns what went wrong. */
  protected abstract giveUp(connection: Connection, transaction: In, thrown: unknown): Promise<unknown>
}
