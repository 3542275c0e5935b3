import { OctoflowError } from '../../../errors/octoflow-error.ts'
import { QueueNames } from '../../sql/queue-names.ts'
import type { Connection, ConnectionOptions, Queryable } from './connection.ts'
import { Pool } from './pool.ts'
import type { Value } from './values.ts'

/** The database as all verbs share it: its connections, and what is known of it for good. */
export class Database implements Queryable {
  readonly pool: Pool
  readonly options: ConnectionOptions
  readonly queueNames = new QueueNames()
  #underWay = 0
  #closed = false
  #idle: PromiseWithResolvers<void> | null = null

  constructor(options: ConnectionOptions, poolSize: number) {
    this.options = options
    this.pool = new Pool(options, poolSize)
  }

  /** Reads. A connection that turns out to be lost is no reason to fail: reading may be repeated. */
  rows<Row extends readonly unknown[]>(sql: string, ...values: readonly Value[]): Promise<Row[]> {
    return this.reading((connection) => connection.rows<Row>(sql, ...values))
  }

  /** Several queries of one verb, on one connection. */
  reading<Result>(read: (connection: Connection) => Promise<Result>): Promise<Result> {
    return this.underWay(async () => {
      const { result, lost } = await this.#readOnce(read)
      return lost ? (await this.#readOnce(read)).result() : result()
    })
  }

  /** What a verb does, from when it is called until it is answered; the database is closed between verbs only. */
  async underWay<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#closed) throw new OctoflowError('storage_closed')
    this.#underWay++
    try {
      return await work()
    } finally {
      if (--this.#underWay === 0) this.#idle?.resolve()
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    if (this.#underWay > 0) {
      this.#idle = Promise.withResolvers()
      await this.#idle.promise
    }
    await this.pool.close()
  }

  async #readOnce<Result>(
    read: (connection: Connection) => Promise<Result>,
  ): Promise<{ readonly result: () => Result; readonly lost: boolean }> {
    const connection = await this.pool.acquire()
    try {
      const result = await read(connection)
      return { result: () => result, lost: false }
    } catch (error) {
      if (!connection.lost) await connection.recover().catch(() => connection.destroy())
      return {
        result: () => {
          throw error
        },
        lost: connection.lost,
      }
    } finally {
      this.pool.release(connection)
    }
  }
}
