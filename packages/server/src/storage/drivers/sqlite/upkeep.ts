import { statSync } from 'node:fs'
import { DAY, type Duration, type Instant, MINUTE } from '../../../lib/time.ts'
import { HOURS_KEPT, MINUTES_KEPT } from '../../contract/stats.ts'
import type { StorageSize, UpkeepStore } from '../../contract/upkeep.ts'
import { Stage } from '../../sql/stages.ts'
import type { Database } from './database.ts'
import { mapError } from './errors.ts'
import { deleteRequest } from './job-rows.ts'
import { firstIdAt } from './listing.ts'
import type { Transaction } from './transaction.ts'
import type { Writer } from './writer.ts'

/** How long sightings of workers are kept. */
const WORKERS_KEPT = 30 * DAY

/** A sweep through more queues than these would take more than some milliseconds. */
const QUEUES_AT_ONCE = 100

/** Stands for a queue's id in the sweep through requests that made no job. */
const WITHOUT_JOB = 0

export class SqliteUpkeep implements UpkeepStore {
  readonly #db: Database
  readonly #writer: Writer

  constructor(db: Database, writer: Writer) {
    this.#db = db
    this.#writer = writer
  }

  prune({
    now,
    retention,
    limit,
  }: Parameters<UpkeepStore['prune']>[0]): Promise<{ readonly deleted: number; readonly more: boolean }> {
    return this.#writer.write((transaction) => {
      const { db } = transaction
      const swept = sweep(transaction, retention, now, limit)
      let { more } = swept
      for (const [sql, before] of sideTables(db, now)) if (db.run(sql, before, limit) === limit) more = true
      transaction.lanes.balance(now)
      return { deleted: swept.deleted, more }
    })
  }

  async check(): Promise<void> {
    await this.#writer.write(({ db }) => {
      // Writes for real, so that a full disk or a read-only file is found out. Writing what is there already would not do:
      // SQLite sees that nothing changes and writes no page.
      db.run('UPDATE octoflow_sequence SET next_id = next_id + 1')
      db.run('UPDATE octoflow_sequence SET next_id = next_id - 1')
    })
  }

  async time(): Promise<null> {
    // Fails if the database is closed, as every verb does.
    this.#db.row('SELECT 1')
    return null
  }

  async size(): Promise<StorageSize> {
    const [pages, pageSize] = this.#db.row<[number, number]>(
      'SELECT page_count, page_size FROM pragma_page_count, pragma_page_size',
    )!
    if (this.#db.inMemory) return { bytes: pages * pageSize, logBytes: 0 }
    try {
      const logBytes = statSync(`${this.#db.path}-wal`, { throwIfNoEntry: false })?.size ?? 0
      return { bytes: statSync(this.#db.path).size + logBytes, logBytes }
    } catch (error) {
      throw mapError(error)
    }
  }
}

/**
 * Goes on from where the last sweep stopped: through the queues in order of id, and in each through its finished jobs in
 * order of id. A round is over when it has come to the end of the last queue.
 *
 * Only what came before `before` can have outlived it, so the way through a queue ends there and does not lead through the
 * many that are kept; what it does step over is old work that finished lately.
 */
function sweep(
  transaction: Transaction,
  retention: Duration | null,
  now: Instant,
  limit: number,
): { readonly deleted: number; readonly more: boolean } {
  const { db } = transaction
  const [stoppedIn, stoppedAt] = db.row<[number, number]>('SELECT queue_id, position FROM octoflow_sweep') ?? [WITHOUT_JOB, 0]
  const firstIds = new Map<Instant, number>()
  let deleted = 0
  let left = limit
  for (const [visited, [queueId, kept]] of retentionsFrom(db, stoppedIn, retention).entries()) {
    const position = queueId === stoppedIn ? stoppedAt : 0
    if (visited === QUEUES_AT_ONCE) return stopAt(db, queueId, position, deleted)
    const before = now - kept
    const upto = firstIds.get(before) ?? firstIdAt(db, before)
    firstIds.set(before, upto)
    const candidates = outlived(db, queueId, position, upto, left)
    for (const [id, at] of candidates) if (at < before && deleteRequest(transaction, id)) deleted++
    left -= candidates.length
    if (left === 0) return stopAt(db, queueId, candidates.at(-1)?.[0] ?? position, deleted)
  }
  db.run('DELETE FROM octoflow_sweep')
  return { deleted, more: false }
}

function stopAt(db: Database, queueId: number, position: number, deleted: number): { deleted: number; more: true } {
  db.run('INSERT OR REPLACE INTO octoflow_sweep (one, queue_id, position) VALUES (1, ?, ?)', queueId, position)
  return { deleted, more: true }
}

/** The queues from `first` on in which something may have outlived its retention, one more than are visited at once. */
function retentionsFrom(db: Database, first: number, retention: Duration | null): [queueId: number, kept: Duration][] {
  const queues = db.rows<[number, Duration]>(SELECT_RETENTIONS, first, retention, QUEUES_AT_ONCE + 1)
  return first === WITHOUT_JOB && retention !== null ? [[WITHOUT_JOB, retention], ...queues] : queues
}

/** Rows by which a queue's jobs, or the requests without a job, are looked at: id and since when it counts. */
function outlived(db: Database, queueId: number, after: number, upto: number, limit: number): [id: number, at: Instant][] {
  return queueId === WITHOUT_JOB
    ? db.rows(SELECT_WITHOUT_JOB, after, upto, limit)
    : db.rows(SELECT_FINISHED, after, upto, queueId, limit)
}

const sideTables = (db: Database, now: Instant): readonly (readonly [sql: string, before: number])[] => [
  ['DELETE FROM octoflow_idempotency WHERE key IN (SELECT key FROM octoflow_idempotency WHERE expires_at <= ? LIMIT ?)', now],
  [
    'DELETE FROM octoflow_workers WHERE id IN (SELECT id FROM octoflow_workers WHERE last_seen_at < ? LIMIT ?)',
    now - WORKERS_KEPT,
  ],
  [deleteStats(1), Math.floor((now - MINUTES_KEPT) / MINUTE)],
  [deleteStats(60), Math.floor((now - HOURS_KEPT) / MINUTE)],
  [DELETE_RATE_USAGE, now - 2 * (db.row<[Duration | null]>(SELECT_LONGEST_PERIOD)![0] ?? 0)],
]

const SELECT_RETENTIONS = `SELECT id, coalesce(retention, ?2) FROM octoflow_queues
  WHERE id >= ?1 AND coalesce(retention, ?2) IS NOT NULL AND completed + cancelled + dead > 0 ORDER BY id LIMIT ?3`

const SELECT_LONGEST_PERIOD = `SELECT max(max(ifnull(rate_limit ->> 'period', 0), ifnull(key_rate_limit ->> 'period', 0)))
  FROM octoflow_queues WHERE rate_limit IS NOT NULL OR key_rate_limit IS NOT NULL`

// One range of the index for each final stage; the literal `stage > 3` lets SQLite see that the partial index covers it.
const SELECT_FINISHED = `SELECT id, finished_at FROM (${[Stage.completed, Stage.cancelled, Stage.dead]
  .map(
    (stage) => `SELECT * FROM (SELECT id, finished_at FROM octoflow_requests
      WHERE queue_id = ?3 AND stage = ${stage} AND stage > 3 AND id > ?1 AND id < ?2 ORDER BY id LIMIT ?4)`,
  )
  .join(' UNION ALL ')}) ORDER BY id LIMIT ?4`

const SELECT_WITHOUT_JOB =
  'SELECT id, received_at FROM octoflow_requests WHERE stage IS NULL AND id > ? AND id < ? ORDER BY id LIMIT ?'

const deleteStats = (span: number): string => `DELETE FROM octoflow_stats WHERE (queue_id, span, start) IN
  (SELECT queue_id, span, start FROM octoflow_stats WHERE span = ${span} AND start < ? LIMIT ?)`

const DELETE_RATE_USAGE = `DELETE FROM octoflow_rate_usage WHERE (queue_id, key, slice) IN
  (SELECT queue_id, key, slice FROM octoflow_rate_usage WHERE slice < ? LIMIT ?)`
