import { DAY, type Duration, type Instant, MINUTE } from '../../../lib/time.ts'
import { HOURS_KEPT, MINUTES_KEPT } from '../../contract/stats.ts'
import type { StorageSize, UpkeepStore } from '../../contract/upkeep.ts'
import { STATS_COLUMNS } from '../../sql/queue-change.ts'
import type { Value } from './connection.ts'
import type { Database } from './database.ts'
import { firstIdAt } from './listing.ts'
import { foldLogEventCounts } from './log-event-roll-ups.ts'
import type { Transaction } from './transaction.ts'
import type { Writer } from './writer.ts'

/** How long sightings of workers are kept. */
const WORKERS_KEPT = 30 * DAY

/** Roll-ups whose span is past for so many minutes are folded into one row: clocks differ, and transactions take a while. */
const FOLD_AFTER = 3

/** A sweep through more queues than these would take more than some milliseconds. */
const QUEUES_AT_ONCE = 100

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
      await this.#writer.transact((transaction) => {
        const past = Math.floor(now / MINUTE) - FOLD_AFTER
        transaction.send(FOLD, past)
        foldLogEventCounts(transaction, past)
      })
      return pruned
    })
  }

  async check(): Promise<void> {
    // Writes for real, so that a full disk or a standby is found out.
    await this.#writer.write((transaction) => transaction.send('UPDATE octoflow_probe SET one = true'), { repeatable: true })
  }

  async time(): Promise<Instant> {
    const [row] = await this.#db.rows<[number]>(SELECT_TIME)
    return row![0]
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
  const swept = await sweep(transaction, retention, now, limit)
  let { more } = swept
  const [period] = (await transaction.rows<[Duration | null]>(SELECT_LONGEST_PERIOD))[0]!
  for (const [sql, ...values] of sideTables(now, period ?? 0))
    if ((await transaction.rows(sql, ...values, limit)).length === limit) more = true
  await transaction.lanes.balance(now)
  return { deleted: swept.deleted, more }
}

/**
 * Goes on from where the last sweep stopped: through the queues in order of id, and in each through its finished jobs in
 * order of id. A round is over when it has come to the end of the last queue.
 *
 * Only what came before `before` can have outlived it, so the way through a queue ends there and does not lead through the
 * many that are kept; what it does step over is old work that finished lately.
 */
async function sweep(
  transaction: Transaction,
  retention: Duration | null,
  now: Instant,
  limit: number,
): Promise<{ readonly deleted: number; readonly more: boolean }> {
  const [stoppedIn, stoppedAt] = (await transaction.rows<[number, number]>(SELECT_SWEEP))[0] ?? [WITHOUT_JOB, 0]
  const stopAt = (queueId: number, position: number, deleted: number) => {
    transaction.send(STORE_SWEEP, queueId, position)
    return { deleted, more: true }
  }
  const firstIds = new Map<Instant, number>()
  let deleted = 0
  let left = limit
  for (const [visited, [queueId, kept]] of (await retentionsFrom(transaction, stoppedIn, retention)).entries()) {
    const position = queueId === stoppedIn ? stoppedAt : 0
    if (visited === QUEUES_AT_ONCE) return stopAt(queueId, position, deleted)
    const before = now - kept
    const upto = firstIds.get(before) ?? (await firstIdAt(transaction, before))
    firstIds.set(before, upto)
    const candidates = await looksAt(transaction, queueId, position, upto, left)
    const outlived = candidates.filter(([, at]) => at < before).map(([id]) => id)
    if (outlived.length > 0) deleted += (await transaction.jobs.delete(outlived)).size
    left -= candidates.length
    if (left === 0) return stopAt(queueId, candidates.at(-1)?.[0] ?? position, deleted)
  }
  transaction.send('DELETE FROM octoflow_sweep')
  return { deleted, more: false }
}

/** The queues from `first` on in which something may have outlived its retention, one more than are visited at once. */
async function retentionsFrom(
  transaction: Transaction,
  first: number,
  retention: Duration | null,
): Promise<[queueId: number, kept: Duration][]> {
  const queues = await transaction.rows<[number, Duration]>(SELECT_RETENTIONS, first, retention, QUEUES_AT_ONCE + 1)
  return first === WITHOUT_JOB && retention !== null ? [[WITHOUT_JOB, retention], ...queues] : queues
}

/** Rows by which a queue's jobs, or the requests without a job, are looked at: id and since when it counts. */
const looksAt = (transaction: Transaction, queueId: number, after: number, upto: number, limit: number) =>
  queueId === WITHOUT_JOB
    ? transaction.rows<[id: number, at: Instant]>(SELECT_WITHOUT_JOB, after, upto, limit)
    : transaction.rows<[id: number, at: Instant]>(SELECT_FINISHED, after, upto, limit, queueId)

const sideTables = (now: Instant, longestPeriod: Duration): readonly (readonly [sql: string, ...Value[]])[] => [
  [outlived('idempotency', 'expires_at <= $1'), now],
  [outlived('workers', 'last_seen_at < $1'), now - WORKERS_KEPT],
  [outlived('stats', 'span = 1 AND start < $1'), Math.floor((now - MINUTES_KEPT) / MINUTE)],
  [outlived('stats', 'span = 60 AND start < $1'), Math.floor((now - HOURS_KEPT) / MINUTE)],
  [outlived('rate_usage', 'slice < $1'), now - 2 * longestPeriod],
  [outlived('lanes', 'running = 0 AND ready = 0 AND held = 0 AND wake_at IS NULL AND $1::bigint IS NOT NULL'), now],
]

// What somebody uses at this moment is left for the next time.
const outlived = (table: string, condition: string): string => `DELETE FROM octoflow_${table} WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM octoflow_${table} WHERE ${condition} LIMIT $2 FOR UPDATE SKIP LOCKED))
  RETURNING 1`

const SELECT_RETENTIONS = `SELECT q.id, coalesce(q.retention, $2) FROM octoflow_queues q
  WHERE q.id >= $1 AND coalesce(q.retention, $2) IS NOT NULL
    AND (SELECT sum(completed + cancelled + dead) FROM octoflow_counts WHERE queue_id = q.id) > 0
  ORDER BY q.id LIMIT $3`

const SELECT_LONGEST_PERIOD = `SELECT max(greatest((rate_limit::json ->> 'period')::bigint, (key_rate_limit::json ->> 'period')::bigint))
  FROM octoflow_queues`

const SELECT_SWEEP = 'SELECT queue_id, position FROM octoflow_sweep'

const STORE_SWEEP = `INSERT INTO octoflow_sweep (queue_id, position) VALUES ($1, $2)
  ON CONFLICT (one) DO UPDATE SET queue_id = excluded.queue_id, position = excluded.position`

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
      SELECT ctid FROM octoflow_stats WHERE slot >= 0 AND start < $1 AND start + span <= $1 ORDER BY start LIMIT 5000
      FOR UPDATE SKIP LOCKED))
    RETURNING *)
  INSERT INTO octoflow_stats AS s (queue_id, span, start, slot, ${STATS_COLUMNS.join(', ')})
  SELECT queue_id, span, start, -1, ${STATS_COLUMNS.map((column) => `sum(${column})`).join(', ')} FROM gone
   GROUP BY queue_id, span, start ORDER BY queue_id, span, start
  ON CONFLICT (queue_id, span, start, slot) DO UPDATE
    SET ${STATS_COLUMNS.map((column) => `${column} = s.${column} + excluded.${column}`).join(', ')}`

const SELECT_TIME = 'SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint'

const SUM_SIZES = `SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c
  WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname LIKE 'octoflow\\_%'`
