import { SharedWriter, type WriteOptions } from '../../sql/writer.ts'
import type { Connection } from './connection.ts'
import { isConflict } from './errors.ts'
import { Transaction } from './transaction.ts'

export class Writer extends SharedWriter<Connection, Transaction, WriteOptions> {
  protected override begin(connection: Connection): Transaction {
    return new Transaction(connection, this.db.queueNames)
  }

  protected override isConflict(error: unknown): boolean {
    return isConflict(error)
  }

  protected override async giveUp(connection: Connection, _transaction: Transaction, thrown: unknown): Promise<unknown> {
    if (!connection.lost) await connection.recover().catch(() => connection.destroy())
    this.db.pool.release(connection)
    return thrown
  }
}
