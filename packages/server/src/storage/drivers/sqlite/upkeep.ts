import { statSync } from 'node:fs'
import { DAY, type Duration, type Instant, MINUTE } from '../../../lib/time.ts'
import { HOURS_KEPT, MINUTES_KEPT } from '../../contract/stats.ts'
import type { StorageSize, UpkeepStore } from '../../contract/upkeep.ts'
import type { Database } from './database.ts'
import { mapError } from './errors.ts'
import { deleteRequest } from './job-rows.ts'
import { firstIdAt, queuesOf } from './listing.ts'
import { Stage } from './stages.ts'
import type { QueueRow, Transaction } from './transaction.ts'
import type { Writer } from './writer.ts'

/** How long sightings of workers are kept. */
const WORKERS_KEPT = 30 * DAY

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
      const queues = queuesOf(transaction.db, undefined)
      let deleted = 0
      let more = false
      for (const due of sweepsDue(queues, retention, now)) {
        const swept = sweep(transaction, due, limit - deleted)
        deleted += swept.deleted
        more ||= !swept.done
        if (deleted >= limit) break
      }
      if (!more) transaction.db.run('DELETE FROM octoflow_sweeps')
      for (const [sql, before] of sideTables(queues, now)) if (transaction.db.run(sql, before, limit) === limit) more = true
      transaction.lanes.balance(now)
      return { deleted, more }
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

/** The finished jobs of one queue, or the requests without a job, that have outlived their retention. */
interface Sweep {
  /** `WITHOUT_JOB` for requests that made none. */
  readonly queueId: number
  readonly before: Instant
}

function sweepsDue(queues: readonly QueueRow[], retention: Duration | null, now: Instant): Sweep[] {
  const ofQueues = queues.flatMap(({ id, settings, counts }): Sweep[] => {
    const kept = settings.retention ?? retention
    const finished = counts[Stage.completed]! + counts[Stage.cancelled]! + counts[Stage.dead]!
    return kept === null || finished === 0 ? [] : [{ queueId: id, before: now - kept }]
  })
  return retention === null ? ofQueues : [...ofQueues, { queueId: WITHOUT_JOB, before: now - retention }]
}

/** Beyond all ids: stands for a sweep that has come to its end in this round. */
const END = Number.MAX_SAFE_INTEGER

/**
 * Goes on through the candidates in order of id from where the last sweep stopped. A round is over when all sweeps have
 * come to their end; until then one that has is not begun again, or rounds of different lengths would never end together.
 *
 * Only what came before `before` can have outlived it, so a sweep ends there and does not step through the many that are
 * kept; what it does step over is old work that finished lately.
 */
function sweep(transaction: Transaction, { queueId, before }: Sweep, limit: number): { deleted: number; done: boolean } {
  const { db } = transaction
  const position = db.row<[number]>('SELECT position FROM octoflow_sweeps WHERE queue_id = ?', queueId)?.[0] ?? 0
  const upto = position === END ? END : firstIdAt(db, before)
  const candidates =
    queueId === WITHOUT_JOB
      ? db.rows<[number, Instant]>(SELECT_WITHOUT_JOB, position, upto, limit)
      : db.rows<[number, Instant]>(SELECT_FINISHED, position, upto, queueId, limit)
  let deleted = 0
  for (const [id, at] of candidates) if (at < before && deleteRequest(transaction, id)) deleted++
  const done = candidates.length < limit
  db.run(
    'INSERT OR REPLACE INTO octoflow_sweeps (queue_id, position) VALUES (?, ?)',
    queueId,
    done ? END : candidates.at(-1)![0],
  )
  return { deleted, done }
}

const sideTables = (queues: readonly QueueRow[], now: Instant): readonly (readonly [sql: string, before: number])[] => [
  ['DELETE FROM octoflow_idempotency WHERE key IN (SELECT key FROM octoflow_idempotency WHERE expires_at <= ? LIMIT ?)', now],
  [
    'DELETE FROM octoflow_workers WHERE id IN (SELECT id FROM octoflow_workers WHERE last_seen_at < ? LIMIT ?)',
    now - WORKERS_KEPT,
  ],
  [deleteStats(1), Math.floor((now - MINUTES_KEPT) / MINUTE)],
  [deleteStats(60), Math.floor((now - HOURS_KEPT) / MINUTE)],
  [DELETE_RATE_USAGE, now - 2 * longestRatePeriod(queues)],
]

const longestRatePeriod = (queues: readonly QueueRow[]): Duration =>
  Math.max(0, ...queues.flatMap(({ settings }) => [settings.rateLimit?.period ?? 0, settings.keyRateLimit?.period ?? 0]))

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
