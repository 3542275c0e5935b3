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

export class PostgresMigrations implements MigrationStore {
  readonly #db: Database
  readonly #migrations: readonly Migration[]

  constructor(db: Database, migrations: readonly Migration[] = load()) {
    this.#db = db
    this.#migrations = migrations
  }

  migrate({ now }: { readonly now: Instant }): Promise<readonly number[]> {
    return this.#db.reading(async (connection) => {
      if ((await versionOf(connection, this.#db.options.schema)) === this.#latest()) return []
      await connection.command('BEGIN')
      try {
        const applied = await this.#migrateAlone(connection, now)
        await connection.command('COMMIT')
        return applied
      } catch (error) {
        await connection.command('ROLLBACK').catch(() => {})
        throw error
      }
    })
  }

  status(): Promise<{ readonly version: number; readonly latest: number }> {
    return this.#db.reading(async (connection) => ({
      version: await versionOf(connection, this.#db.options.schema),
      latest: this.#latest(),
    }))
  }

  /** The lock is held until the commit; whoever waited for it finds the work done. */
  async #migrateAlone(connection: Connection, now: Instant): Promise<number[]> {
    const { schema } = this.#db.options
    await connection.command('SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0')
    await connection.rows("SELECT pg_advisory_xact_lock(hashtext('octoflow migrations'), hashtext($1))", schema)
    const from = await versionOf(connection, schema)
    if (from > this.#latest()) throw new OctoflowError('schema_newer', { found: from, known: this.#latest() })
    const due = this.#migrations.filter(({ version }) => version > from)
    if (from === 0) await connection.command(`CREATE SCHEMA IF NOT EXISTS "${schema.replaceAll('"', '""')}"; ${HISTORY}`)
    for (const { version, name, sql } of due) {
      await connection.command(sql)
      await connection.rows(INSERT_VERSION, version, name, now)
    }
    return due.map(({ version }) => version)
  }

  #latest(): number {
    return this.#migrations.at(-1)?.version ?? 0
  }
}

async function versionOf(from: Queryable, schema: string): Promise<number> {
  if ((await from.rows(SELECT_HISTORY, schema)).length === 0) return 0
  return (await from.rows<[number]>('SELECT coalesce(max(version), 0) FROM octoflow_migrations'))[0]![0]
}

// By a query on the catalogue: what resolves names would not know yet of tables made while this one waited for the lock.
const SELECT_HISTORY = `SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = 'octoflow_migrations'`

const HISTORY = `CREATE TABLE IF NOT EXISTS octoflow_migrations (
  version    integer PRIMARY KEY,
  name       text    NOT NULL,
  applied_at bigint  NOT NULL
)`

const INSERT_VERSION = 'INSERT INTO octoflow_migrations (version, name, applied_at) VALUES ($1, $2, $3)'
