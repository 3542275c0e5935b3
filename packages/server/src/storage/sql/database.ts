import { OctoflowError } from '../../errors/octoflow-error.ts'
import { Pool, type PooledConnection } from './pool.ts'
import { QueueNames } from './queue-names.ts'

/** What the verbs of a store read with. */
export type Reading<From> = From & {
  reading<Result>(read: (connection: From) => Promise<Result>): Promise<Result>
  underWay<Result>(work: () => Promise<Result>): Promise<Result>
}

/** The database as all verbs share it: its connections, and what is known of it for good. */
export abstract class SharedDatabase<Connection extends PooledConnection> {
  readonly pool: Pool<Connection>
  readonly queueNames = new QueueNames()
  #underWay = 0
  #closed = false
  #idle: PromiseWithResolvers<void> | null = null

  constructor(connect: () => Promise<Connection>, poolSize: number) {
    this.pool = new Pool(connect, poolSize)
  }

  /**
   * Reads, with one query or several, on one connection. One that turns out to be lost is no reason to fail: reading may be
   * repeated.
   */
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

  /** Makes a connection fit for others after a query that failed. */
  protected abstract recover(connection: Connection): Promise<void>

  async #readOnce<Result>(
    read: (connection: Connection) => Promise<Result>,
  ): Promise<{ readonly result: () => Result; readonly lost: boolean }> {
    const connection = await this.pool.acquire()
    try {
      const result = await read(connection)
      return { result: () => result, lost: false }
    } catch (error) {
      await this.recover(connection)
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
