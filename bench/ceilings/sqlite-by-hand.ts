/**
 * The ceiling of the engine: what one would write by hand on node:sqlite for a queue that keeps its jobs, with one table, one
 * index and nothing else: no requests, no limits, no leases, no lists, no counts.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

export class SqliteByHand implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'octoflow-bench-'))
  readonly #db = new DatabaseSync(join(this.#directory, 'jobs.db'))

  constructor() {
    this.#db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -16000')
    this.#db.exec(`
      CREATE TABLE jobs (id INTEGER PRIMARY KEY, queue TEXT NOT NULL, state INTEGER NOT NULL, priority INTEGER NOT NULL,
        run_at INTEGER NOT NULL, attempt INTEGER NOT NULL, payload TEXT NOT NULL, finished_at INTEGER);
      CREATE INDEX ready ON jobs (queue, priority, run_at, id) WHERE state = 0;`)
  }

  /** Inserts, claims and completes `count` jobs in batches. @returns seconds. */
  endToEnd(count: number, batch: number, payload: string): number {
    const insert = this.#db.prepare(
      'INSERT INTO jobs (queue, state, priority, run_at, attempt, payload) VALUES (?, 0, 5, ?, 0, ?)',
    )
    const claim = this.#db.prepare(`UPDATE jobs SET state = 1, attempt = attempt + 1 WHERE id IN
      (SELECT id FROM jobs WHERE queue = ? AND state = 0 ORDER BY priority, run_at, id LIMIT ?) RETURNING id, payload`)
    const complete = this.#db.prepare('UPDATE jobs SET state = 2, finished_at = ? WHERE id = ? AND state = 1')
    const begun = performance.now()
    for (let done = 0; done < count; done += batch) {
      this.#transaction(() => {
        for (let i = 0; i < batch; i++) insert.run('bench', Date.now(), payload)
      })
      const jobs = this.#transaction(() => claim.all('bench', batch)) as { id: number }[]
      this.#transaction(() => {
        for (const { id } of jobs) complete.run(Date.now(), id)
      })
    }
    return (performance.now() - begun) / 1000
  }

  #transaction<Result>(work: () => Result): Result {
    this.#db.exec('BEGIN IMMEDIATE')
    const result = work()
    this.#db.exec('COMMIT')
    return result
  }

  [Symbol.dispose](): void {
    this.#db.close()
    rmSync(this.#directory, { recursive: true })
  }
}
