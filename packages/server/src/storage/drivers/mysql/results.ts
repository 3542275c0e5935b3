import type { Instant } from '../../../lib/time.ts'
import type { ResultStore, StoredResult } from '../../contract/results.ts'
import type { Database } from './database.ts'

export class MysqlResults implements ResultStore {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  async find({ jobIds }: Parameters<ResultStore['find']>[0]): Promise<readonly StoredResult[]> {
    const rows = await this.#db.rows<[number, Instant, string]>(SELECT, jobIds)
    const found = new Map(rows.map(([jobId, at, value]) => [jobId, { jobId, at, value }]))
    return jobIds.flatMap((jobId) => found.get(jobId) ?? [])
  }
}

const SELECT = 'SELECT job_id, at, value FROM octoflow_results WHERE job_id IN (?)'
