import { SharedDatabase } from '../../sql/database.ts'
import { Connection, type ConnectionOptions, type Queryable } from './connection.ts'
import type { Value } from './values.ts'

export class Database extends SharedDatabase<Connection> implements Queryable {
  readonly options: ConnectionOptions

  constructor(options: ConnectionOptions, poolSize: number) {
    super(() => Connection.open(options), poolSize)
    this.options = options
  }

  rows<Row extends readonly unknown[]>(sql: string, ...values: readonly Value[]): Promise<Row[]> {
    return this.reading((connection) => connection.rows<Row>(sql, ...values))
  }

  protected async recover(connection: Connection): Promise<void> {
    if (!connection.lost) await connection.recover().catch(() => connection.destroy())
  }
}
