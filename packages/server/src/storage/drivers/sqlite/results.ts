import type { Instant } from '../../../lib/time.ts'
import type { ResultStore, StoredResult } from '../../contract/results.ts'
import type { Database } from './database.ts'

export class SqliteResults implements ResultStore {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  async find({ jobIds }: Parameters<ResultStore['find']>[0]): Promise<readonly StoredResult[]> {
    return jobIds.flatMap((jobId) => {
      const row = this.#db.row<[Instant, string]>('SELECT at, value FROM octoflow_results WHERE job_id = ?', jobId)
      return row === undefined ? [] : [{ jobId, at: row[0], value: row[1] }]
    })
  }
}
