import { readdirSync, readFileSync } from 'node:fs'
import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Instant } from '../../../lib/time.ts'
import type { MigrationStore } from '../../contract/migrations.ts'
import type { Database } from './database.ts'
import { mapError } from './errors.ts'

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

export class SqliteMigrations implements MigrationStore {
  readonly #db: Database
  readonly #migrations: readonly Migration[]

  constructor(db: Database, migrations: readonly Migration[] = load()) {
    this.#db = db
    this.#migrations = migrations
  }

  /** The version stands in SQLite's `user_version`, which changes with the transaction that brings it about. */
  async migrate({ now }: { readonly now: Instant }): Promise<readonly number[]> {
    try {
      if (this.#version() === this.#latest()) return []
      return this.#migrateAlone(now)
    } catch (error) {
      throw mapError(error)
    }
  }

  async status(): Promise<{ readonly version: number; readonly latest: number }> {
    return { version: this.#version(), latest: this.#latest() }
  }

  #migrateAlone(now: Instant): number[] {
    this.#db.run('BEGIN IMMEDIATE')
    try {
      const from = this.#version()
      if (from > this.#latest()) throw new OctoflowError('schema_newer', { found: from, known: this.#latest() })
      const due = this.#migrations.filter(({ version }) => version > from)
      this.#db.connection.exec(HISTORY)
      for (const { version, name, sql } of due) {
        this.#db.connection.exec(sql)
        this.#db.run('INSERT INTO octoflow_migrations (version, name, applied_at) VALUES (?, ?, ?)', version, name, now)
        this.#db.connection.exec(`PRAGMA user_version = ${version}`)
      }
      this.#db.run('COMMIT')
      return due.map(({ version }) => version)
    } catch (error) {
      this.#db.rollback()
      throw error
    }
  }

  #version(): number {
    return this.#db.row<[number]>('PRAGMA user_version')![0]
  }

  #latest(): number {
    return this.#migrations.at(-1)?.version ?? 0
  }
}

const HISTORY = `CREATE TABLE IF NOT EXISTS octoflow_migrations (
  version    INTEGER PRIMARY KEY,
  name       TEXT    NOT NULL,
  applied_at INTEGER NOT NULL
)`
