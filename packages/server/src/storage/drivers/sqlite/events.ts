import type { Instant } from '../../../lib/time.ts'
import type { EventKind, EventLevel, JobEvent } from '../../../model/event.ts'
import type { EventStore, NewEvent } from '../../contract/events.ts'
import type { Page } from '../../contract/page.ts'
import { pageOf, pageQuery } from '../../sql/paging.ts'
import type { Database } from './database.ts'
import type { Writer } from './writer.ts'

export class SqliteEvents implements EventStore {
  readonly #db: Database
  readonly #writer: Writer

  constructor(db: Database, writer: Writer) {
    this.#db = db
    this.#writer = writer
  }

  append({ now, items }: Parameters<EventStore['append']>[0]): Promise<readonly (number | null)[]> {
    return this.#writer.write(({ db }) =>
      items.map(({ jobId, event }) =>
        db.row('SELECT 1 FROM octoflow_requests WHERE id = ? AND stage IS NOT NULL', jobId) === undefined
          ? null
          : insertEvent(db, jobId, event, now),
      ),
    )
  }

  async list({ jobId, page }: Parameters<EventStore['list']>[0]): Promise<Page<JobEvent>> {
    const { where, order, after, limit } = pageQuery(page, 'id')
    const sql = `SELECT id, octet_length(message) + ifnull(octet_length(data), 0) FROM octoflow_events
      WHERE job_id = ? AND ${where} ${order} LIMIT ?`
    const { items, next } = pageOf(
      this.#db.rows<[number, number]>(sql, jobId, after, limit).map(([id, size]) => ({ id, size })),
      page,
      ({ size }) => size,
    )
    return { items: items.map(({ id }) => ({ jobId, ...this.#db.get<Omit<JobEvent, 'jobId'>>(SELECT, id)! })), next }
  }
}

/** @returns the event's id. */
export function insertEvent(db: Database, jobId: number, event: NewEvent, now: Instant): number {
  const { kind, level, message, data } = event
  return db.row<[number]>(INSERT, jobId, event.at ?? now, kind, level, message, data)![0]
}

/** What Octoflow itself did to a job, on the job's timeline. */
export function note(db: Database, jobId: number, message: string, now: Instant): void {
  db.row(INSERT, jobId, now, 'system' satisfies EventKind, 'info' satisfies EventLevel, message, null)
}

const SELECT = 'SELECT id, at, kind, level, message, data FROM octoflow_events WHERE id = ?'

const INSERT = `INSERT INTO octoflow_events (job_id, at, kind, level, message, data) VALUES (?, ?, ?, ?, ?, ?) RETURNING id`
