import { readdirSync, readFileSync } from 'node:fs'
import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Instant } from '../../../lib/time.ts'
import type { MigrationStore } from '../../contract/migrations.ts'
import type { Connection, Queryable } from './connection.ts'
import type { Database } from './database.ts'

interface Migration {
  readonly version: number
  readonly name: string
  readonly sql: string
}

const FILE = /^(\d{4})_(\w+)\.sql$/

function load(): Migration[] {
  const directory = new URL('./migrations/', import.meta.url)
  return readdirSync(directory)
    .sort()
    .map((file) => {
      const match = FILE.exec(file)
      if (match === null) throw new Error(`${file} is not named like a migration`)
      return { version: Number(match[1]), name: match[2]!, sql: readFileSync(new URL(file, directory), 'utf8') }
    })
}

/** How long one server waits for another that migrates. */
const PATIENCE_SECONDS = 600

export class MysqlMigrations implements MigrationStore {
  readonly #db: Database
  readonly #migrations: readonly Migration[]

  constructor(db: Database, migrations: readonly Migration[] = load()) {
    this.#db = db
    this.#migrations = migrations
  }

  migrate({ now }: { readonly now: Instant }): Promise<readonly number[]> {
    return this.#db.reading(async (connection) => {
      if ((await versionOf(connection)) === this.#latest()) return []
      try {
        await connection.mayTakeLong()
        const [locked] = await connection.rows<[number | null]>(LOCK, PATIENCE_SECONDS)
        if (locked![0] !== 1) throw new OctoflowError('storage_unavailable')
        return await this.#migrateAlone(connection, now)
      } finally {
        // The lock and the patience end with it.
        connection.destroy()
      }
    })
  }

  status(): Promise<{ readonly version: number; readonly latest: number }> {
    return this.#db.reading(async (connection) => ({ version: await versionOf(connection), latest: this.#latest() }))
  }

  /**
   * Whoever waited for the lock finds the work done. The server commits each statement that defines something by itself; a
   * migration that was interrupted is begun again, since its version is noted last.
   */
  async #migrateAlone(connection: Connection, now: Instant): Promise<number[]> {
    const from = await versionOf(connection)
    if (from > this.#latest()) throw new OctoflowError('schema_newer', { found: from, known: this.#latest() })
    const due = this.#migrations.filter(({ version }) => version > from)
    if (due.length > 0) await connection.execute(HISTORY)
    for (const { version, name, sql } of due) {
      for (const statement of statementsOf(sql, connection.server.collation)) await connection.execute(statement)
      await connection.execute(INSERT_VERSION, version, name, now)
    }
    return due.map(({ version }) => version)
  }

  #latest(): number {
    return this.#migrations.at(-1)?.version ?? 0
  }
}

/** A statement ends with a semicolon at the end of a line. */
const statementsOf = (sql: string, collation: string): string[] =>
  sql
    .replaceAll('{collation}', collation)
    .split(/;$/m)
    .filter((statement) => statement.trim() !== '')

async function versionOf(from: Queryable): Promise<number> {
  if ((await from.rows(SELECT_HISTORY)).length === 0) return 0
  return (await from.rows<[number]>('SELECT COALESCE(MAX(version), 0) FROM octoflow_migrations'))[0]![0]
}

const LOCK = `SELECT GET_LOCK(CONCAT('octoflow ', MD5(DATABASE()), ' migrations'), ?)`

const SELECT_HISTORY = `SELECT 1 FROM information_schema.TABLES
  WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'octoflow_migrations'`

const HISTORY = `CREATE TABLE IF NOT EXISTS octoflow_migrations (
  version    INT          NOT NULL PRIMARY KEY,
  name       VARCHAR(256) NOT NULL,
  applied_at BIGINT       NOT NULL
) ENGINE = InnoDB`

const INSERT_VERSION = 'INSERT INTO octoflow_migrations (version, name, applied_at) VALUES (?, ?, ?)'
