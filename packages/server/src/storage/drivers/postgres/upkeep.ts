import { DAY, type Duration, type Instant, MINUTE } from '../../../lib/time.ts'
import type { QueueSettings } from '../../../model/queue.ts'
import type { StorageSize, UpkeepStore } from '../../contract/upkeep.ts'
import type { Value } from './connection.ts'
import type { Database } from './database.ts'
import { firstIdAt } from './listing.ts'
import { QUEUE_COLUMNS, type QueueRecord, STATS_COLUMNS, settingsOf } from './queue-rows.ts'
import type { Transaction } from './transaction.ts'
import type { Writer } from './writer.ts'

/** How long roll-ups and sightings of workers are kept. */
const STATS_KEPT = 400 * DAY
const WORKERS_KEPT = 30 * DAY

/** Roll-ups of minutes that are past for so long are folded into one row: clocks differ, and transactions take a while. */
const FOLD_AFTER = 3

/** Stands for a queue's id in the sweep through requests that made no job. */
const WITHOUT_JOB = 0

export class PostgresUpkeep implements UpkeepStore {
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
    return this.#db.underWay(async () => {
      const pruned = await this.#writer.transact((transaction) => prune(transaction, now, retention, limit))
      await this.#writer.transact((transaction) => transaction.send(FOLD, Math.floor(now / MINUTE) - FOLD_AFTER))
      return pruned
    })
  }

  async check(): Promise<void> {
    // Writes for real, so that a full disk or a standby is found out.
    await this.#writer.write((transaction) => transaction.send('UPDATE octoflow_probe SET one = true'), { repeatable: true })
  }

  async size(): Promise<StorageSize> {
    const [row] = await this.#db.rows<[number]>(SUM_SIZES)
    // The write-ahead log is that of all databases of the server.
    return { bytes: row![0], logBytes: 0 }
  }
}

async function prune(
  transaction: Transaction,
  now: Instant,
  retention: Duration | null,
  limit: number,
): Promise<{ readonly deleted: number; readonly more: boolean }> {
  const queues = await transaction.rows<readonly [finished: number, ...QueueRecord]>(SELECT_QUEUES)
  let deleted = 0
  let more = false
  for (const due of sweepsDue(queues, retention, now)) {
    const swept = await sweep(transaction, due, limit - deleted)
    deleted += swept.deleted
    more ||= !swept.done
    if (deleted >= limit) break
  }
  if (!more) transaction.send('DELETE FROM octoflow_sweeps')
  const settings = queues.map(([, ...record]) => settingsOf(record))
  for (const [sql, ...values] of sideTables(settings, now))
    if ((await transaction.rows(sql, ...values, limit)).length === limit) more = true
  await transaction.lanes.balance(now)
  return { deleted, more }
}

/** The finished jobs of one queue, or the requests without a job, that have outlived their retention. */
interface Sweep {
  /** `WITHOUT_JOB` for requests that made none. */
  readonly queueId: number
  readonly before: Instant
}

function sweepsDue(
  queues: readonly (readonly [finished: number, ...QueueRecord])[],
  retention: Duration | null,
  now: Instant,
): Sweep[] {
  const ofQueues = queues.flatMap(([finished, ...record]): Sweep[] => {
    const kept = settingsOf(record).retention ?? retention
    return kept === null || finished === 0 ? [] : [{ queueId: record[0], before: now - kept }]
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
async function sweep(
  transaction: Transaction,
  { queueId, before }: Sweep,
  limit: number,
): Promise<{ readonly deleted: number; readonly done: boolean }> {
  const position = (await transaction.rows<[number]>(SELECT_POSITION, queueId))[0]?.[0] ?? 0
  const upto = position === END ? END : await firstIdAt(transaction, before)
  const candidates =
    queueId === WITHOUT_JOB
      ? await transaction.rows<[number, Instant]>(SELECT_WITHOUT_JOB, position, upto, limit)
      : await transaction.rows<[number, Instant]>(SELECT_FINISHED, position, upto, limit, queueId)
  const outlived = candidates.filter(([, at]) => at < before).map(([id]) => id)
  const deleted = outlived.length === 0 ? 0 : (await transaction.jobs.delete(outlived)).size
  const done = candidates.length < limit
  transaction.send(STORE_POSITION, queueId, done ? END : candidates.at(-1)![0])
  return { deleted, done }
}

const sideTables = (queues: readonly QueueSettings[], now: Instant): readonly (readonly [sql: string, ...Value[]])[] => [
  [outlived('idempotency', 'expires_at <= $1'), now],
  [outlived('workers', 'last_seen_at < $1'), now - WORKERS_KEPT],
  [outlived('stats', 'minute < $1'), Math.floor((now - STATS_KEPT) / MINUTE)],
  [outlived('rate_usage', 'slice < $1'), now - 2 * longestRatePeriod(queues)],
  [outlived('lanes', 'running = 0 AND ready = 0 AND wake_at IS NULL AND $1::bigint IS NOT NULL'), now],
]

const longestRatePeriod = (queues: readonly QueueSettings[]): Duration =>
  Math.max(0, ...queues.flatMap(({ rateLimit, keyRateLimit }) => [rateLimit?.period ?? 0, keyRateLimit?.period ?? 0]))

// What somebody uses at this moment is left for the next time.
const outlived = (table: string, condition: string): string => `DELETE FROM octoflow_${table} WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM octoflow_${table} WHERE ${condition} LIMIT $2 FOR UPDATE SKIP LOCKED))
  RETURNING 1`

const SELECT_QUEUES = `SELECT (SELECT coalesce(sum(completed + cancelled + dead), 0) FROM octoflow_counts WHERE queue_id = q.id),
  ${QUEUE_COLUMNS} FROM octoflow_queues q`

const SELECT_POSITION = 'SELECT position FROM octoflow_sweeps WHERE queue_id = $1'

const STORE_POSITION = `INSERT INTO octoflow_sweeps (queue_id, position) VALUES ($1, $2)
  ON CONFLICT (queue_id) DO UPDATE SET position = excluded.position`

// One range of the index for each final stage.
const SELECT_FINISHED = `SELECT id, finished_at FROM (
    SELECT job.* FROM (VALUES (4::smallint), (5), (6)) AS final (stage), LATERAL (
      SELECT id, finished_at FROM octoflow_requests
       WHERE queue_id = $4 AND stage = final.stage AND stage > 3 AND id > $1 AND id < $2 ORDER BY id LIMIT $3) AS job
  ) AS found ORDER BY id LIMIT $3`

const SELECT_WITHOUT_JOB =
  'SELECT id, received_at FROM octoflow_requests WHERE stage IS NULL AND id > $1 AND id < $2 ORDER BY id LIMIT $3'

const FOLD = `WITH gone AS (
    DELETE FROM octoflow_stats WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM octoflow_stats WHERE slot >= 0 AND minute < $1 ORDER BY minute LIMIT 5000 FOR UPDATE SKIP LOCKED))
    RETURNING *)
  INSERT INTO octoflow_stats AS s (queue_id, minute, slot, ${STATS_COLUMNS.join(', ')})
  SELECT queue_id, minute, -1, ${STATS_COLUMNS.map((column) => `sum(${column})`).join(', ')} FROM gone
   GROUP BY queue_id, minute ORDER BY queue_id, minute
  ON CONFLICT (queue_id, minute, slot) DO UPDATE
    SET ${STATS_COLUMNS.map((column) => `${column} = s.${column} + excluded.${column}`).join(', ')}`

const SUM_SIZES = `SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c
  WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname LIKE 'octoflow\\_%'`
