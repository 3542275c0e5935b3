/**
 * The ceiling of the MySQL driver: what one would write by hand for a queue that keeps its jobs, with one table, one index and
 * nothing else: no requests, no limits, no leases, no lists, no counts.
 */
import { createRequire } from 'node:module'
import type { Connection, Pool, RowDataPacket } from 'mysql2/promise'

const { createPool } = createRequire(new URL('../../packages/server/package.json', import.meta.url))('mysql2/promise') as {
  createPool: (options: object) => Pool
}

export class MysqlByHand implements AsyncDisposable {
  readonly #pool: Pool

  private constructor(pool: Pool) {
    this.#pool = pool
  }

  static async open(url: string): Promise<MysqlByHand> {
    const { username, password, pathname, searchParams } = new URL(url)
    const pool = createPool({
      user: username,
      password,
      database: pathname.slice(1),
      socketPath: searchParams.get('unix_socket'),
      connectionLimit: 24,
    })
    await pool.query(`CREATE TABLE jobs (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, queue INT NOT NULL,
      state TINYINT NOT NULL DEFAULT 0, priority TINYINT NOT NULL, run_at BIGINT NOT NULL, attempt SMALLINT NOT NULL DEFAULT 0,
      payload LONGTEXT NOT NULL, finished_at BIGINT, KEY ready (queue, state, priority, id)) ENGINE = InnoDB`)
    return new MysqlByHand(pool)
  }

  async submit(count: number, payload: string): Promise<void> {
    const rows = Array.from({ length: count }, () => [1, 5, Date.now(), payload])
    await this.#pool.query('INSERT INTO jobs (queue, priority, run_at, payload) VALUES ?', [rows])
  }

  /** @returns how many jobs were claimed and completed. */
  async work(batch: number): Promise<number> {
    const connection = await this.#pool.getConnection()
    try {
      const ids = await claim(connection, batch)
      if (ids.length > 0)
        await connection.query('UPDATE jobs SET state = 2, finished_at = ? WHERE id IN (?) AND state = 1', [Date.now(), ids])
      return ids.length
    } finally {
      connection.release()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end()
  }
}

async function claim(connection: Connection, batch: number): Promise<number[]> {
  await connection.query('SET TRANSACTION ISOLATION LEVEL READ COMMITTED')
  await connection.beginTransaction()
  const [rows] = await connection.query<RowDataPacket[]>(CLAIM, [batch])
  const ids = rows.map(({ id }) => id as number)
  if (ids.length > 0) await connection.query('UPDATE jobs SET state = 1, attempt = attempt + 1 WHERE id IN (?)', [ids])
  await connection.commit()
  return ids
}

const CLAIM = `SELECT id, payload FROM jobs WHERE queue = 1 AND state = 0 ORDER BY priority, id LIMIT ? FOR UPDATE SKIP LOCKED`
