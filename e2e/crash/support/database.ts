import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** A server that starts on a database whose server was killed reads its log anew, and keeps others out meanwhile. */
const PATIENCE_MS = 5_000

/** Gives a reading connection to a site's database. */
export function reading<Result>(data: string, read: (database: DatabaseSync) => Result): Result {
  const database = new DatabaseSync(join(data, 'octoflow.db'), { readOnly: true, timeout: PATIENCE_MS })
  try {
    return read(database)
  } finally {
    database.close()
  }
}

/** What SQLite finds wrong with the file; `ok` alone if nothing. */
export const integrity = (data: string): readonly unknown[] =>
  reading(data, (database) =>
    database
      .prepare('PRAGMA integrity_check')
      .all()
      .map((row) => row.integrity_check),
  )

export const count = (data: string, table: string): number =>
  reading(data, (database) => Number(database.prepare(`SELECT count(*) AS n FROM ${table}`).get()!.n))
