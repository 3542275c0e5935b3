import { SharedDatabase } from '../../sql/database.ts'
import { Connection, type ConnectionOptions, type Queryable, type Value } from './connection.ts'

export class Database extends SharedDatabase<Connection> implements Queryable {
  readonly options: ConnectionOptions

  constructor(options: ConnectionOptions, poolSize: number) {
    super(() => Connection.open(options), poolSize)
    this.options = options
  }

  rows<Row extends readonly unknown[]>(sql: string, ...values: readonly Value[]): Promise<Row[]> {
    return this.reading((connection) => connection.rows<Row>(sql, ...values))
  }

  /** There is nothing to do: it reads outside of transactions. */
  protected async recover(): Promise<void> {}
}
