/**
 * The ceilings of log events: inserts into a table with the same columns and indexes as ours, a transaction for each batch, and
 * nothing else: nothing is checked or counted, no answer made.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { DatabaseSync } from 'node:sqlite'
import type { Pool } from 'pg'
import { LOG_EVENT_FIELDS } from '../../packages/server/src/model/log-event.ts'
import type { SentEvent } from '../load/log-event-source.ts'

const { Pool: OpenPool } = createRequire(new URL('../../packages/server/package.json', import.meta.url))('pg') as {
  Pool: new (options: object) => Pool
}

/** Prepared inserts on node:sqlite. */
export class SqliteLogEventsByHand implements Disposable {
  readonly #db: DatabaseSync
  #next = 1

  constructor(path: string) {
    this.#db = new DatabaseSync(path)
    this.#db.exec('PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -16000')
    this.#db.exec(tableOf('sqlite'))
  }

  append(events: readonly SentEvent[]): void {
    const insert = this.#db.prepare(
      `INSERT INTO octoflow_log_events (sequence, ${COLUMNS.join()}) VALUES (?, ${COLUMNS.map(() => '?').join()})`,
    )
    this.#db.exec('BEGIN IMMEDIATE')
    for (const event of events) insert.run(this.#next++, ...valuesOf(event))
    this.#db.exec('COMMIT')
  }

  [Symbol.dispose](): void {
    this.#db.close()
  }
}

/** `unnest` on PostgreSQL, over one connection. */
export class PostgresLogEventsByHand implements AsyncDisposable {
  readonly #pool: Pool
  #next = 1

  private constructor(pool: Pool) {
    this.#pool = pool
  }

  static async open(url: string, schema: string): Promise<PostgresLogEventsByHand> {
    const pool = new OpenPool({ connectionString: url, max: 1, options: `-c search_path=${schema}` })
    await pool.query(`CREATE SCHEMA ${schema}; ${tableOf('postgres')}`)
    return new PostgresLogEventsByHand(pool)
  }

  async append(events: readonly SentEvent[]): Promise<void> {
    const rows = events.map(valuesOf)
    const columns = COLUMNS.map((_, column) => rows.map((row) => row[column]))
    await this.#pool.query({ name: 'append', text: INSERT_UNNEST, values: [events.map(() => this.#next++), ...columns] })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end()
  }
}

const COLUMNS = ['id', 'type', 'at', ...LOG_EVENT_FIELDS, 'document']

const valuesOf = ({ event_id, type, timestamp, event }: SentEvent): (string | number | null)[] => [
  event_id,
  type,
  Date.parse(timestamp) * 1_000,
  ...LOG_EVENT_FIELDS.map((field) => event[field] ?? null),
  `{"type":"${type}","timestamp":"${timestamp}","event_id":"${event_id}","event":${JSON.stringify(event)}}`,
]

const TYPES = ['bigint', ...COLUMNS.map((column) => (column === 'at' ? 'bigint' : 'text'))]
const INSERT_UNNEST = `INSERT INTO octoflow_log_events (sequence, ${COLUMNS.join()})
  SELECT * FROM unnest(${TYPES.map((type, index) => `$${index + 1}::${type}[]`).join()})`

/** What the driver's own migration makes the table and its indexes with. */
const tableOf = (driver: string): string =>
  readFileSync(
    new URL(`../../packages/server/src/storage/drivers/${driver}/migrations/0002_log_events.sql`, import.meta.url),
    'utf8',
  )
    .replace(/--.*$/gm, '')
    .split(';')
    .filter((statement) => /^\s*CREATE (TABLE|UNIQUE INDEX|INDEX).*\boctoflow_log_events\b/s.test(statement))
    .join(';')
