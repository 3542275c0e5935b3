/**
 * The ceiling of the PostgreSQL driver: what one would write by hand for a queue that keeps its jobs, with one table, one
 * partial index and nothing else: no requests, no limits, no leases, no lists, no counts.
 */
import { createRequire } from 'node:module'
import type { Pool } from 'pg'

const { Pool: OpenPool } = createRequire(new URL('../../packages/server/package.json', import.meta.url))('pg') as {
  Pool: new (options: object) => Pool
}

export class PostgresByHand implements AsyncDisposable {
  readonly #pool: Pool

  private constructor(pool: Pool) {
    this.#pool = pool
  }

  static async open(url: string): Promise<PostgresByHand> {
    const pool = new OpenPool({ connectionString: url, max: 24 })
    await pool.query(`DROP SCHEMA IF EXISTS by_hand CASCADE; CREATE SCHEMA by_hand;
      CREATE TABLE by_hand.jobs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, queue text NOT NULL, state smallint NOT NULL DEFAULT 0,
        priority smallint NOT NULL, run_at bigint NOT NULL, attempt smallint NOT NULL DEFAULT 0, payload text NOT NULL, finished_at bigint);
      CREATE INDEX ready ON by_hand.jobs (queue, priority, id) WHERE state = 0;
      ANALYZE by_hand.jobs`)
    return new PostgresByHand(pool)
  }

  async submit(count: number, payload: string): Promise<void> {
    const payloads = Array.from({ length: count }, () => payload)
    await this.#pool.query({ name: 'submit', text: SUBMIT, values: ['bench', Date.now(), payloads] })
  }

  /** @returns how many jobs were claimed and completed. */
  async work(batch: number): Promise<number> {
    const { rows } = await this.#pool.query<{ id: string }>({ name: 'claim', text: CLAIM, values: ['bench', batch] })
    if (rows.length === 0) return 0
    await this.#pool.query({ name: 'finish', text: FINISH, values: [rows.map(({ id }) => id), Date.now()] })
    return rows.length
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end()
  }
}

const SUBMIT =
  'INSERT INTO by_hand.jobs (queue, priority, run_at, payload) SELECT $1, 5, $2, payload FROM unnest($3::text[]) AS payload'

const CLAIM = `UPDATE by_hand.jobs SET state = 1, attempt = attempt + 1 WHERE id = ANY (ARRAY(
    SELECT id FROM by_hand.jobs WHERE queue = $1 AND state = 0 ORDER BY priority, id LIMIT $2 FOR UPDATE SKIP LOCKED))
  RETURNING id, payload`

const FINISH = 'UPDATE by_hand.jobs SET state = 2, finished_at = $2 WHERE id = ANY ($1::bigint[]) AND state = 1'
