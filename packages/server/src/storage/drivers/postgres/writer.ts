import { isCondition } from '../../sql/conditions.ts'
import { type WriteOptions as SharedOptions, SharedWriter } from '../../sql/writer.ts'
import type { Connection } from './connection.ts'
import { isConflict } from './errors.ts'
import { Transaction } from './transaction.ts'

export interface WriteOptions extends SharedOptions {
  /** Whether it is a single statement, which needs neither a begin nor a commit: one round trip instead of two. */
  readonly alone?: boolean
}

export class Writer extends SharedWriter<Connection, Transaction, WriteOptions> {
  protected override begin(connection: Connection, options: WriteOptions | undefined): Transaction {
    return new Transaction(connection, this.db.queueNames, options)
  }

  protected override isConflict(error: unknown): boolean {
    return isConflict(error)
  }

  protected override async giveUp(connection: Connection, transaction: Transaction, thrown: unknown): Promise<unknown> {
    const error = transaction.failure ?? thrown
    // An interrupted statement may leave a lock that outlasts the transaction; see octoflow_allocate.
    if (isCondition(error)) connection.destroy()
    else await transaction.rollback().catch(() => connection.destroy())
    this.db.pool.release(connection)
    this.signals.raise([], transaction.logEvents.appended)
    return error
  }
}
