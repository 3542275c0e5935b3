import type { Instant } from '../../../lib/time.ts'
import type { WorkerInfo } from '../../../model/worker.ts'
import type { Sighting, WorkerStore } from '../../contract/workers.ts'
import type { Database } from './database.ts'
import type { Writer } from './writer.ts'

export class SqliteWorkers implements WorkerStore {
  readonly #db: Database
  readonly #writer: Writer

  constructor(db: Database, writer: Writer) {
    this.#db = db
    this.#writer = writer
  }

  seen({ workers }: Parameters<WorkerStore['seen']>[0]): Promise<void> {
    return this.#writer.write(({ db }) => {
      for (const sighting of workers) note(db, sighting)
    })
  }

  async list({ since }: Parameters<WorkerStore['list']>[0]): Promise<readonly WorkerInfo[]> {
    return this.#db.all<WorkerRow>('SELECT * FROM octoflow_workers WHERE last_seen_at >= ? ORDER BY id', since).map(toWorker)
  }

  setDraining({ id, draining }: Parameters<WorkerStore['setDraining']>[0]): Promise<boolean> {
    return this.#writer.write(
      ({ db }) => db.run('UPDATE octoflow_workers SET draining = ? WHERE id = ?', draining ? 1 : 0, id) > 0,
    )
  }
}

function note(db: Database, { id, at, queues, agent }: Sighting): void {
  const known = db.row<[string]>('SELECT queues FROM octoflow_workers WHERE id = ?', id)
  const all = new Set([...(known === undefined ? [] : (JSON.parse(known[0]) as string[])), ...queues])
  db.run(UPSERT, id, JSON.stringify([...all]), at, at, agent)
}

export interface WorkerRow {
  readonly id: string
  readonly queues: string
  readonly first_seen_at: Instant
  readonly last_seen_at: Instant
  readonly draining: number
  readonly agent: string | null
}

export const toWorker = (row: WorkerRow): WorkerInfo => ({
  id: row.id,
  queues: JSON.parse(row.queues),
  firstSeenAt: row.first_seen_at,
  lastSeenAt: row.last_seen_at,
  draining: row.draining === 1,
  agent: row.agent,
})

const UPSERT = `INSERT INTO octoflow_workers (id, queues, first_seen_at, last_seen_at, agent) VALUES (?, ?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET queues = excluded.queues, last_seen_at = max(last_seen_at, excluded.last_seen_at),
    agent = coalesce(excluded.agent, agent)`
